"""From what a pickle left behind to data anybody can walk: a finite tree of plain values.

Names of classes become strings, containers of configuration libraries become plain ones, and whatever would make a
walk endless (a value inside itself, shared parts that multiply) is cut off with a record that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.values import Global, Storage, label
from ckpt2hf.tensors import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints.checkpoint import Inert

MAX_DEPTH = 64
MAX_NODES = 2_000_000
MAX_NODES_OF_ONE = 500_000
CUT = "(cut off: {})"
"""`class_name` of the record in place of what was cut off."""

_WRAPPED = {"omegaconf.": ("_content", "_val"), "ml_collections.": ("_fields",)}
"""Configuration classes that keep their entries in one field.

Source: omry/omegaconf omegaconf/basecontainer.py, nodes.py; google/ml_collections config_dict/config_dict.py.
"""


class Settler:
    """Settles values that may share parts; one budget for all of them."""

    def __init__(self, nodes: int = MAX_NODES) -> None:
        self.left = nodes
        self.done: dict[int, tuple[Inert, Inert, int, int]] = {}
        self.open: set[int] = set()

    def settle(self, value: Inert, depth: int = 0) -> Inert:
        """A finite tree that says the same. A part that is shared costs as much each time it is met."""
        self.left -= 1
        if self.left < 0:
            return Record(CUT.format("too large"))
        if isinstance(value, str):
            return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
        if value is None or isinstance(value, bool | int | float | complex | bytes):
            return value
        if isinstance(value, dict | list | tuple | set | frozenset | Record):
            return self._container(value, depth)
        return _leaf(value)

    def _container(self, value: Inert, depth: int) -> Inert:
        key = id(value)
        if key in self.open:
            return Record(CUT.format("it contains itself"))
        if depth >= MAX_DEPTH:
            return Record(CUT.format("too deep"))
        known = self.done.get(key)
        if known is not None and depth <= known[3]:  # else what hangs below it might get too deep here
            self.left -= known[2]
            return known[1] if self.left >= 0 else Record(CUT.format("too large"))
        before = self.left
        self.open.add(key)
        made = self._made(value, depth + 1)
        self.open.discard(key)
        # The value itself is kept, so that its id stays its own.
        self.done[key] = (value, made, before - self.left, depth)
        return made

    def _made(self, value: Inert, depth: int) -> Inert:
        if isinstance(value, dict):
            return {self.settle(k, depth): self.settle(v, depth) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(self.settle(v, depth) for v in value)
        if isinstance(value, list | set | frozenset):
            return [self.settle(v, depth) for v in value]
        if isinstance(value, Record):
            for prefix, names in _WRAPPED.items():
                inner = [value.fields[name] for name in names if name in value.fields]
                if value.class_name.startswith(prefix) and inner:
                    return self.settle(inner[0], depth)
            return Record(
                value.class_name,
                tuple(self.settle(v, depth) for v in value.args),
                {name: self.settle(v, depth) for name, v in value.fields.items()},
                [self.settle(v, depth) for v in value.items],
            )
        return _leaf(value)


def settle_all(values: Mapping[Any, Inert]) -> dict[str, Inert]:
    """Settled entries by name. One that is far too large does not cost the others."""
    left = MAX_NODES
    settled: dict[str, Inert] = {}
    for key, value in values.items():
        settler = Settler(min(left, MAX_NODES_OF_ONE))
        before = settler.left
        settled[label(key)] = settler.settle(value)
        left -= before - max(settler.left, 0)
    return settled


def _leaf(value: Inert) -> Inert:
    """A value that existed only while the pickle was read, as a plain one."""
    if isinstance(value, Global):
        return value.dotted
    if isinstance(value, Storage):
        return Record("torch.storage", fields={"dtype": value.torch_name, "nbytes": value.span.nbytes})
    if isinstance(value, Stored):
        return _number(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return Record(type(value).__name__)


def _number(ref: Stored) -> Inert:
    """A 0-d tensor (such as `best_val_loss`) as a Python number; any other tensor as it is."""
    if ref.meta.shape:
        return ref
    number: Inert = ref.load().item()
    return number
