"""What reading a checkpoint gives: named tensors, not yet loaded, and inert facts beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tensors import Stored

Inert: TypeAlias = object
"""A value that came out of a file: None, numbers, strings, bytes, lists, tuples, dicts, Stored or Record."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An instance of a class we do not import: its name and the data it was pickled with, nothing that can run."""

    class_name: str
    """Dotted, such as `__main__.GPTConfig` or `argparse.Namespace`."""
    args: tuple[Inert, ...] = ()
    fields: dict[str, Inert] = field(default_factory=dict)
    """Attributes by name: the instance's `__dict__` and slots, and entries of a dict subclass with string keys."""
    items: list[Inert] = field(default_factory=list)
    """What was appended to it, for list-like classes."""


@dataclass(frozen=True, slots=True)
class Module:
    """One `nn.Module` of a pickled model: its class and its plain attributes."""

    class_name: str
    attributes: Mapping[str, Inert]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint: weights by name, and everything else the file says, as inert data."""

    path: Path
    """What the user named: a file or a directory."""
    container: str
    """The format in words, such as `torch zip file` or `accelerate directory`."""
    files: Sequence[Path]
    """Every file the tensors live in, in reading order."""
    weights_key: str
    """Where in the file's tree the weights are: `` for the top, else such as `model`."""
    prefixes: Sequence[str]
    """Wrapper prefixes stripped from every name, outermost first, such as `_orig_mod.`.

    `*._orig_mod.` stands for one taken out of the middle of some names."""
    tensors: Mapping[str, Stored]
    """The weights and buffers, by name without prefixes, in file order."""
    metadata: Mapping[str, Inert]
    """Everything beside the weights, as a tree; optimizer state left out."""
    modules: Mapping[str, Module]
    """For a pickled model: its modules by dotted name (`` is the model itself); else empty."""
    side: Mapping[str, Mapping[str, Inert]]
    """Settings found beside the checkpoint, by file name (`config.json`, `ckpt2hf.toml`); or by `../config.json`, where
    the checkpoint is a directory and the file lies beside it."""

    def lookup(self, path: str) -> Inert | None:
        """The metadata at a dotted path such as `model_args.n_head`, through mappings and records; None if absent."""
        return lookup(self.metadata, path)

    def settings(self, name: str) -> tuple[str, Mapping[str, Inert]]:
        """The settings file of a name, with where it lies; empty if there is none."""
        above = f"../{name}"
        return (above, self.side[above]) if above in self.side else (name, self.side.get(name, {}))


def lookup(tree: Inert, path: str) -> Inert | None:
    """The value at a dotted path through mappings, records and sequences; None if there is no such path."""
    node = tree
    for part in path.split("."):
        if isinstance(node, Record):
            node = node.fields
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list | tuple) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node
