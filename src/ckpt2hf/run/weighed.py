"""From measured losses to the table of readings and to the models without context they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.weighing import Baseline, Standing, Weighed
from ckpt2hf.verify.baseline import uniform, unigram
from ckpt2hf.verify.losses import TEMPERATURES
from ckpt2hf.verify.significance import Difference, larger
from ckpt2hf.verify.weigh import ALPHA, MARGIN, Comparison, suits

if TYPE_CHECKING:
    from ckpt2hf.run.reading_search import Readings
    from ckpt2hf.tensors import Array
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


def temper(losses: Array) -> tuple[float, float]:
    """What the best reading's logits should be divided by on this text, and the nats per token that would gain."""
    at = suits(losses)
    return TEMPERATURES[at], _kept(losses[0].mean() - losses[at].mean())


def rows(readings: Readings, outcome: Outcome) -> tuple[Weighed, ...]:
    """Every reading that was measured, the best first."""
    losses = outcome.losses
    zero = Difference(0.0, 0.0, 1.0)
    best = Comparison(outcome.best, float(losses[0].mean()), zero, zero, losses.shape[1], worse=False)
    rest = (_row(readings, each, Standing.WORSE if each.worse else Standing.LEVEL) for each in outcome.others)
    return (_row(readings, best, Standing.BEST), *rest)


def _row(readings: Readings, each: Comparison, standing: Standing) -> Weighed:
    reading = readings[each.key]
    return Weighed(
        dialect=reading.candidate.fit.dialect.id,
        answers=reading.answers,
        loss=_kept(each.loss),
        behind=_kept(each.apart.mean),
        error=_kept(each.apart.error),
        p=_brief(max(each.apart.p, each.tempered.p)),
        tempered=_kept(each.tempered.mean),
        windows=each.windows,
        standing=standing,
    )


def _kept(value: float) -> float:
    return round(float(value), _PRECISE)


def _brief(p: float) -> float:
    """Two digits of a probability: more would differ from machine to machine."""
    return float(f"{p:.1e}")
