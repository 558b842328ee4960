"""From a checkpoint to what is understood of it: the blocks, what lies outside of them, and both together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.block_reading import BlockReading
from ckpt2hf.dialects.draft.outer_reading import OuterReading
from ckpt2hf.dialects.draft.outside import matrix
from ckpt2hf.dialects.draft.parts import Kind, LeftOut, Place, text
from ckpt2hf.dialects.draft.understood import Understood

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.modules import Part
    from ckpt2hf.dialects.draft.views import View


def understand(checkpoint: Checkpoint, words: Lexicon) -> Understood:
    """The likeliest reading, and every tensor of the file in a place, a question, or left out. Raises MappingError."""
    at = BlockReading(checkpoint, words)
    outer = OuterReading(at)
    places = [*outer.places(), *at.block_places()]
    order = {kind.pattern: k for k, kind in enumerate(at.all_kinds)}
    places.sort(key=lambda place: order[place.kind.pattern])
    left_out = [*at.buffers, *at.twins]
    _check_total(at, places, left_out)
    roles = _vector_roles(at)
    chosen = {choice.slots[0] for place in places for choice in place.choices[:1]}
    inner = at.weighed.inner if at.weighed else 0
    ff = at.at.get("down")
    stored = {role: (part, turned) for part, (role, turned) in outer.stored()}
    q = at.at.get("q")
    norm_slots = {slot for slot in chosen if "norm." in slot and "attn.q_" not in slot and "attn.k_" not in slot}
    qk = roles.get("q_norm")
    down = ff[0].weight if ff else None
    return Understood(
        kinds=at.all_kinds,
        places=tuple(places),
        left_out=tuple(left_out),
        wide=at.wide,
        inner=inner,
        kv_inner=at.kv_inner,
        d_ff=ff[1].columns if ff else 0,
        counted=next(kind for kind in at.weights if kind.variables and kind.whole),
        of_width=_of_width(at),
        feed_forward=down,
        d_ff_axis=(0 if ff[1].turned else len(ff[0].weight.shape) - 1) if ff else 0,
        per_head=next((part.weight for part, _ in at.at.values() if "h" in part.weight.variables), None),
        by_heads=_by_heads(at, ("q", "out", "k")),
        keys_by_heads=_by_heads(at, ("k",)),
        query_rows=_rows(q),
        key_rows=_rows(at.at.get("k")),
        lengths=outer.lengths(),
        has_positions="positions" in stored,
        norms=tuple(role for role in ("attn_norm", "attn_out_norm", "mlp_norm", "mlp_out_norm") if role in roles),
        norm_kinds=tuple(roles[role].weight for role in roles if role.endswith("norm") and role[1] != "_"),
        norm_weight=any(slot.endswith("weight") for slot in norm_slots),
        norm_bias=any(slot.endswith("bias") for slot in norm_slots),
        final_norm=any(slot.startswith("final_norm") for slot in chosen),
        qk_norm=(qk.weight, "width" if qk.weight.shape == (inner,) else "head") if qk else None,
        gated=any(role in at.at for role in ("gate", "gate_up")) if at.weighed else None,
        experts=next((kind for kind in at.weights if "e" in kind.variables), None),
        biases=_biases(at, chosen),
        tied=_tied(at, stored),
    )


def _check_total(at: BlockReading, places: Sequence[Place], left_out: Sequence[LeftOut]) -> None:
    """Every tensor of the file in exactly one place, question or drop: nothing is left out silently."""
    each_kind = [place.kind for place in places] + [left.kind for left in left_out]
    found = sorted(name for kind in each_kind for name in kind.names)
    assert found == sorted(at.checkpoint.tensors), set(found) ^ set(at.checkpoint.tensors)  # noqa: S101 - the promise


def _vector_roles(at: BlockReading) -> dict[str, Part]:
    """The likeliest role of each norm of a block."""
    found: dict[str, Part] = {}
    for part, shares in zip(at.vectors, at.vector_shares, strict=False):
        role, leaf = max(shares, key=shares.__getitem__)
        if leaf == "weight":
            found.setdefault(role, part)
    return found


def _of_width(at: BlockReading) -> Kind:
    """A weight with exactly one axis as long as the model is wide; a vector, if there is one."""
    fitting_ones = [kind for kind in at.weights if kind.shape.count(at.wide) == 1]
    return min(fitting_ones, key=lambda kind: (bool(kind.variables), len(kind.shape)), default=at.weights[0])


def _rows(found: tuple[Part, View] | None) -> tuple[Kind, int] | None:
    """The axis of a matrix of q or k that runs over all its heads."""
    if found is None or len(found[0].weight.shape) != 2 or "h" in found[0].weight.variables:  # noqa: PLR2004
        return None
    return found[0].weight, int(bool(found[1].turned))


def _by_heads(at: BlockReading, roles: Sequence[str]) -> tuple[Kind, int, int] | None:
    """A stack with an axis for the heads and one for the width of a head, and these axes."""
    for role in roles:
        if role in at.at and at.at[role][1].turned is None:
            kind = at.at[role][0].weight
            heads, head_dim = (axis for axis in range(len(kind.shape)) if axis != kind.shape.index(at.wide))
            return kind, heads, head_dim
    return None


def _biases(at: BlockReading, chosen: set[str]) -> dict[str, bool | None]:
    """Which parts of the model have a bias in the likeliest reading; None where there is no reading."""
    alone = {max(shares, key=shares.__getitem__) for shares in at.vector_shares}
    head = {"head_bias": "head.bias" in chosen}
    parts_of = {"qkv_bias": ("q", "qkv"), "out_bias": ("out",), "mlp_bias": ("down",)}
    if at.weighed is None:
        return {**dict.fromkeys(parts_of), **head}
    found = {
        name: any((role in at.at and at.at[role][0].bias is not None) or (role, "bias") in alone for role in roles)
        for name, roles in parts_of.items()
    }
    return {**found, **head}


def _tied(at: BlockReading, stored: Mapping[str, tuple[Part, bool]]) -> str:
    """Where it is learned whether the output layer is the embedding."""
    table = stored.get("embed")
    twin = next((left for left in at.twins if table and left.expect == table[0].weight.pattern), None)
    if twin is not None:
        return f"{{ same = [{text(twin.expect)}, {text(twin.kind.pattern)}] }}"
    if {"head", "embed"} <= stored.keys() and matrix(stored["head"][0]) == matrix(stored["embed"][0]):
        names = (stored[role][0].weight.pattern for role in ("embed", "head"))
        return f"{{ same = [{', '.join(map(text, names))}] }}"
    if "head" in stored:
        return '{ const = false, why = "there is a matrix for the output layer" }'
    return '{ const = true, why = "there is no matrix for an output layer of its own" }'
