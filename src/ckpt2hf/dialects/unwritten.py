"""A checkpoint that training code could have saved, and that nobody has written yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ckpt2hf.checkpoints import Checkpoint
from ckpt2hf.dialects.buffers import buffer
from ckpt2hf.ir import plain
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.naming import link, names_of, to_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.dialects.saving import SaveEntry
    from ckpt2hf.dialects.schema import Layout
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming import Link
    from ckpt2hf.ops import Mosaic
    from ckpt2hf.tensors import Array, Box, Meta, Readable, TensorRef

_MATRIX = 2


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What a layout makes of a model: the tensors of a file, and what stands beside them."""

    links: tuple[Link, ...]
    """The layout's rules for this model."""
    tensors: Mapping[str, Readable]
    """Every tensor with a storage of its own, in the order of a forward pass; masks and tables last."""
    buffers: frozenset[str]
    """Those of them that carry no knowledge."""
    same: Mapping[str, str]
    """Second names, and the tensor each shares its storage with."""
    beside: Mapping[str, object]
    """Plain values by path."""
    weights: str
    """The path of the state dict."""

    def checkpoint(self) -> Checkpoint:
        """The file as if it were there and had been read."""
        held = {name: _Held(part, name) for name, part in self.tensors.items()}
        whole = {**held, **{name: held[holder] for name, holder in self.same.items()}}
        tree: dict[str, object] = {}
        for path, value in self.beside.items():
            *parents, last = path.split(".")
            at = tree
            for part in parents:
                at = cast("dict[str, object]", at.setdefault(part, {}))
            at[last] = value
        return Checkpoint(
            path=Path("a file that is not written yet"),
            container="torch zip file",
            files=(),
            weights_key=self.weights,
            prefixes=(),
            tensors=cast("Mapping[str, TensorRef]", whole),  # with all that is asked of one here
            metadata=tree,
            modules={},
            side={},
        )


@dataclass(frozen=True, slots=True)
class _Held:
    """A tensor that has a storage of its own, or will have."""

    part: Readable
    holder: str

    @property
    def meta(self) -> Meta:
        """Shape and type."""
        return self.part.meta

    @property
    def storage(self) -> Meta:
        """What tells the bytes of its storage: the same, packed."""
        return self.part.meta

    @property
    def is_inflated(self) -> bool:
        """Whether it repeats some numbers, which no file that is written here does."""
        return False

    def read(self, box: Box) -> Array:
        """The elements of a box."""
        return self.part.read(box)

    def same_place(self, other: _Held) -> bool:
        """Whether both are one tensor under two names."""
        return self.holder == other.holder


def unwritten(layout: Layout, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Unwritten:
    """The file that the layout's code would have saved. Slots that it has no name for are not in it.

    Raises UnsoundRuleError where a rule would need slots of which the model has only some, MappingError where tensors
    that belong together have different types, UnsupportedError for a mask or table that this model cannot have.
    """
    links = link(layout.naming, spec)
    order = {slot: k for k, slot in enumerate(slots_of(spec))}
    links = tuple(sorted(links, key=lambda made: min(order[slot] for slot in made.slots)))
    named: dict[str, Readable] = dict(to_names(links, slots))
    same = _second_names(layout, spec, named)
    buffers: dict[str, Readable] = {}
    for entry in layout.drop:
        if entry.write:
            made = buffer(entry, spec)
            buffers |= {name: made for name in names_of(entry.name, spec) if name not in named}
    return Unwritten(
        links=links,
        tensors={**named, **buffers},
        buffers=frozenset(buffers),
        same=same,
        beside=_beside(layout.save, spec, named),
        weights=layout.save.weights,
    )


def _second_names(layout: Layout, spec: ModelSpec, named: Mapping[str, Readable]) -> dict[str, str]:
    """Each name that the code has for a tensor besides the one with a rule."""
    found = {}
    for tie in layout.tie:
        if tie.write:
            for name in names_of(tie.name, spec):
                holder = tie.same_as.format(tie.name.match(name) or {})
                if holder in named and name not in named:
                    found[name] = holder
    return found


def _beside(save: SaveEntry, spec: ModelSpec, named: Mapping[str, Readable]) -> dict[str, object]:
    """What stands beside the weights."""
    known = {**spec.dims(), **{name: plain(value) for name, value in spec.as_json().items()}}
    found: dict[str, object] = {}
    for path, entry in save.fields.items():
        found[path] = known[entry.fact] if entry.fact is not None else entry.const
    if save.optimizer is not None:
        matrices = sum(len(part.meta.shape) >= _MATRIX for part in named.values())
        decay = save.optimizer.settings.get("weight_decay", 0.0)
        groups = ((decay, range(matrices)), (0.0, range(matrices, len(named))))
        found[save.optimizer.key] = {
            "state": {},
            "param_groups": [
                {
                    **save.optimizer.settings,
                    "betas": save.optimizer.betas,
                    "weight_decay": rate,
                    "params": list(each),
                }
                for rate, each in groups
            ],
        }
    return found
