"""What a sample of text showed: as part of the report, and as lines of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects.weighing import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.dialects.weighing import Weighed, Weighing

_SHOWN = 8
"""Readings that are shown; those that are not told apart from the best one are shown in any case."""
_SIGNS = {Standing.BEST.value: "", Standing.LEVEL.value: "?", Standing.WORSE.value: ""}
"""What stands before a reading: most are worse, which needs no sign."""
_STRANGE = 0.02
"""Nats per token gained by softer predictions, above which text looks like that of another kind."""
_PLAIN = 1e-3
"""Probabilities above it are written like 0.012."""


@dataclass(frozen=True, slots=True)
class ReadingReport:
    """One way to read the checkpoint, measured on a sample."""

    dialect: str
    """Whose code it is read as."""
    answers: dict[str, Any]
    """The values of the fields that were tried."""
    loss: float
    """Nats per token, on the windows it was measured on."""
    behind: float
    """Nats per token more than the best reading, on the same windows."""
    error: float
    """Standard error of that difference, windows as units."""
    p: float
    """Of a one-sided paired t-test that it is worse than the best reading; the larger one of the two differences."""
    tempered: float
    """The difference with the logits of each divided by what suits it best: a worse reading is worse so, too."""
    windows: int
    """On how many windows; few for a reading that was hopeless on those."""
    tokens: int
    """Predicted on these windows."""
    standing: str
    """`best`, `not told apart` or `worse`."""


@dataclass(frozen=True, slots=True)
class BaselineReport:
    """A model without context: a checkpoint that is no better has learned nothing that could decide a fact."""

    name: str
    """What it knows."""
    loss: float
    """Nats per token."""
    behind: float
    """Nats per token more than the best reading."""
    p: float
    """Of a one-sided paired t-test that it is worse than the best reading."""
    beaten: bool
    """Whether it is."""


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """What `--sample` showed."""

    sample: str
    """The file, as the user gave it."""
    sha256: str
    """Of that file."""
    tokenizer: str | None
    """What made token ids of text."""
    tokens: int
    """In the sample, as far as it was read."""
    windows: int
    """Stretches of text that were used: the units of every test."""
    length: int
    """Tokens predicted in each window."""
    combinations: int
    """Ways to answer what is open; the correction counts them all."""
    exhaustive: bool
    """Whether all were tried; else every one that differs from the best in fields that belong together."""
    level: float
    """Largest p of a single test that counts, after the correction."""
    floor: float
    """Nats per token that a difference had to exceed as well."""
    temperature: float
    """What suits the best reading's logits to be divided by; above 1 it is too sure of itself on this text."""
    gain: float
    """Nats per token that this would gain."""
    learned: bool
    """Whether every baseline is beaten; if not, the sample decides nothing."""
    baselines: tuple[BaselineReport, ...]
    """Models without context."""
    readings: tuple[ReadingReport, ...]
    """The best first."""
    decided: dict[str, Any]
    """Facts that the sample decided."""
    upheld: dict[str, Any]
    """Facts that were said, and that the sample does not contradict."""


def evidence_report(weighing: Weighing | None) -> EvidenceReport | None:
    """The whole of it; None where no sample was asked."""
    if weighing is None:
        return None
    stated = {name: value for name, value in weighing.stated.items() if name not in weighing.against}
    return EvidenceReport(
        sample=str(weighing.sample),
        sha256=weighing.sha256,
        tokenizer=str(weighing.tokenizer) if weighing.tokenizer else None,
        tokens=weighing.tokens,
        windows=weighing.windows,
        length=weighing.length,
        combinations=weighing.combinations,
        exhaustive=weighing.exhaustive,
        level=weighing.level,
        floor=weighing.floor,
        temperature=weighing.temperature,
        gain=weighing.gain,
        learned=weighing.learned,
        baselines=tuple(BaselineReport(b.name, b.loss, b.behind, b.p, b.beaten) for b in weighing.baselines),
        readings=tuple(_reading(row, weighing.length) for row in weighing.rows),
        decided=dict(weighing.decided),
        upheld=stated if weighing.learned else {},
    )


def _reading(row: Weighed, length: int) -> ReadingReport:
    return ReadingReport(
        dialect=row.dialect,
        answers=dict(row.answers),
        loss=row.loss,
        behind=row.behind,
        error=row.error,
        p=row.p,
        tempered=row.tempered,
        windows=row.windows,
        tokens=row.windows * length,
        standing=row.standing.value,
    )


def evidence_lines(evidence: EvidenceReport) -> Iterator[str]:
    """The table for people: what was used, the readings from the best on, the models without context."""
    used = evidence.windows * evidence.length
    of = f" of {evidence.tokens}" if evidence.tokens > evidence.windows * (evidence.length + 1) else ""
    yield f"{evidence.sample}: {used}{of} tokens, in {evidence.windows} windows of {evidence.length}"
    yield f"{'loss':>6}  {'more by':>7}  {'+-':>5}  {'p':>6}  {'on':>3}     reading"
    rest = [row for row in evidence.readings[_SHOWN:] if row.standing == Standing.WORSE.value]
    for row in (row for row in evidence.readings if row not in rest):
        numbers = _numbers(row.behind, row.p, f"{row.error:.0e}") if row.standing != Standing.BEST.value else "   best"
        yield f"{row.loss:6.4f}  {numbers:22}  {row.windows:>3}  {_SIGNS[row.standing]:1}  {_answers(row, evidence)}"
    if rest:
        yield f"{len(rest)} more readings are {min(row.behind for row in rest):.2g} or more behind"
    for each in evidence.baselines:
        name = each.name if each.beaten else f"not shown to be worse: {each.name}"
        yield f"{each.loss:6.4f}  {_numbers(each.behind, each.p):22}  {evidence.windows:>3}     {name}"
    if evidence.temperature > 1 and evidence.gain > _STRANGE:
        yield f"the model is too sure of itself, by {evidence.gain:.2g}: is the text of the kind it was trained on?"


def _numbers(behind: float, p: float, error: str = "") -> str:
    return f"{behind:>7.2g}  {error:>5}  {format(p, '.2g' if p > _PLAIN else '.0e'):>6}"


def _answers(row: ReadingReport, evidence: EvidenceReport) -> str:
    """Of the best reading its answers, of another those that differ; whose code it is where answers do not tell."""
    best = evidence.readings[0]
    names = [name for name in row.answers if row is best or row.answers[name] != best.answers.get(name)]
    words = [f"{name}={row.answers[name]}" for name in names]
    alike = sum(each.answers == row.answers for each in evidence.readings) > 1
    return " ".join([*([row.dialect] if alike else []), *words]) or row.dialect
