"""Why no dialect could be decided, and the exact flags that would decide."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ckpt2hf.dialects.fact import flag
from ckpt2hf.dialects.fit import told
from ckpt2hf.errors import Ckpt2hfError, FactsError, MappingError, UnsupportedError
from ckpt2hf.naming import collapse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.candidate import Candidate
    from ckpt2hf.dialects.fact import Question
    from ckpt2hf.dialects.fit import Fit

_SHOWN_NAMES = 4
"""Tensor names that are enough to recognise a codebase by."""
_ALTERNATIVES = 2
"""Answers that are spelled out as commands; with more, the first one stands for all."""


def nothing_fits(checkpoint: Checkpoint, tried: Sequence[Fit], others: Sequence[Fit]) -> Ckpt2hfError:
    """No layout fits of those that were `tried`: what speaks against each. `others` are the ones that do."""
    details = told(tried)
    names = collapse(checkpoint.tensors)
    shown = ", ".join(names[:_SHOWN_NAMES]) + (" …" if len(names) > _SHOWN_NAMES else "")
    where = f"{checkpoint.path}: {shown}"
    if others:
        remedies = dict.fromkeys(f"--dialect {each.dialect.id}   ({each.layout.title})" for each in others)
        what = f"the tensors are not named as in dialect {tried[0].dialect.name}"
        return FactsError(what, details=details, where=where, remedies=remedies)
    own = tried[0].dialect.name if tried and tried[0].dialect.file else ""
    what = f"the tensors are not named as in dialect {own}" if own else "no dialect knows these tensor names"
    look = f"ckpt2hf inspect {shlex.quote(str(checkpoint.path))}"
    draft = [] if own else [f"{look} --draft mine.toml   (a dialect file of your own: docs/add-a-dialect.md)"]
    return MappingError(what, details=details, where=where, remedies=[f"{look} --names", *draft])


def refused(checkpoint: Checkpoint, fit: Fit) -> UnsupportedError:
    """A layout that is known, and known to have no counterpart."""
    return UnsupportedError(
        f"{fit.dialect.title} cannot be converted",
        details=[fit.layout.refuse or "", f"recognised as {fit.layout.title}", f"source: {fit.dialect.source}"],
        where=str(checkpoint.path),
        remedies=["no stock class computes it; it needs custom modelling code, which ckpt2hf does not write"],
    )


def ambiguous(checkpoint: Checkpoint, complete: Sequence[Candidate]) -> FactsError:
    """Several complete candidates that are different functions: where they differ."""
    specs = [each.resolution.spec.as_json() for each in complete]
    apart = [field for field in specs[0] if any(spec[field] != specs[0][field] for spec in specs)]
    details = [
        f"{each.fit.dialect.id:18} {', '.join(f'{field}={spec[field]}' for field in apart) or each.fit.layout.title}"
        for each, spec in zip(complete, specs, strict=True)
    ]
    return FactsError(
        "several dialects fit, and they compute different functions",
        details=details,
        where=str(checkpoint.path),
        remedies=[f"--dialect {each.fit.dialect.id}" for each in complete],
    )


def undecided(checkpoint: Checkpoint, found: Sequence[Candidate]) -> FactsError:
    """Candidates with questions or conflicts: each with what naming it settles and what it leaves open."""
    open_ones = [each for each in found if not each.resolution.conflicts]
    details = [line for each in open_ones or found for line in _told(each)]
    if not open_ones:
        return FactsError(
            "the facts contradict each other",
            details=details,
            where=str(checkpoint.path),
            remedies=["correct the flags or the side file named above"],
        )
    remedies = dict.fromkeys(words for each in open_ones if (words := _words(each)))
    return FactsError(
        "the file does not say which function these weights are",
        details=details,
        where=str(checkpoint.path),
        remedies=[
            *remedies,
            "--reference model.py:YourModelClass   (your own code decides)",
            "--sample text.txt   (text it was trained on decides, where it can)",
        ],
    )


def _told(each: Candidate) -> Iterator[str]:
    yield f"{each.fit.dialect.name}  ({each.fit.layout.title}: {each.reason})"
    yield from (f"  conflict  {conflict}" for conflict in each.resolution.conflicts)
    for question in each.resolution.questions:
        if question.if_named:
            yield f"  naming it says  {flag(question.field, question.if_named.value)}   {question.if_named.where}"
    for question in each.resolution.questions:
        if not question.if_named:
            yield f"  {question.field}?  {question.text}"
            for answer, meaning in question.choices.items():
                yield f"    {flag(question.field, answer)}   {meaning}".rstrip()


def _words(each: Candidate) -> str:
    """The flags that complete a candidate: its name, and an answer to every question its name does not settle."""
    answers = [_alternatives(question) for question in each.resolution.questions if not question.if_named]
    return " ".join([*([] if each.named else [f"--dialect {each.fit.dialect.id}"]), *answers])


def _alternatives(question: Question) -> str:
    flags = question.flags
    return "|".join(flags) if len(flags) <= _ALTERNATIVES else flags[0]
