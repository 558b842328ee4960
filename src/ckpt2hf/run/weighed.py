"""From measured losses to the table of readings and to the models without context they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.weighing import Baseline, Standing, Weighed
from ckpt2hf.verify.baseline import uniform, unigram
from ckpt2hf.verify.significance import larger
from ckpt2hf.verify.weigh import ALPHA, MARGIN

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ckpt2hf.run.reading_search import Readings
    from ckpt2hf.tensors import Array
    from ckpt2hf.verify.significance import Difference
    from ckpt2hf.verify.weigh import Outcome

_PRECISE = 9
"""Decimals of a loss that are kept: the next ones are float32's own."""


def baselines(windows: Array, vocab: int, best: Array) -> tuple[Baseline, ...]:
    """Each model without context, against the best reading's loss in each window."""
    found = {
        "no context: how often each token occurs": unigram(windows, vocab),
        "no context: every token equally likely": uniform(windows, vocab),
    }
    return tuple(_baseline(name, losses, best, ALPHA / len(found)) for name, losses in found.items())


def _baseline(name: str, losses: Array, best: Array, level: float) -> Baseline:
    apart = larger(losses, best)
    beaten = apart.p <= level and apart.mean > MARGIN
    return Baseline(name=name, loss=_kept(losses.mean()), behind=_kept(apart.mean), p=_brief(apart.p), beaten=beaten)


def rows(readings: Readings, outcome: Outcome) -> tuple[Weighed, ...]:
    """Every reading that was measured, the best first."""
    many = len(outcome.losses)
    made = [_row(readings, outcome.best, outcome.losses.mean(), (None, many), Standing.BEST)]
    for each in outcome.others:
        standing = Standing.WORSE if each.worse else Standing.LEVEL
        made.append(_row(readings, each.key, each.loss, (each.apart, each.windows), standing))
    return tuple(made)


def _row(
    readings: Readings, key: Hashable, loss: float, apart: tuple[Difference | None, int], standing: Standing
) -> Weighed:
    reading, (difference, windows) = readings[key], apart
    return Weighed(
        dialect=reading.candidate.fit.dialect.id,
        answers=reading.answers,
        loss=_kept(loss),
        behind=_kept(difference.mean) if difference else 0.0,
        error=_kept(difference.error) if difference else 0.0,
        p=_brief(difference.p) if difference else 1.0,
        windows=windows,
        standing=standing,
    )


def _kept(value: float) -> float:
    return round(float(value), _PRECISE)


def _brief(p: float) -> float:
    """Two digits of a probability: more would differ from machine to machine."""
    return float(f"{p:.1e}")
