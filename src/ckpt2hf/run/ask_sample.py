"""`--sample FILE`: text decides what the file does not say, where the difference is significant; else nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.dialects import Candidate, Fact, Origin, candidates, detect
from ckpt2hf.dialects.resolve import resolve
from ckpt2hf.dialects.weighing import Weighing
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.ir import written
from ckpt2hf.run.reading_search import Readings
from ckpt2hf.run.readings import asked_of_sample, spelled, without_answers
from ckpt2hf.run.sample_refusals import abstained, contradicted, not_decided
from ckpt2hf.run.sample_windows import read_windows
from ckpt2hf.run.weighed import baselines, rows, temper
from ckpt2hf.verify.baseline import unigram
from ckpt2hf.verify.losses import Losses
from ckpt2hf.verify.weigh import Scales, screened, weigh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Dialect, Said
    from ckpt2hf.run.readings import Reading, Space
    from ckpt2hf.run.sample_windows import Sample
    from ckpt2hf.tensors import Array
    from ckpt2hf.verify.weigh import Outcome

_NOISE_WINDOWS = 4
"""Windows in which float32 is compared with float64."""
_SILENCE = 10.0
"""Seconds after which it is told how many readings were measured."""
Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a sample says about a checkpoint: a candidate, or why there is none; and what was measured."""

    weighing: Weighing | None
    candidate: Candidate | None
    refusal: Ckpt2hfError | None = None

    def require(self) -> Candidate:
        """The candidate. Raises the refusal."""
        if self.candidate is None:
            raise self.refusal or AssertionError
        return self.candidate


@dataclass(frozen=True, slots=True)
class Asked:
    """A checkpoint, and what the user says about it."""

    checkpoint: Checkpoint
    named: Dialect | None
    said: Said

    def without_sample(self, weighing: Weighing | None = None) -> Judgement:
        """What is known anyway."""
        try:
            candidate = detect(self.checkpoint, self.named, self.said.facts)
        except Ckpt2hfError as error:
            return Judgement(weighing, None, error)
        return Judgement(weighing, replace(candidate, weighing=weighing))


def ask_sample(asked: Asked, sample: Sample, stage: Stage = lambda _said: None) -> Judgement:
    """The judgement of a sample. Raises what is wrong with the sample itself: UsageError, NotFoundError."""
    possible = _spaces(asked)
    spaces = [space for space in possible if not space.bare]
    first = next((reading for space in spaces for reading in space.everything()), None)
    if first is None:
        known = asked.without_sample()
        unanswerable = None if known.candidate else without_answers(asked.checkpoint, possible, "the sample")
        return Judgement(None, None, unanswerable) if unanswerable else known
    at = asked.checkpoint.path
    windows = read_windows(sample, first.spec, at if at.is_dir() else at.parent)
    readings = Readings(spaces, len(screened(len(windows.ids))) * windows.length)
    losses = Losses(windows.ids)

    def measure(key: object, which: Array) -> Array:
        each = readings[key]
        return losses(each.spec, each.slots, each.weights, which)

    def noise(key: object) -> float:
        each = readings[key]
        return losses.noise(each.spec, each.slots, each.weights, screened(len(windows.ids))[:_NOISE_WINDOWS])

    word_counts = unigram(windows.ids, first.spec.vocab)
    count = Seldom(
        lambda measured: stage(f"{measured} readings measured, of {readings.total} at most"), time.monotonic()
    )
    outcome = weigh(readings.search(), Scales(measure, noise, len(windows.ids), word_counts, stage, count))
    temperature, gain = temper(outcome.losses)
    weighing = Weighing(
        sample=sample.path,
        tokenizer=windows.tokenizer,
        sha256=windows.sha256,
        tokens=windows.tokens,
        windows=len(windows.ids),
        length=windows.length,
        combinations=readings.total,
        exhaustive=readings.exhaustive,
        level=outcome.level,
        floor=outcome.floor,
        baselines=baselines(windows.ids, first.spec.vocab, outcome.losses[0]),
        temperature=temperature,
        gain=gain,
        rows=rows(readings, outcome),
        open=tuple(dict.fromkeys(name for space in spaces for name in space.answers if name not in space.stands)),
        decided={},
        stated={},
        against={},
    )
    return _judged(asked, readings, outcome, weighing)


@dataclass(slots=True)
class Seldom:
    """Tells a count from time to time: with a large model a reading takes longer than a person waits for a word."""

    tell: Callable[[int], None]
    told: float
    """When that was last, or when it began."""

    def __call__(self, count: int) -> None:
        """Tells it, if nothing was told for a while."""
        if time.monotonic() - self.told >= _SILENCE:
            self.tell(count)
            self.told = time.monotonic()


def _spaces(asked: Asked) -> list[Space]:
    """The layouts that fit and that the user's word does not contradict.

    That a dialect says otherwise than the user is no contradiction here: the sample is asked about both.
    """
    checkpoint, said = asked.checkpoint, asked.said.facts
    return [
        asked_of_sample(checkpoint, each, said)
        for each in candidates(checkpoint, asked.named, said)
        if not resolve(each.fit.layout, checkpoint, said, asserted=True).conflicts
    ]


def _judged(asked: Asked, readings: Readings, outcome: Outcome, weighing: Weighing) -> Judgement:
    best = readings[outcome.best]
    weighing = replace(weighing, stated={name: spelled(fact) for name, fact in best.space.stands.items()})
    if not weighing.learned:
        known = asked.without_sample(weighing)
        return known if known.candidate else Judgement(weighing, None, abstained(asked, weighing, known.refusal))
    fair = [each for key in outcome.level_with_best if (each := readings[key]).respectful]
    if not fair:
        facts = {n: fact for n, fact in best.space.stands.items() if best.answers[n] != spelled(fact)}
        weighing = replace(weighing, against={name: best.answers[name] for name in facts})
        return Judgement(weighing, None, contradicted(asked, weighing, facts))
    values = {name: list(dict.fromkeys(_value(each, name) for each in fair)) for name in weighing.open}
    weighing = replace(weighing, decided={name: found[0] for name, found in values.items() if len(found) == 1})
    if len(fair) == 1:
        return Judgement(weighing, _candidate(asked, fair[0], weighing))
    known = asked.without_sample(weighing)
    return known if known.candidate else Judgement(weighing, None, not_decided(asked, weighing, fair))


def _value(reading: Reading, name: str) -> str:
    return written(getattr(reading.spec, name))


def _candidate(asked: Asked, reading: Reading, weighing: Weighing) -> Candidate:
    """The reading, its facts with the origins they deserve."""
    fit, space = reading.candidate.fit, reading.space
    facts = {
        name: Fact(name, getattr(reading.spec, name), Origin.SAMPLE, _why(name, reading.answers, weighing))
        for name in space.answers
        if name not in space.stands
    }
    resolution = resolve(fit.layout, asked.checkpoint, {**asked.said.facts, **facts}, asserted=True)
    return Candidate(fit, resolution, reading.candidate.named, weighing)


def _why(name: str, answers: Mapping[str, str], weighing: Weighing) -> str:
    """The nearest reading with another value, and how far behind it is."""
    others: Sequence[tuple[float, float, str]] = [
        (row.behind, row.p, row.answers[name])
        for row in weighing.rows
        if name in row.answers and row.answers[name] != answers[name]
    ]
    if not others:
        return weighing.sample.name
    behind, p, value = min(others)
    return f"{weighing.sample.name}: {value} loses {behind:.2g} nats per token more, p = {p:.0e}"
