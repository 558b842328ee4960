"""A draft as the dialect file that is written, with its reasons as comments."""

from __future__ import annotations

import textwrap
import tomllib
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.entries import entries, lines, rule
from ckpt2hf.dialects.draft.parts import QUESTION, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.dialects.draft.entries import Entry
    from ckpt2hf.dialects.draft.parts import Draft, FactLine

_WIDTH = 110


def render(draft: Draft) -> str:
    """The text of the file."""
    return "\n".join(_file(draft)) + "\n"


def _file(draft: Draft) -> Iterator[str]:
    yield from _header(draft)
    yield from (
        'id = "mine"',
        f"title = {text(draft.title)}",
        f"source = {text(draft.source)}",
        f"target = {text(draft.target)}",
        "",
        "[[layout]]",
        f"title = {text('as drafted')}",
        f"family = {text(draft.family)}",
        "",
        "[layout.signature]",
        "needs = [",
        *(f"  {text(name)}," for name in draft.needs),
        "]",
        "",
    )
    yield from _facts(draft)
    made = entries(draft.places)
    written = [entry for table in ("modules", "tensors", "rule") for entry in made if entry.table == table]
    numbers = {e.name: k for k, e in enumerate((e for e in written if not e.sure), 1 + len(draft.open_facts))}
    for table in ("modules", "tensors"):
        if inside := [entry for entry in made if entry.table == table]:
            yield f"[layout.{table}]"
            yield from _grouped(inside, numbers)
            yield ""
    for entry in made:
        if entry.table == "rule":
            yield from rule(entry, numbers.get(entry.name, 0))
            yield ""
    for left in draft.left_out:
        yield f"# {list(left.kind.shape)}: {left.why}"
        yield "[[layout.tie]]" if left.tie else "[[layout.drop]]"
        yield f"name = {text(left.kind.pattern)}"
        yield f"{'same_as' if left.tie else 'expect'} = {text(left.expect)}"
        yield ""


def _grouped(inside: list[Entry], numbers: dict[str, int]) -> Iterator[str]:
    """The lines of a table; a question stands apart."""
    before = True
    for k, entry in enumerate(inside):
        if k and not (entry.sure and before):
            yield ""
        yield from lines(entry, numbers.get(entry.name, 0))
        before = entry.sure


def _header(draft: Draft) -> Iterator[str]:
    asked = len(draft.open_facts) + sum(not entry.sure for entry in entries(draft.places))
    many = "s" if asked > 1 else ""
    if asked:
        yield from _comment(
            f'A draft, with {asked} question{many} at first: wherever "{QUESTION}" stands, put one of the lines above '
            "it in its place, or another that is right. Until then the file is not valid; "
            "`ckpt2hf dialects show ./FILE` lists what is left."
        )
    else:
        yield from _comment("A draft in which every tensor has its place.")
    if draft.questions:
        yield from _comment(
            f"Facts that weights do not show are asked for at each conversion: {', '.join(draft.questions)}. "
            "Answer each with --set, let --reference decide, or write here what your code says, in place of the "
            'question: activation = { const = "relu", why = "the line of your code" }.'
        )
    yield from _comment("A number beside a place is how sure the draft is of it, from 0 to 1.")
    for reason in draft.reasons:
        yield from _comment(reason)
    told = ", ".join(f"{name} = {value}" for name, value in draft.family_facts.items())
    yield from _comment(f"Taken from the family, unless a line below says otherwise: {told}.")
    yield ""


def _comment(words: str) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _facts(draft: Draft) -> Iterator[str]:
    yield "[layout.facts]"
    number = 0
    for fact in draft.facts:
        if fact.sources[0] == text(QUESTION):
            number += 1
            yield f"# Question {number}. {fact.name}: which tensor shows it? As answered below. One of"
            yield from (f"#   {fact.name} = {source}" for source in fact.sources[1:])
            yield f"{fact.name} = {text(QUESTION)}"
        else:
            yield from _fact(fact)
    yield ""


def _fact(fact: FactLine) -> Iterator[str]:
    if fact.asked:  # a line for each answer
        asked = tomllib.loads(f"it = {fact.sources[0]}")["it"]
        yield f"{fact.name}.ask = {text(asked['ask'])}"
        for answer, meaning in asked.get("choices", {}).items():
            yield f"{fact.name}.choices.{answer if answer.isidentifier() else text(answer)} = {text(meaning)}"
        return
    if len(fact.sources) == 1:
        yield f"{fact.name} = {fact.sources[0]}"
        return
    yield f"{fact.name} = ["
    yield from (f"  {source}," for source in fact.sources)
    yield "]"
