"""What is in a checkpoint, for people and as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import Record
from ckpt2hf.cli.console import OUT, rows, size
from ckpt2hf.dialects import flag
from ckpt2hf.naming import collapse
from ckpt2hf.report import fact_reports, plain_tree
from ckpt2hf.tensors import TensorRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.api import Understanding
    from ckpt2hf.dialects import Candidate, Question

_WIDTH = 88
"""Characters of a metadata value that are shown."""


def show_understanding(found: Understanding, *, names: bool) -> None:
    """The file, what it says about itself, the candidates, and what is missing to convert it."""
    at = found.checkpoint
    total = sum(ref.meta.nbytes for ref in at.tensors.values())
    rows([("file", f"{at.path}  ({at.container})", "bold")])
    under = f" under {at.weights_key!r}" if at.weights_key else ""
    rows([("weights", f"{len(at.tensors)} tensors, {size(total)}{under}", "")])
    if at.prefixes:
        rows([("prefixes", f"{' '.join(at.prefixes)}  (taken off every name)", "")])
    rows(
        ("metadata" if k == 0 else "", f"{key}: {brief(value)}", "")
        for k, (key, value) in enumerate(at.metadata.items())
    )
    rows(("beside it", name, "") for name in sorted(at.side))
    if names:
        for name, ref in at.tensors.items():
            OUT.print(f"  {name}  {ref.meta}", markup=False)
    OUT.print()
    for candidate in found.candidates:
        rows(_candidate(candidate))
    if not found.candidates:
        OUT.print("[bold]no dialect fits[/]")
        rows(("", f"{each.dialect.id}: {each.layout.title}: {each.reason}", "") for each in found.fits)


def _candidate(candidate: Candidate) -> Iterator[tuple[str, str, str]]:
    fit, resolution = candidate.fit, candidate.resolution
    state = "complete" if candidate.complete else "facts missing" if not resolution.conflicts else "contradicted"
    yield "candidate", f"{fit.dialect.id}: {fit.layout.title}  [{state}]", "bold"
    yield "", candidate.reason, "dim"
    for k, fact in enumerate(fact_reports(resolution.facts)):
        yield "known" if k == 0 else "", f"{fact.field:16} {fact.value!s:15} {fact.origin}: {fact.where}", ""
    for question in resolution.questions:
        yield "missing", f"{question.field:16} {question.text}", "yellow"
        for answer, meaning in _answers(question):
            yield "", f"{'':16} {answer}   {meaning}".rstrip(), ""
    for conflict in resolution.conflicts:
        yield "conflict", conflict, "red"
    yield "", "", ""


def _answers(question: Question) -> list[tuple[str, str]]:
    if not question.choices:
        return [(words, "") for words in question.flags]
    return [(flag(question.field, answer), meaning) for answer, meaning in question.choices.items()]


def brief(value: object) -> str:
    """A metadata value in one line."""
    if isinstance(value, Record):
        fields = ", ".join(f"{k}={brief(v)}" for k, v in value.fields.items())
        text = f"{value.class_name}({fields})"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{k}: {brief(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, TensorRef):
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
            "rejected": [
                {"dialect": each.dialect.id, "layout": each.layout.title, "reason": each.reason}
                for each in found.fits
                if not each.fits
            ],
        }
    )
    return tree


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    resolution = candidate.resolution
    return {
        "dialect": candidate.fit.dialect.id,
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
