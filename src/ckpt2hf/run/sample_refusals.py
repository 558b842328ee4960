"""Why a sample leads to no candidate: it cannot decide, or it contradicts what was said. Always with the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects import candidates, flag
from ckpt2hf.errors import FactsError
from ckpt2hf.ir import parse_field
from ckpt2hf.report import evidence_lines, evidence_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.dialects import Fact
    from ckpt2hf.dialects.weighing import Weighing
    from ckpt2hf.errors import Ckpt2hfError
    from ckpt2hf.run.ask_sample import Asked
    from ckpt2hf.run.readings import Reading

_SHOWN = 4
"""Readings that are spelled out as flags."""


def abstained(asked: Asked, weighing: Weighing, known: Ckpt2hfError | None) -> FactsError:
    """The model predicts the sample no better than a model without context, however it is read."""
    text = "text like that the model was trained on, in token ids of the same tokenizer"
    return FactsError(
        "the sample decides nothing: read in its best way, this model predicts it no better than word counts do",
        details=_table(weighing),
        where=_where(asked, weighing),
        tried="an untrained model, text of another kind and the ids of another tokenizer look like this",
        remedies=[*(known.remedies if known else ()), text],
    )


def contradicted(asked: Asked, weighing: Weighing, facts: Mapping[str, Fact]) -> FactsError:
    """What was said is shown to be worse than something else."""
    details = []
    for name, fact in facts.items():
        stated = weighing.stated[name]
        row = min((r for r in weighing.rows if r.answers.get(name) == stated), key=lambda r: r.behind, default=None)
        measured = (
            f": {weighing.against[name]} loses {row.behind:.3g} nats per token less, p = {row.p:.0e}" if row else ""
        )
        details.append(f"{fact}{measured}")
    named = " and ".join(
        flag(name, fact.value) if fact.origin.value == "user" else name for name, fact in facts.items()
    )
    right = " ".join(flag(name, parse_field(name, value)) for name, value in weighing.against.items())
    return FactsError(
        f"the sample contradicts {named}",
        details=[*details, *_table(weighing)],
        where=_where(asked, weighing),
        remedies=[f"{right}   (what the sample is for)", "without --sample your word counts, unproved"],
    )


def not_decided(asked: Asked, weighing: Weighing, fair: Sequence[Reading]) -> FactsError:
    """Several readings predict the sample equally well, as far as it shows."""
    decided = [f"decided: {flag(name, parse_field(name, value))}" for name, value in weighing.decided.items()]
    left = " and ".join(weighing.undecided) or "whose code it was"
    return FactsError(
        f"the sample does not decide {left}",
        details=[*decided, *_table(weighing)],
        where=_where(asked, weighing),
        tried=f"a difference counts above {weighing.floor:.0e} nats per token and with p <= {weighing.level:.0e}",
        remedies=[*_dialects(asked, weighing, fair), *_flags(weighing, fair)],
    )


def _dialects(asked: Asked, weighing: Weighing, fair: Sequence[Reading]) -> Iterator[str]:
    """Dialects whose own word settles what the sample leaves open."""
    left = weighing.undecided
    if asked.named:
        return
    for each in candidates(asked.checkpoint, None, asked.said.facts):
        own = {q.field: q.if_named.value for q in each.resolution.questions if q.if_named}
        possible = any(all(getattr(r.spec, name) == own.get(name) for name in left) for r in fair)
        if possible and left:
            says = ", ".join(flag(name, own[name]).removeprefix("--set ") for name in left)
            yield f"--dialect {each.fit.dialect.id}   (its code says {says})"


def _flags(weighing: Weighing, fair: Sequence[Reading]) -> Iterator[str]:
    names = weighing.undecided
    for each in list(fair)[:_SHOWN]:
        words = " ".join(flag(name, getattr(each.spec, name)) for name in names)
        yield words or f"--dialect {each.candidate.fit.dialect.id}"


def _table(weighing: Weighing) -> Iterator[str]:
    evidence = evidence_report(weighing)
    if evidence:
        yield from evidence_lines(evidence)


def _where(asked: Asked, weighing: Weighing) -> str:
    return f"{asked.checkpoint.path} on {weighing.sample}"
