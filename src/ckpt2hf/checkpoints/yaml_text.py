"""YAML as inert data: like `yaml.safe_load`, but what has a tag of its own becomes a record instead of an error.

Configurations of Hydra and Lightning have such tags. Merge keys (`<<`) are not followed: a short text full of them
means more entries than fit into any memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ckpt2hf.checkpoints.checkpoint import Record

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.checkpoint import Inert

MAX_CHARACTERS = 1 << 17
"""Far above any configuration; the parser is slow."""
_BROKEN = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What malformed text can raise inside the parser."""


class _Loader(yaml.SafeLoader):
    """Makes plain values and records, nothing else."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys where they are."""

    def record(self, suffix: str, node: yaml.Node) -> Record:
        """A value of a class we do not know: its tag and what it holds."""
        if isinstance(node, yaml.MappingNode):
            values = self.construct_mapping(node, deep=True)
            return Record(suffix, fields={str(key): value for key, value in values.items()})
        if isinstance(node, yaml.SequenceNode):
            return Record(suffix, items=self.construct_sequence(node, deep=True))
        return Record(suffix, args=(str(node.value),))


_Loader.add_constructor("tag:yaml.org,2002:merge", lambda _loader, node: str(node.value))
_Loader.add_multi_constructor("", _Loader.record)


def parsed(text: str) -> Inert:
    """The value that a YAML document describes. Raises ValueError that says what is wrong and where."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has more than {MAX_CHARACTERS} characters")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"{what}{where}") from error
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error
