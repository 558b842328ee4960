"""Whole pickled models (`torch.save(model)`): their state_dict and the facts their modules carry.

Source: pytorch/pytorch torch/nn/modules/module.py (state_dict, _save_to_state_dict, __setstate__).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from ckpt2hf.checkpoints.checkpoint import Module, Record
from ckpt2hf.checkpoints.inert import Settler
from ckpt2hf.checkpoints.values import label
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.checkpoint import Inert

MAX_MODULES = 100_000
MAX_ENTRIES = 2_000_000
"""Parameters, buffers and submodules of all modules together."""
MAX_DEPTH = 256
_PARTS = ("_parameters", "_buffers", "_modules")
_PRIVATE = {*_PARTS, "_non_persistent_buffers_set", "_version", "_is_full_backward_hook", "dump_patches"}


@dataclass(frozen=True, slots=True)
class Pickled:
    """A model as its pickle describes it: what `state_dict()` would give, and its modules."""

    tensors: dict[str, Inert]
    modules: dict[str, Module]


def is_module(value: Inert) -> TypeGuard[Record]:
    """Whether a record is an `nn.Module`."""
    return isinstance(value, Record) and all(isinstance(value.fields.get(part), Mapping) for part in _PARTS)


def walk(model: Record, where: str) -> Pickled:
    """Every tensor and module by dotted name; shared ones under each of their names. Raises CheckpointError."""
    found = Pickled({}, {})
    settler = Settler()
    facts: dict[int, Module] = {}
    entries = 0
    pending: list[tuple[str, Record, tuple[int, ...]]] = [("", model, ())]
    while pending:
        name, module, above = pending.pop()
        if id(module) in above or len(above) > MAX_DEPTH:
            raise CheckpointError(f"the pickled model contains itself, at {name[:200]}", where=where)
        if id(module) not in facts:
            facts[id(module)] = Module(module.class_name, _attributes(module, settler))
        found.modules[name] = facts[id(module)]
        prefix = f"{name}." if name else ""
        found.tensors.update((prefix + key, value) for key, value in _own_tensors(module))
        children = _named(module, "_modules")
        entries += sum(len(part) for name in _PARTS if isinstance(part := module.fields[name], Mapping))
        if len(found.modules) + len(pending) + len(children) > MAX_MODULES or entries > MAX_ENTRIES:
            raise CheckpointError("the pickled model has more modules or tensors than any real one", where=where)
        # A stack: pushed backwards, so that names come out in the order of state_dict().
        for key, child in reversed(children.items()):
            if is_module(child):
                pending.append((prefix + key, child, (*above, id(module))))
            elif child is not None:
                raise CheckpointError(f"the submodule {prefix + key} of the pickled model is no module", where=where)
    return found


def _named(module: Record, part: str) -> dict[str, Inert]:
    values = module.fields[part]
    return {label(key): value for key, value in values.items()} if isinstance(values, Mapping) else {}


def _own_tensors(module: Record) -> list[tuple[str, Inert]]:
    hidden = module.fields.get("_non_persistent_buffers_set", ())
    skipped = hidden if isinstance(hidden, set | frozenset) else ()
    own = list(_named(module, "_parameters").items())
    own += [(key, value) for key, value in _named(module, "_buffers").items() if key not in skipped]
    return [(key, value) for key, value in own if value is not None]


def _attributes(module: Record, settler: Settler) -> dict[str, Inert]:
    """What the module's own code set on it: PyTorch's bookkeeping (hooks and the like) left out."""
    return {
        key: settler.settle(value)
        for key, value in module.fields.items()
        if key not in _PRIVATE and not key.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called"))
    }
