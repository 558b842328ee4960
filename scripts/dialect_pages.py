"""The generated text about dialects, and the tables all generated pages are made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt2hf.api import dialects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckpt2hf.dialects import Dialect, Layout
    from ckpt2hf.dialects.fact_source import FactSource
    from ckpt2hf.dialects.rule_entry import OpEntry, RuleEntry


def dialect_rows() -> str:
    """The dialects in a table, for README.md."""
    rows = ((f"`{d.id}`", plain_text(d.title), becomes(d), asked(d)) for d in dialects())
    return table(("dialect", "codebase", "becomes", "asked for, unless the file shows it"), rows)


def becomes(dialect: Dialect) -> str:
    """The architectures of a dialect; of a codebase that is only refused, that."""
    names = dict.fromkeys(layout.target or dialect.target for layout in dialect.layout if layout.refuse is None)
    some = "; some refused" if names and any(layout.refuse for layout in dialect.layout) else ""
    return ", ".join(f"`{name}`" for name in names) + some if names else "refused, with the reason"


def asked(dialect: Dialect) -> str:
    """The facts that a person is asked for when nothing in the file shows them."""
    names = dict.fromkeys(
        name for layout in dialect.layout for name, sources in layout.facts.items() if any(s.ask for s in sources)
    )
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def every_dialect() -> str:
    """Every dialect: what its files show and hide, and how its tensors map to slots."""
    return "\n".join(map(dialect_part, dialects()))


def dialect_part(dialect: Dialect) -> str:
    """One dialect."""
    head = f"## {dialect.id}\n\n{dialect.title}. Read from {dialect.source}. Target: `{dialect.target}`.\n"
    return "\n".join([head, *(layout_part(layout) for layout in dialect.layout)])


def layout_part(layout: Layout) -> str:
    """One generation of a codebase."""
    if layout.refuse is not None:
        needs = names(layout.signature.needs)
        return f"### {plain_text(layout.title)}\n\nRefused: {plain_text(layout.refuse)}. Recognised by {needs}.\n"
    rules = [(f"`{name}`", f"`{slot}`", "each tensor of the module") for name, slot in layout.modules.items()]
    rules += [(f"`{name}`", f"`{slot}`", "") for name, slot in layout.tensors.items()]
    rules += [(names(r.names), names(r.slots), ", ".join(rule_words(r))) for r in layout.rule]
    rules += [(f"`{t.name}`", f"the same numbers as `{t.same_as}`", "proved, or absent") for t in layout.tie]
    rules += [
        (f"`{d.name}`", "left out", f"once proved to be as expected: {d.expect.value.replace('_', ' ')}")
        for d in layout.drop
    ]
    target = f" Target: `{layout.target}`." if layout.target else ""
    kin = f" Facts not listed are those of the family `{layout.family}`." if layout.family != "none" else ""
    parts = [f"### {plain_text(layout.title)}\n", f"Needs {names(layout.signature.needs)}.{target}{kin}\n"]
    if layout.also:
        parts.append(f"Where that class cannot express it: {', '.join(f'`{name}`' for name in layout.also)}.\n")
    if layout.note:
        parts.append(f"Note: {plain_text(layout.note)}.\n")
    if layout.signature.marks:
        marks = [m.meta or m.record or m.side or str(m.tensor) for m in layout.signature.marks]
        parts.append(f"Recognised for certain by {', '.join(f'`{mark}`' for mark in marks)}.\n")
    parts.append(
        table(("fact its names do not show", "places that can tell; those that do must agree"), hidden_facts(layout))
    )
    return "\n".join([*parts, table(("tensor", "slot", ""), rules)])


def hidden_facts(layout: Layout) -> Iterator[tuple[str, str]]:
    """The facts that a dialect states or asks for."""
    for name, sources in layout.facts.items():
        if any(s.ask or s.const is not None for s in sources):
            doubt = "<br>certain only with `--dialect` or a mark: others with these names differ"
            told = "<br>".join(source_words(source) for source in sources)
            yield f"`{name}`", told + (doubt if name in layout.hidden and not all(s.ask for s in sources) else "")


def source_words(source: FactSource) -> str:
    """One place a fact can come from."""
    where = " and ".join(
        [f"`{path}` is there" for path in (*source.when.has, *source.when.tensor)]
        + [f"`{path}` is not" for path in (*source.when.lacks, *source.when.no_tensor, *source.when.no_module)]
        + [f"`{path}` is `{text}`" for path, text in source.when.equal.items()]
    )
    when = f" (when {where})" if where else ""
    if source.ask:
        answers = "; ".join(f"`{a}`: {plain_text(m)}" if m else f"`{a}`" for a, m in source.choices.items())
        return f"asked: {plain_text(source.ask)} {answers}".rstrip() + when
    if source.const is not None:
        return f"`{source.const}`: {plain_text(source.why)}{when}"
    found = getattr(source, source.kind)
    attribute = f".{source.attribute}" if source.attribute else ""
    sums = "".join(f" {sign} `{name}`" for sign, name in source.arithmetic)
    return f"{source.kind} {names(found) if isinstance(found, tuple) else f'`{found}{attribute}`'}{sums}{when}"


def rule_words(rule: RuleEntry) -> Iterator[str]:
    """What is done by a rule, and with what."""
    yield from map(op_words, rule.ops)
    if rule.apart() != (rule,):
        yield "for each tensor of the module"


def op_words(op: OpEntry) -> str:
    """One op of a rule."""
    said = {
        "transpose": op.transpose and "transpose",
        "split": op.split and f"split along axis {op.axis} into {' + '.join(op.split)}",
        "join": op.join and f"join along axis {op.axis}, {op.join} each",
        "squeeze": op.squeeze is not None and f"squeeze axis {op.squeeze}",
        "unsqueeze": op.unsqueeze is not None and f"unsqueeze axis {op.unsqueeze}",
        "unstack": op.unstack and f"unstack {op.unstack}",
        "stack": op.stack and "stack",
        "deal": op.deal and f"deal {' + '.join(op.deal)} in {op.rounds} rounds",
    }
    return next(words for words in said.values() if words)


def plain_text(text: str) -> str:
    """Text whose stars and underscores Markdown leaves alone."""
    return re.sub(r"([*_<])", r"\\\1", text)


def names(patterns: Iterable[object]) -> str:
    """Tensor names in a row."""
    return ", ".join(f"`{pattern}`" for pattern in patterns)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in line) + " |\n" for line in lines)
