"""What a checkpoint says beside its weights: the rest of the tree, settled, optimizer state left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.inert import settle_all
from ckpt2hf.checkpoints.values import label
from ckpt2hf.checkpoints.weights import MAX_DEPTH, is_optimizer

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.checkpoints.weights import Found


def metadata(tree: Inert, found: Found) -> dict[str, Inert]:
    """The tree without any weights and without optimizer state, as plain values; empty if it is nothing else."""
    rest: dict[object, Inert] = {}
    if any(tree is place for place in found.places):
        rest.update(found.leftovers)
    elif isinstance(tree, Record):
        rest.update(tree.fields)
    elif isinstance(tree, Mapping):
        rest.update(tree)
    elif isinstance(tree, list | tuple):
        rest.update((str(index), value) for index, value in enumerate(tree))
    return settle_all(_without_weights(rest, {id(place) for place in found.places}, {}, 0))


def _without_weights(
    values: Mapping[object, Inert], places: set[int], done: dict[int, dict[object, Inert]], depth: int
) -> dict[object, Inert]:
    """A copy without the places and without optimizer state; a part met twice is copied once."""
    known = done.get(id(values))
    if known is not None:
        return known
    kept: dict[object, Inert] = {}
    for key, value in values.items():
        if is_optimizer(label(key), value) or id(value) in places:
            continue
        if isinstance(value, list | tuple) and any(id(part) in places for part in value):
            continue
        inner = depth < MAX_DEPTH and isinstance(value, dict)
        kept[key] = _without_weights(value, places, done, depth + 1) if inner else value  # type: ignore[arg-type]
    done[id(values)] = kept
    return kept
