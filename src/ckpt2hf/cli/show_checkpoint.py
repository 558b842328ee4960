"""What is in a checkpoint, for people and as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import Record
from ckpt2hf.cli.console import OUT, room, rows
from ckpt2hf.cli.remedies import folded
from ckpt2hf.cli.show_report import evidence_rows, fact_rows
from ckpt2hf.dialects import flag, told
from ckpt2hf.naming import collapse
from ckpt2hf.report import evidence_report, fact_reports, plain_tree
from ckpt2hf.report.wording import size
from ckpt2hf.tensors import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.api import Checkpoint, Understanding
    from ckpt2hf.dialects import Candidate, Question
    from ckpt2hf.run.ask_sample import Judgement

_WIDTH = 88
"""Characters of a metadata value that are shown."""


def show_understanding(found: Understanding, *, names: bool) -> None:
    """The file, what it says about itself, the candidates, and what is missing to convert it."""
    rows(_file(found.checkpoint))
    if names:
        rows(("tensor", f"{name}  {ref.meta}", "") for name, ref in found.checkpoint.tensors.items())
    for candidate in found.candidates:
        OUT.print()
        rows(_candidate(candidate, found.checkpoint))
    if found.judgement:
        OUT.print()
        rows(_judged(found.judgement))
    if not found.candidates:
        refusing = [each for each in found.fits if each.refuses]
        OUT.print("\n[bold]a codebase that cannot be converted[/]" if refusing else "\n[bold]no dialect fits[/]")
        rows(("", line, "") for line in told(refusing or found.fits))
        if not refusing:
            draft = f"ckpt2hf inspect {shlex.quote(str(found.checkpoint.path))} --draft mine.toml"
            rows(("a draft" if k == 0 else "", line, "green") for k, line in enumerate(folded(draft, room())))


def _file(at: Checkpoint) -> Iterator[tuple[str, str, str]]:
    total = sum(ref.meta.nbytes for ref in at.tensors.values())
    under = f" under {at.weights_key!r}" if at.weights_key else ""
    yield "file", f"{at.path}  ({at.container})", "bold"
    yield "weights", f"{len(at.tensors)} tensors, {size(total)}{under}", ""
    if at.prefixes:
        yield "prefixes", f"{' '.join(at.prefixes)}  (taken off every name)", ""
    for k, (key, value) in enumerate(at.metadata.items()):
        yield "metadata" if k == 0 else "", f"{key}: {brief(value)}", ""
    for name in sorted(at.side):
        yield "beside it", name, ""


def _candidate(candidate: Candidate, checkpoint: Checkpoint) -> Iterator[tuple[str, str, str]]:
    fit, resolution = candidate.fit, candidate.resolution
    state = "contradicted" if resolution.conflicts else "complete" if candidate.complete else "facts missing"
    yield "candidate", f"{fit.dialect.name}: {fit.layout.title}  [{state}]", "bold"
    yield "", candidate.reason, "dim"
    yield from fact_rows("known", fact_reports(resolution.facts))
    settled = {question.field: question.if_named for question in resolution.questions if question.if_named}
    yield from fact_rows("if named", fact_reports(settled))
    missing = [question for question in resolution.questions if not question.if_named]
    for question in missing:
        yield "missing", f"{question.field:18}  {question.text}", "yellow"
        yield from (("", f"{'':18}  {answer}".rstrip(), "") for answer in _answers(question))
    for conflict in resolution.conflicts:
        yield "conflict", conflict, "red"
    if not resolution.conflicts:
        yield from _way(candidate, checkpoint, missing)


def _way(candidate: Candidate, checkpoint: Checkpoint, missing: Sequence[Question]) -> Iterator[tuple[str, str, str]]:
    """The command that converts the checkpoint so."""
    naming = (
        [] if candidate.named or candidate.complete or candidate.fit.mark else [f"--dialect {candidate.fit.dialect.id}"]
    )
    answers = [question.flags[0] for question in missing]
    words = ["ckpt2hf convert", shlex.quote(str(checkpoint.path)), "-o DIR", *naming, *answers]
    for k, line in enumerate(folded(" ".join(words), room())):
        yield "convert" if k == 0 else "", line, "green"
    if any(len(question.flags) > 1 for question in missing):
        yield "", "(or with another of the answers above)", "dim"


def _judged(judgement: Judgement) -> Iterator[tuple[str, str, str]]:
    """What a sample showed, and what follows from it."""
    if judgement.weighing is not None:
        yield from evidence_rows(evidence_report(judgement.weighing))
        for name, value in judgement.weighing.decided.items():
            yield "decided", flag(name, value), "green"
    if judgement.refusal:
        yield "refused", judgement.refusal.what, "yellow"


def _answers(question: Question) -> list[str]:
    answers = {flag(question.field, answer): meaning for answer, meaning in question.choices.items()}
    width = max(map(len, answers), default=0)
    return [f"{words:{width}}  {meaning}" for words, meaning in answers.items()] or question.flags


def brief(value: object) -> str:
    """A metadata value in one line."""
    if isinstance(value, Record):
        fields = ", ".join(f"{k}={brief(v)}" for k, v in value.fields.items())
        text = f"{value.class_name}({fields})"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{k}: {brief(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, Stored):
        text = f"tensor {value.meta}"
    else:
        text = repr(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def understanding_json(found: Understanding) -> dict[str, Any]:
    """The same as data."""
    at = found.checkpoint
    tree: dict[str, Any] = plain_tree(
        {
            "path": at.path,
            "container": at.container,
            "weights_key": at.weights_key,
            "prefixes": list(at.prefixes),
            "files": [str(path) for path in at.files],
            "metadata": {key: _json(value) for key, value in at.metadata.items()},
            "side_files": sorted(at.side),
            "tensors": [
                {"name": name, "shape": list(ref.meta.shape), "dtype": ref.meta.dtype.torch_name}
                for name, ref in at.tensors.items()
            ],
            "names": collapse(at.tensors),
            "candidates": [_candidate_json(candidate) for candidate in found.candidates],
            "sample": _sample_json(found.judgement),
            "rejected": [
                {"dialect": each.dialect.id, "layout": each.layout.title, "reason": each.reason}
                for each in found.fits
                if not each.fits
            ],
        }
    )
    return tree


def _sample_json(judgement: Judgement | None) -> dict[str, Any] | None:
    if judgement is None:
        return None
    refusal = judgement.refusal.what if judgement.refusal else None
    return {"evidence": evidence_report(judgement.weighing), "refused": refusal}


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    resolution = candidate.resolution
    return {
        "dialect": candidate.fit.dialect.id,
        "file": str(file.path) if (file := candidate.fit.dialect.file) else None,
        "layout": candidate.fit.layout.title,
        "reason": candidate.reason,
        "complete": candidate.complete,
        "known": fact_reports(resolution.facts),
        "missing": [
            {"field": q.field, "question": q.text, "choices": q.choices, "flags": q.flags} for q in resolution.questions
        ],
        "conflicts": list(resolution.conflicts),
    }


def _json(value: object) -> object:
    if isinstance(value, Record):
        return {"class": value.class_name, **{key: _json(item) for key, item in value.fields.items()}}
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else brief(value)
