"""What a draft holds, for people and as data."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from ckpt2hf.cli.console import OUT, room, rows
from ckpt2hf.cli.remedies import folded
from ckpt2hf.dialects.draft import QUESTION, count
from ckpt2hf.dialects.draft.entries import entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.api import Drafted

_UNSURE = 0.95
"""Confidence below which a place is shown: worth a look of its own."""


def show_draft(drafted: Drafted) -> None:
    """The places, the questions, and the next command."""
    if drafted.built_in:
        rows(_built_in(drafted))
        OUT.print()
    rows(_summary(drafted))
    OUT.print()
    rows(_next(drafted))


def _built_in(drafted: Drafted) -> Iterator[tuple[str, str, str]]:
    """What fits without a file of one's own."""
    for k, each in enumerate(drafted.built_in):
        label = "built in" if k == 0 else ""
        yield label, f"{each.fit.dialect.id}: {each.fit.layout.title}  ({each.reason})", "bold"
    yield "", "a dialect of your own is needed only if that is not your code", "dim"


def _summary(drafted: Drafted) -> Iterator[tuple[str, str, str]]:
    draft = drafted.draft
    yield "draft", str(drafted.out), "bold"
    yield "from", f"{drafted.checkpoint.path}, {len(drafted.checkpoint.tensors)} tensors", ""
    for reason in draft.reasons:
        yield "", reason, "dim"
    low = draft.confidences
    how = f", confidence {low[0]:.2f} at least, {low[1]:.2f} in the middle" if low else ""
    yield "placed", f"{_tensors(count(draft.sure))}{how}", "green"
    for place in draft.sure:
        if place.choices[0].confidence < _UNSURE:
            choice = place.choices[0]
            yield "", f"{choice.confidence:.2f}  {place.kind.pattern} is {' '.join(choice.slots)}", ""
    asked = [entry for entry in entries(draft.places) if not entry.sure]
    questions = len(asked) + len(draft.open_facts)
    many = f" in {questions} question{'' if questions == 1 else 's'}" if questions else ""
    yield "asked", f"{_tensors(count(draft.asked))}{many}", "yellow" if questions else ""
    for entry in asked:
        shapes = " ".join(str(list(place.kind.shape)) for place in entry.places)
        yield "", f"{entry.name} {shapes}  {entry.places[0].question}", ""
    for fact in draft.open_facts:
        yield "", f"{fact}  which tensor shows it?", ""
    yield "left out", _tensors(count(draft.left_out)), ""
    for left in draft.left_out:
        yield "", f"{left.kind}  {left.why}", ""
    yield "facts", f"to be answered: {', '.join(draft.questions) or 'none'}", "yellow" if draft.questions else ""


def _tensors(number: int) -> str:
    return f"{number} tensor{'' if number == 1 else 's'}"


def _next(drafted: Drafted) -> Iterator[tuple[str, str, str]]:
    file = str(drafted.out)
    name = shlex.quote(file if os.sep in file else f"./{file}")
    if drafted.draft.asked:
        yield "next", f"answer what is marked {QUESTION} in {drafted.out}, then", ""
    label = "" if drafted.draft.asked else "next"
    for line in folded(f"ckpt2hf dialects show {name}", room()):
        yield label, line, "green"
    for line in folded(f"ckpt2hf inspect {shlex.quote(str(drafted.checkpoint.path))} --dialect {name}", room()):
        yield "", line, "green"


def draft_json(drafted: Drafted) -> dict[str, Any]:
    """The same as data."""
    draft = drafted.draft
    return {
        "draft": str(drafted.out),
        "path": str(drafted.checkpoint.path),
        "tensors": len(drafted.checkpoint.tensors),
        "family": draft.family,
        "target": draft.target,
        "reasons": list(draft.reasons),
        "built_in": [each.fit.dialect.id for each in drafted.built_in],
        "placed": [
            {
                "tensors": place.kind.pattern,
                "shape": list(place.kind.shape),
                "slots": list(place.choices[0].slots),
                "confidence": round(place.choices[0].confidence, 3),
                "why": place.choices[0].why,
            }
            for place in draft.sure
        ],
        "asked": [
            {
                "tensors": place.kind.pattern,
                "shape": list(place.kind.shape),
                "question": place.question,
                "answers": [
                    {"slots": list(each.slots), "ops": list(each.ops), "confidence": round(each.confidence, 3)}
                    for each in place.choices
                ],
            }
            for place in draft.asked
        ],
        "left_out": [{"tensors": left.kind.pattern, "expect": left.expect, "tie": left.tie} for left in draft.left_out],
        "open_facts": list(draft.open_facts),
        "facts": list(draft.questions),
    }
