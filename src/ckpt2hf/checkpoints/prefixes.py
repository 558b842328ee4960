"""Wrapper prefixes: what torch.compile, DDP, Lightning and friends put before every name, taken off again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

WRAPPERS = frozenset({
    "_orig_mod", "module", "_forward_module", "_fsdp_wrapped_module",
    "model", "net", "gpt", "network", "llm", "lm", "base_model", "backbone", "student", "core", "generator",
    "gpt_model", "language_model", "self",
})  # fmt: skip
"""First components that are a wrapper's attribute when every name has them. `transformer` and `blocks` are not: they
belong to the model's own names.

Source: pytorch/pytorch torch/_dynamo/eval_frame.py (_orig_mod), torch/nn/parallel/distributed.py (module),
torch/distributed/fsdp (_fsdp_wrapped_module); Lightning-AI/pytorch-lightning (_forward_module, attribute names).
"""
OWN = {"model": "embed_tokens"}
"""First components that are no wrapper where this comes second: `model.embed_tokens` is how transformers names it.

Source: huggingface/transformers models/llama/modeling_llama.py (LlamaForCausalLM.model)."""
RESERVED = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
"""Components that only a wrapper makes, wherever they stand."""
DDP = "module"


@dataclass(frozen=True, slots=True)
class Stripped:
    """How names become names without wrappers."""

    prefixes: tuple[str, ...]
    """Taken from every name, outermost first; `*._orig_mod.` for one taken out of the middle."""
    names: Mapping[str, str]
    """Old to new name, one to one."""


def strip(names: Iterable[str], *, lightning: bool, where: str) -> Stripped:
    """Every name without wrapper prefixes. Raises CheckpointError if two names become one."""
    new = {name: name for name in names}
    prefixes: list[str] = []
    while (first := _common_first(new.values())) is not None and _is_wrapper(first, new.values(), lightning=lightning):
        prefixes.append(f"{first}.")
        new = {old: name[len(first) + 1 :] for old, name in new.items()}
    inner = _inner(new.values())
    new = {old: _without_inner(name, inner) for old, name in new.items()}
    prefixes += [f"*.{part}." for part in dict.fromkeys(part for parts in inner.values() for part in parts)]
    _check_one_to_one(new, where)
    return Stripped(tuple(prefixes), new)


def apply_to_modules(modules: Mapping[str, T], stripped: Stripped) -> dict[str, T]:
    """Modules under names without the same wrappers. The wrapped module wins over its wrapper."""
    outer = [prefix for prefix in stripped.prefixes if not prefix.startswith("*.")]
    total = "".join(outer)
    shortened = {
        name[len(total) :] if name.startswith(total) else "": module
        for name, module in modules.items()
        if f"{name}.".startswith(total)
    }
    inner = _inner(old[len(total) :] for old in stripped.names)
    return {_without_inner(f"{name}.", inner).removesuffix("."): module for name, module in shortened.items()}


def _common_first(names: Iterable[str]) -> str | None:
    firsts = {name.partition(".")[0] if "." in name else None for name in names}
    return firsts.pop() if len(firsts) == 1 else None


def _is_wrapper(first: str, names: Iterable[str], *, lightning: bool) -> bool:
    names = list(names)
    if any(name.split(".")[1] == OWN.get(first) for name in names):
        return False
    if first in WRAPPERS:
        return True
    # In a Lightning file every name starts with an attribute of the LightningModule; the model below it has parts.
    return lightning and len({name.split(".")[1] for name in names}) > 1


def _inner(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Wrapper components inside names, by the first component they occur under."""
    groups: dict[str, list[list[str]]] = {}
    for name in names:
        first, *rest = name.split(".")
        groups.setdefault(first, []).append(rest)
    found: dict[str, tuple[str, ...]] = {}
    for first, rests in groups.items():
        parts = {part for rest in rests for part in rest[:-1]} & RESERVED | ({first} & RESERVED)
        # `module` is a plain word: only DDP around a whole attribute puts it second in every name below.
        plain = [[part for part in rest if part not in RESERVED] for rest in rests]
        if not first.isdecimal() and all(len(rest) > 1 and rest[0] == DDP for rest in plain):
            parts.add(DDP)
        if parts:
            found[first] = tuple(sorted(parts))
    return found


def _without_inner(name: str, inner: Mapping[str, tuple[str, ...]]) -> str:
    first, *rest = name.split(".")
    parts = inner.get(first, ())
    kept = [part for part in rest if part not in RESERVED]
    if DDP in parts and kept and kept[0] == DDP:
        kept = kept[1:]
    return ".".join([*([] if first in RESERVED else [first]), *kept])


def _check_one_to_one(new: Mapping[str, str], where: str) -> None:
    sources: dict[str, str] = {}
    for old, name in new.items():
        other = sources.setdefault(name, old)
        if other != old or not name:
            raise CheckpointError(
                "two tensors have the same name once wrapper prefixes are taken off",
                details=[f"{other} and {old} both become {name}"],
                where=where,
                remedies=["save the state_dict of the unwrapped model"],
            )
