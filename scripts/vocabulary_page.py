"""The generated text about the words of a dialect file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt2hf.dialects import fact_source, rule_entry, saving, schema
from ckpt2hf.dialects.fact_source import SOURCES
from ckpt2hf.ir.samples import samples
from ckpt2hf.naming import slot_families
from ckpt2hf.naming.patterns import VARIABLES
from ckpt2hf.targets import TARGETS
from dialect_pages import plain_text, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

HEADINGS = {
    "Dialect": "The file",
    "Layout": "`[[layout]]`",
    "Signature": "`[layout.signature]`",
    "Mark": "A mark, in `marks` of a signature",
    "FactSource": "A source of a fact, in `[facts]` or `[layout.facts]`",
    "When": "A condition, in `when` of a source",
    "RuleEntry": "`[[layout.rule]]`",
    "OpEntry": "An op, in `ops` of a rule",
    "TieEntry": "`[[layout.tie]]`",
    "DropEntry": "`[[layout.drop]]`",
    "SaveEntry": "`[layout.save]`",
    "FieldEntry": "A field, in `fields` of `save`",
    "OptimizerEntry": "An optimizer, in `save`",
}
"""What each table is called in a file, in the order of reading; others follow."""
TAKES = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "PatternText": "a name",
    "Patterns": "a name, or a list of names",
    "Paths": "a path, or a list of paths",
    "bool | int | float | str": "a value",
    "tuple[str, ...]": "a list of words",
    "tuple[float, float]": "a list of two numbers",
    "dict[str, bool | int | float]": "a table",
    "dict[str, FieldEntry]": "a table",
    "tuple[str, str]": "a list of two facts",
    "tuple[PatternText, PatternText]": "a list of two names",
    "tuple[Patterns, ...]": "a list of lists of names",
    "dict[str, str]": "a table",
    "dict[str, int]": "a table",
    "dict[str, FactSources]": "a table",
    "dict[str, bool | int | float | str]": "a table",
    "Expectation": "a word",
}
"""What is written, by the annotation; a table or a list of tables has a part of the page to itself."""


KNOWN = {**vars(fact_source), **vars(saving), **vars(rule_entry), **vars(schema)}
"""Everything that may stand in an annotation, by name."""


def vocabulary(docs: Mapping[str, tuple[str, Sequence[tuple[str, str, str]]]]) -> str:
    """Every table with its words, then the slots, lengths and targets there are. `docs` are those of the schema."""
    kinds = [name for name in [*HEADINGS, *(docs.keys() - HEADINGS.keys())] if docs[name][1]]
    slots = "\n".join(f"- `{family}`" for family in slot_families())
    lengths = ", ".join(f"`{word}`" for word in samples()[0].dims())
    counted = ", ".join(f"`{{{variable}}}` ({what})" for variable, what in VARIABLES.items())
    targets = ", ".join(f"`{target.id}` ({target.hf_class})" for target in TARGETS)
    return "\n".join(
        [
            *(part(name, *docs[name]) for name in kinds),
            f"## Slots\n\nWhat a rule may give. In names, {counted} stand for numbers from 0 on.\n\n{slots}\n",
            f"## Lengths\n\nWhat `split` and `join` may name: {lengths}.\n",
            f"## Targets\n\n{targets}.\n",
        ]
    )


def part(name: str, doc: str, fields: Sequence[tuple[str, str, str]]) -> str:
    """One table of the file."""
    model: type[BaseModel] = KNOWN[name]
    rows = []
    for field, kind, said in fields:
        if field.startswith("_"):
            continue
        info = model.model_fields[field]
        needed = ", required" if info.is_required() else ""
        rows.append((f"`{info.alias or field}`", takes(kind) + needed, " ".join(said.split())))
    doc = doc.replace("the words in `SOURCES`", ", ".join(f"`{word}`" for word in SOURCES))
    return f"## {HEADINGS.get(name, name)}\n\n{plain_text(doc)}\n\n{table(('word', 'takes', ''), rows)}"


def takes(kind: str) -> str:
    """What is written for an annotation, in words."""
    inner = re.sub(r"^Annotated\[(.*), Field\(.*\)\]", r"\1", kind.removesuffix(" | None"))
    made = inner.removeprefix("tuple[").removesuffix(", ...]")
    if made in KNOWN and made not in TAKES:
        return "tables" if made != inner else "a table"
    return TAKES.get(inner, f"`{inner}`")
