"""What a checkpoint says beside its weights: the rest of the tree, settled, optimizer state left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.inert import Settler
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
    settler = Settler()
    return {str(key): settler.settle(value) for key, value in _without_weights(rest, found, 0).items()}


def _without_weights(values: Mapping[object, Inert], found: Found, depth: int) -> dict[object, Inert]:
    kept: dict[object, Inert] = {}
    for key, value in values.items():
        if is_optimizer(str(key), value) or any(value is place for place in found.places):
            continue
        if depth < MAX_DEPTH and isinstance(value, dict):
            kept[key] = _without_weights(value, found, depth + 1)
        elif isinstance(value, list | tuple) and any(part is place for part in value for place in found.places):
            continue
        else:
            kept[key] = value
    return kept
