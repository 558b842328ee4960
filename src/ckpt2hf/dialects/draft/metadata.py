"""Numbers beside the weights that are facts: found by what they are called, and believed only if they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from ckpt2hf.checkpoints import Record
from ckpt2hf.dialects.draft.parts import text
from ckpt2hf.naming import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.parts import Kind

_DEPTH = 5
_SETTINGS = ("config.json", "params.json", "model_config.yaml")
CALLED: Mapping[str, frozenset[str]] = {
    "heads": frozenset(
        {"n_head", "n_heads", "num_heads", "num_head", "num_attention_heads", "heads", "nhead", "head_count", "nheads"}
    ),
    "kv_heads": frozenset({"n_kv_head", "n_kv_heads", "num_kv_heads", "num_key_value_heads", "kv_heads"}),
    "context": frozenset(
        {"block_size", "max_seq_len", "context_length", "seq_len", "max_len", "n_ctx", "ctx_len", "sequence_length"}
        | {"max_position_embeddings", "max_length", "context_size", "seq_length"}
    ),
    "norm_eps": frozenset({"norm_eps", "layer_norm_eps", "rms_norm_eps", "layernorm_eps", "ln_eps", "eps"}),
    "rope_theta": frozenset({"rope_theta", "rope_base", "rotary_base", "theta"}),
    "experts_per_token": frozenset({"num_experts_per_tok", "top_k", "n_active_experts", "experts_per_token"}),
}
"""What settings that mean a fact are called."""


@dataclass(frozen=True, slots=True)
class Said:
    """A setting found: the source of a fact as TOML writes it, and its value."""

    source: str
    value: int | float


def said(checkpoint: Checkpoint, field: str, fits: Callable[[float], bool]) -> Said | None:
    """What the settings say about a fact; None if nothing does, or if they contradict each other."""
    found = [Said(f"{{ meta = {text(path)} }}", value) for path, value in _numbers(checkpoint.metadata, field)]
    for name in _SETTINGS:
        _, tree = checkpoint.settings(name)
        found += [Said(f"{{ side = {text(f'{name}: {path}')} }}", value) for path, value in _numbers(tree, field)]
    fitting = [each for each in found if fits(each.value)]
    return fitting[0] if fitting and len({each.value for each in fitting}) == 1 else None


def said_by_module(
    checkpoint: Checkpoint, kinds: Sequence[Kind], field: str, fits: Callable[[float], bool]
) -> Said | None:
    """What the modules of a pickled model say about a fact."""
    for name, module in checkpoint.modules.items():
        for key, value in module.attributes.items():
            if key in CALLED[field] and _is_number(value) and fits(value):
                place = general(name, kinds)
                return Said(f"{{ module = {text(place)}, attribute = {text(key)} }}", value) if place else None
    return None


def general(name: str, kinds: Sequence[Kind]) -> str:
    """The name of a module with a variable for the layer."""
    heads = {kind.pattern[: kind.pattern.index("}") + 1] for kind in kinds if kind.variables}
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        for head in heads:
            if pattern(head).match(".".join(parts[:k])) is not None:
                return ".".join([head, *parts[k:]])
    return name


def _numbers(tree: object, field: str) -> Iterator[tuple[str, int | float]]:
    """Settings with one of the names of a fact, by path."""
    ahead: list[tuple[str, object, int]] = [("", tree, 0)]
    while ahead:
        path, node, depth = ahead.pop(0)
        inner = node.fields if isinstance(node, Record) else node
        if isinstance(inner, Mapping) and depth < _DEPTH:
            for key, value in inner.items():
                if isinstance(key, str) and "." not in key:
                    ahead.append((f"{path}.{key}" if path else key, value, depth + 1))
        elif path.rpartition(".")[2].lower() in CALLED[field] and _is_number(node):
            yield path, node


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
