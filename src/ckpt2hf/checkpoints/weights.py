"""Which part of a checkpoint's tree is the weights: found by what it looks like, never guessed between two."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import module_tree
from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.values import NUMPY_ARRAY, UNSUPPORTED_TENSOR, label, shown
from ckpt2hf.errors import CheckpointError, UsageError
from ckpt2hf.tensors import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.checkpoints.checkpoint import Inert, Module

MAX_DEPTH = 4
"""How deep below the top the weights may lie."""
MAX_VISITS = 5_000_000
MAX_CANDIDATES = 64
_OPTIMIZER_KEYS = {"opt", "opts", "opt_state", "opt_state_dict", "scheduler", "schedulers", "lr_scheduler"}
_OPTIMIZER_KEYS |= {"scheduler_state_dict", "lr_schedulers", "scaler", "grad_scaler", "amp", "callbacks", "loops"}
_OPTIMIZER = re.compile(r"optim(?!al|ised|ized)")
_EXTRA_STATE = "_extra_state"
"""Source: pytorch/pytorch torch/nn/modules/module.py (get_extra_state): what a module adds that is no tensor."""


@dataclass(frozen=True, slots=True)
class Found:
    """The weights of one model in a tree."""

    key: str
    """Dotted; empty for the top."""
    tensors: dict[str, Stored]
    modules: dict[str, Module] = field(default_factory=dict)
    leftovers: dict[str, Inert] = field(default_factory=dict)
    """What lies between the tensors without being one."""
    places: tuple[Inert, ...] = ()
    """Every part of the tree that looks like the weights of a model, these among them."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    key: str
    values: dict[str, Inert]
    modules: dict[str, Module]
    place: Inert

    @property
    def is_pure(self) -> bool:
        return all(_is_tensor(v) or k.rpartition(".")[2] == _EXTRA_STATE for k, v in self.values.items())

    @property
    def is_substantial(self) -> bool:
        return any(isinstance(v, Stored) and v.meta.dtype.is_float and len(v.meta.shape) > 1 for v in self.tensors)

    @property
    def has_parameter_names(self) -> bool:
        return any("." in name for name, value in self.values.items() if _is_tensor(value))

    @property
    def tensors(self) -> list[Inert]:
        return [value for value in self.values.values() if _is_tensor(value)]


def _is_tensor(value: Inert) -> bool:
    return isinstance(value, Stored) or (isinstance(value, Record) and value.class_name == UNSUPPORTED_TENSOR)


def is_optimizer(key: str, value: Inert) -> bool:
    """Whether an entry of a checkpoint is the state of an optimizer or of something that belongs to one."""
    if not isinstance(value, Mapping | list | tuple | Record):
        return False
    name = key.lower()
    return bool(_OPTIMIZER.search(name)) or name in _OPTIMIZER_KEYS or _has_optimizer_shape(value)


def _has_optimizer_shape(value: Inert) -> bool:
    return isinstance(value, Mapping) and "param_groups" in value and "state" in value


def find(tree: Inert, weights_key: str | None, where: str) -> Found:
    """The weights in a tree. Raises UsageError if there are several, CheckpointError if there are none."""
    every = _every(tree, where)
    likely = _likely(every)
    places = tuple(c.place for c in likely)
    keys = [c.key for c in every]
    if weights_key is not None:
        chosen = [c for c in every if c.key == weights_key]
        if not chosen:
            raise UsageError(
                f"there are no weights at {weights_key or 'the top of the file'}",
                details=[f"weights are at: {', '.join(map(_shown, keys)) or 'no place'}"],
                where=where,
                remedies=[f"--weights-key {_shown(key)}" for key in keys if key] or ["leave --weights-key out"],
            )
        return _found(chosen[0], (*places, chosen[0].place), where)
    distinct = _distinct(likely)
    if not distinct:
        raise _nothing(tree, where)
    if len(distinct) > 1:
        raise UsageError(
            f"{len(distinct)} sets of weights are in this file, and one has to be chosen",
            details=[f"{_shown(c.key)}: {len(c.tensors)} tensors" for c in distinct],
            where=where,
            remedies=[f"--weights-key {_shown(c.key) if c.key else repr('')}" for c in distinct],
        )
    return _found(distinct[0], places, where)


def _shown(key: str) -> str:
    return shown(key) or "(the top)"


def _every(tree: Inert, where: str) -> list[_Candidate]:
    every: list[_Candidate] = []
    for candidate in _walk(tree, where):
        every.append(candidate)
        if len(every) > MAX_CANDIDATES:
            keys = ", ".join(_shown(c.key) for c in every[:8])
            raise CheckpointError("tensors are scattered over the whole file", details=[f"{keys} …"], where=where)
    return every


def _likely(every: list[_Candidate]) -> list[_Candidate]:
    """Without those that hold only vectors, and without containers of weights that hold some tensor of their own."""
    substantial = [c for c in every if c.is_substantial] or every
    return [c for c in substantial if c.is_pure or c.has_parameter_names or not _is_above_another(c, substantial)]


def _is_above_another(candidate: _Candidate, others: list[_Candidate]) -> bool:
    prefix = f"{candidate.key}." if candidate.key else ""
    return any(other is not candidate and other.key.startswith(prefix) for other in others)


def _walk(tree: Inert, where: str) -> Iterator[_Candidate]:
    """Every mapping with at least one floating-point tensor that is no scalar, and every module, breadth first."""
    pending: list[tuple[str, Inert, int]] = [("", tree, 0)]
    seen: dict[int, Inert] = {}
    for key, value, depth in pending:
        if id(value) in seen or _has_optimizer_shape(value):
            continue
        seen[id(value)] = value
        if module_tree.is_module(value):
            model = module_tree.walk(value, where)
            if any(_is_tensor(tensor) for tensor in model.tensors.values()):
                yield _Candidate(key, model.tensors, model.modules, value)
            continue
        if isinstance(value, Mapping) and _holds_weights(value):
            yield _Candidate(key, {str(name): part for name, part in value.items()}, {}, value)
        if depth < MAX_DEPTH:
            prefix = f"{key}." if key else ""
            parts = [(prefix + name, part, depth + 1) for name, part in _parts(value) if not is_optimizer(name, part)]
            pending += parts
            if len(pending) > MAX_VISITS:
                raise CheckpointError("the file holds far more parts than any checkpoint", where=where)


def _holds_weights(values: Mapping[object, Inert]) -> bool:
    return all(isinstance(name, str) for name in values) and any(
        isinstance(value, Stored) and value.meta.dtype.is_float and value.meta.shape for value in values.values()
    )


def _parts(value: Inert) -> Iterator[tuple[str, Inert]]:
    if isinstance(value, Record):
        value = value.fields
    if isinstance(value, Mapping):
        entries = [(label(name), part) for name, part in value.items()]
    elif isinstance(value, list | tuple):
        entries = [(str(index), part) for index, part in enumerate(value)]
    else:
        entries = []
    for name, part in entries:
        if isinstance(part, Mapping | list | tuple | Record):
            yield name, part


def _distinct(candidates: list[_Candidate]) -> list[_Candidate]:
    """Candidates that are not just another name for the very same tensors."""
    kept: list[_Candidate] = []
    known: list[set[Stored]] = []
    for candidate in candidates:
        refs = {value for value in candidate.tensors if isinstance(value, Stored)}
        if refs not in known:
            kept.append(candidate)
            known.append(refs)
    return kept


def _found(candidate: _Candidate, places: tuple[Inert, ...], where: str) -> Found:
    tensors: dict[str, Stored] = {}
    leftovers: dict[str, Inert] = {}
    broken: list[str] = []
    for name, value in candidate.values.items():
        if not name.isprintable():
            raise CheckpointError("a tensor has a name that is no plain text", details=[shown(name)], where=where)
        if isinstance(value, Stored):
            tensors[name] = value
        elif isinstance(value, Record) and value.class_name == UNSUPPORTED_TENSOR:
            broken.append(f"{name}: {value.fields['why']}")
        elif isinstance(value, Record) and ("." in name or value.class_name.startswith(("torch.", "numpy."))):
            broken.append(f"{name}: it is of class {shown(value.class_name)}")
        elif name.rpartition(".")[2] != _EXTRA_STATE:
            leftovers[name] = value
    if broken:
        raise CheckpointError(
            f"{len(broken)} of the weights are not plain tensors",
            details=broken[:20],
            where=where,
            remedies=["save them as ordinary dense tensors: tensor.to_dense(), .dequantize(), .resolve_conj()"],
        )
    if not tensors:
        raise CheckpointError("the weights hold no tensors", where=where)
    return Found(candidate.key, tensors, candidate.modules, leftovers, places)


def _nothing(tree: Inert, where: str) -> CheckpointError:
    """What to say about a file without weights."""
    remedies = ["save the weights: torch.save(model.state_dict(), path)"]
    if isinstance(tree, Mapping):
        if _has_optimizer_shape(tree):
            return CheckpointError("this file holds only the state of an optimizer, no weights", where=where)
        arrays = [k for k, v in tree.items() if isinstance(v, Record) and v.class_name == NUMPY_ARRAY]
        if arrays:
            what = "this file holds NumPy arrays, not tensors"
            return CheckpointError(
                what,
                details=[f"such as {shown(label(arrays[0]))}"],
                where=where,
                remedies=["convert them with torch.from_numpy first"],
            )
        seen = [f"{shown(label(key))}: {_described(label(key), value)}" for key, value in list(tree.items())[:20]]
    else:
        seen = [f"the top: {_described('', tree)}"]
    return CheckpointError("there are no weights in this file", details=seen, where=where, remedies=remedies)


def _described(key: str, value: Inert) -> str:
    if is_optimizer(key, value):
        return "optimizer state"
    if isinstance(value, Stored):
        return f"a tensor, {value.meta}"
    if isinstance(value, Record):
        return shown(value.class_name)
    if isinstance(value, Mapping | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
