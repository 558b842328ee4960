"""From a checkpoint to what is understood of it: buffers, blocks, and what lies outside of them, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.dialects.draft.blocks import ROLES, SHARP, Weighed, fitting, weigh
from ckpt2hf.dialects.draft.buffers import expectation
from ckpt2hf.dialects.draft.lexicon import tokens
from ckpt2hf.dialects.draft.modules import Part, parts
from ckpt2hf.dialects.draft.outside import Outside, Stored, matrix, possible, rows, weigh_outside
from ckpt2hf.dialects.draft.parts import QUESTION, SURE, Choice, Kind, LeftOut, Place, text
from ckpt2hf.dialects.draft.placing import SOME, WHICH, Placing, unknown
from ckpt2hf.dialects.draft.structure import kinds, width
from ckpt2hf.dialects.draft.understood import Understood
from ckpt2hf.dialects.draft.vectors import Vectors, weigh_vectors
from ckpt2hf.errors import MappingError
from ckpt2hf.ops import identical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.views import View
    from ckpt2hf.tensors import Array, TensorRef

_MOST_SURE = 0.99
_DOUBT = 0.5
"""What likelihoods count for where not all parts of a block could be placed together."""
_VECTOR = 1


def understand(checkpoint: Checkpoint, words: Lexicon) -> Understood:
    """The likeliest reading, and every tensor of the file in a place, a question, or left out. Raises MappingError."""
    return _Reading(checkpoint, words).understood()


@dataclass(frozen=True)
class _Reading:
    checkpoint: Checkpoint
    words: Lexicon

    @cached_property
    def all_kinds(self) -> tuple[Kind, ...]:
        found, layers = kinds({name: ref.meta.shape for name, ref in self.checkpoint.tensors.items()})
        if not layers or not any(kind.variables and kind.whole for kind in found):
            raise MappingError(
                "nothing in these tensor names is numbered as layers are, so there is nothing to begin a draft with",
                where=str(self.checkpoint.path),
                remedies=[f"ckpt2hf inspect {self.checkpoint.path} --names", "ckpt2hf dialects show nanogpt > mine.toml"],
            )
        return found

    @cached_property
    def buffers(self) -> tuple[LeftOut, ...]:
        found = []
        for kind in self.all_kinds:
            if expect := expectation(kind, self.checkpoint.tensors):
                found.append(LeftOut(kind, expect, f"its values are those of a {expect.replace('_', ' ')}"))
        return tuple(found)

    @cached_property
    def weights(self) -> tuple[Kind, ...]:
        gone = {left.kind.pattern for left in (*self.buffers, *self.twins)}
        return tuple(kind for kind in self.all_kinds if kind.pattern not in gone)

    @cached_property
    def wide(self) -> int:
        inside = {name: kind.shape for kind in self.weights if kind.variables and kind.whole for name in kind.names}
        return width(inside) or 0

    @cached_property
    def inside(self) -> tuple[tuple[Part, ...], tuple[Kind, ...]]:
        inside = [kind for kind in self.weights if kind.variables and kind.whole]
        return parts(inside, self.checkpoint.modules)

    @cached_property
    def matrices(self) -> tuple[Part, ...]:
        """What can be a matrix of a block: not a bias of two axes, which nothing pairs with its matrix."""
        return tuple(part for part in self.inside[0] if any(fitting(part, role, self.wide) for role in ROLES))

    @cached_property
    def weighed(self) -> Weighed | None:
        return weigh(self.matrices, self.wide, self.words)

    @cached_property
    def at(self) -> Mapping[str, tuple[Part, View]]:
        """The likeliest reading: each role with its matrix."""
        if self.weighed is None:
            return {}
        return {role: (part, view) for part, (role, view) in zip(self.matrices, self.weighed.best, strict=True)}

    @cached_property
    def placing(self) -> Placing:
        return Placing(self.words, self.weighed.inner if self.weighed else self.wide, self.wide, self._told_apart())

    def _told_apart(self) -> bool:
        """Whether a name says which of two equal matrices of an MLP is its gate."""
        both = {"gate", "up"} <= self.at.keys()
        return not both or any(word in tokens(self.at[word][0].name) for word in ("gate", "up"))

    @cached_property
    def kv_inner(self) -> int:
        if "k" in self.at:
            return self.at["k"][1].rows
        if "kv" in self.at:
            return self.at["kv"][1].rows // 2
        return (self.at["qkv"][1].rows - self.placing.inner) // 2 if "qkv" in self.at else 0

    @cached_property
    def vectors(self) -> tuple[Part, ...]:
        """Norms and biases of a block, in the order of the file."""
        found = [part for part in self.inside[0] if part not in self.matrices]
        found += [Part(kind, None, "") for kind in self.inside[1]]
        place = {kind.pattern: k for k, kind in enumerate(self.weights)}
        return tuple(sorted(found, key=lambda part: place[part.weight.pattern]))

    @cached_property
    def vector_shares(self) -> tuple[Mapping[tuple[str, str], float], ...]:
        open_ones = {role: view.rows for role, (part, view) in self.at.items() if part.bias is None and role != "router"}
        inner = self.placing.inner
        dims = {n for part in self.vectors if len(part.weight.shape) == 1 and inner % (n := part.weight.shape[0]) == 0}
        beside = tuple(self._beside(part) for part in self.vectors)
        given = Vectors(self.vectors, self.wide, open_ones, beside, frozenset(dims | {inner, self.kv_inner}))
        return weigh_vectors(given, self.words) or ()

    def _beside(self, part: Part) -> str:
        """The sublayer whose matrices lie in the same module as this vector, and only they."""
        name = part.weight.module or part.weight.pattern
        around = name.rpartition(".")[0] + "."
        inside = {role for role, (other, _) in self.at.items() if other.weight.pattern.startswith(around)}
        attention = inside & {"q", "k", "v", "qkv", "kv", "out"}
        if bool(attention) == bool(inside - attention):
            return ""
        return "attn_norm" if attention else "mlp_norm"

    def block_places(self) -> list[Place]:
        found = [unknown(kind, SOME) for kind in self.weights if not kind.whole]
        if self.weighed is not None:
            for part, shares in zip(self.matrices, self.weighed.shares, strict=True):
                found += self.placing.matrix(part, shares)
        else:
            found += [place for part in self.matrices for place in self._lost(part)]
        if self.vector_shares:
            for part, each in zip(self.vectors, self.vector_shares, strict=True):
                found += self.placing.vector(part, self._doubted(each))
        else:
            found += [place for part in self.vectors for place in self._lost(part)]
        return found

    def _doubted(self, shares: Mapping[tuple[str, str], float]) -> Mapping[tuple[str, str], float]:
        """The same, and nothing sure where the matrices of a block are not understood."""
        doubt = 1.0 if self.weighed is not None else _DOUBT
        return {chosen: doubt * share for chosen, share in shares.items()}

    def _lost(self, part: Part) -> list[Place]:
        """A part that fits nowhere together with the others, or in too many ways: whatever it could be by itself."""
        ways = {(role, view): 0.0 for role in ROLES for view in fitting(part, role, self.wide)}
        if not ways or not part.weight.variables:
            return [unknown(kind, WHICH) for kind in (part.weight, part.bias) if kind is not None]
        scores = {way: math.exp(SHARP * self.words.likeness(part.name, way[0])) for way in ways}
        total = sum(scores.values())
        return self.placing.which(part, {way: _DOUBT * score / total for way, score in scores.items()})

    @cached_property
    def outer(self) -> tuple[tuple[Part, ...], tuple[Kind, ...]]:
        return parts([kind for kind in self.weights if not kind.variables], self.checkpoint.modules)

    @cached_property
    def twins(self) -> tuple[LeftOut, ...]:
        """Second names of the same numbers, the output layer of a tied model among them."""
        found: list[LeftOut] = []
        gone = {left.kind.pattern for left in self.buffers}
        alone = [kind for kind in self.all_kinds if kind.pattern not in gone]
        for k, other in enumerate(alone):
            taken = {left.kind.pattern for left in found}
            for one in alone[:k]:
                if one.pattern not in taken and self._same(one, other):
                    first, second = (one, other) if one.variables else self._embedding_first(one, other)
                    found.append(LeftOut(second, first.pattern, f"the same numbers as {first.pattern}", tie=True))
                    break
        return tuple(found)

    def _same(self, one: Kind, other: Kind) -> bool:
        """Whether two kinds are the same tensors: by storage; or, for matrices that are not all alike, by value."""
        if one.shape != other.shape or one.variables != other.variables or len(one.names) != len(other.names):
            return False
        for pair in zip(one.names, other.names, strict=True):
            a, b = (self.checkpoint.tensors[name] for name in pair)
            if a.meta != b.meta:
                return False
            if a.same_place(b):
                continue
            if len(one.shape) == _VECTOR or not identical(a, b) or not np.ptp(first_row(a)):
                return False
        return True

    def _embedding_first(self, one: Kind, other: Kind) -> tuple[Kind, Kind]:
        def like(kind: Kind) -> float:
            return self.words.likeness(kind.suffix, "embed") - self.words.likeness(kind.suffix, "head")

        first, second = sorted((one, other), key=like, reverse=True)
        return first, second

    @cached_property
    def outer_matrices(self) -> tuple[Part, ...]:
        return tuple(part for part in self.outer[0] if len(matrix(part)) > _VECTOR and possible(part, self.wide))

    @cached_property
    def outer_shares(self) -> tuple[Mapping[Stored, float], ...] | None:
        return weigh_outside(Outside(self.outer_matrices, self.wide), self.words)

    def outer_places(self) -> list[Place]:
        found: list[Place] = []
        for k, part in enumerate(self.outer_matrices):
            shares = self.outer_shares[k] if self.outer_shares else {}
            found += self._outer_matrix(part, shares) if shares else self._lost(part)
        vectors = [part for part in self.outer[0] if part not in self.outer_matrices]
        vectors += [Part(kind, None, "") for kind in self.outer[1]]
        for part in vectors:
            found += self._outer_vector(part, vectors)
        return found

    def _outer_matrix(self, part: Part, shares: Mapping[Stored, float]) -> list[Place]:
        ranked = sorted(shares.items(), key=lambda each: -each[1])
        ops = ("{ squeeze = 0 }",) * (len(part.weight.shape) - len(matrix(part)))
        turned = ("{ transpose = true }",)
        weights = [
            Choice(
                (f"{role}.weight",), (*ops, *(turned if t else ())), min(share, _MOST_SURE), self.placing.why(part, role, len(ranked))
            )
            for (role, t), share in ranked
            if share > 1 - _MOST_SURE or (role, t) == ranked[0][0]
        ]
        question = "" if ranked[0][1] >= SURE else WHICH
        places = [Place(part.weight, tuple(weights), question)]
        if part.bias is not None:
            places.append(Place(part.bias, (Choice(("head.bias",), (), _MOST_SURE, "the bias of the head"),)))
        return places

    def _outer_vector(self, part: Part, vectors: Sequence[Part]) -> list[Place]:
        shape = part.weight.shape
        alike = [other for other in vectors if other.weight.shape == shape]
        if shape == (self.wide,) and len(alike) == 1:
            return self.placing.vector(part, self._doubted({("final_norm", "weight"): _MOST_SURE}))
        if shape == (self.wide,) and len(alike) == 2 and part.bias is None:  # noqa: PLR2004 - a weight and a bias
            return self.placing.vector(part, {("final_norm", "weight"): 0.5, ("final_norm", "bias"): 0.5})
        heads = {rows(part, turned=stored[1]) for part, stored in self._stored() if stored[0] in {"head", "embed"}}
        if len(shape) == 1 and shape[0] in heads and len(alike) == 1 and part.bias is None:
            return [Place(part.weight, (Choice(("head.bias",), (), _MOST_SURE, "as long as there are words"),))]
        return self._lost(part)

    def _stored(self) -> list[tuple[Part, Stored]]:
        """The likeliest role of each matrix outside the blocks."""
        shares = self.outer_shares or ()
        return [(part, max(each, key=each.__getitem__)) for part, each in zip(self.outer_matrices, shares, strict=False)]

    def _tables(self, role: str) -> dict[str, int]:
        """What could be the embedding, the positions or the head: its rows as a source, the likeliest first."""
        found: dict[str, tuple[float, int]] = {}
        for part, shares in zip(self.outer_matrices, self.outer_shares or (), strict=False):
            for (name, turned), share in shares.items():
                if name == role and share > 1 - _MOST_SURE:
                    axis = len(part.weight.shape) - 2 + turned
                    source = f"{{ shape = {text(part.weight.pattern)}{f', axis = {axis}' if axis else ''} }}"
                    found[source] = share, rows(part, turned=turned)
        return {source: found[source][1] for source in sorted(found, key=lambda source: -found[source][0])}

    def _rows_of(self, role: str) -> tuple[str, ...]:
        """The rows of a table as a source; a question where it is not sure which tensor it is."""
        found = self._tables(role)
        return tuple(found)[:1] if len(set(found.values())) < 2 else (text(QUESTION), *found)  # noqa: PLR2004 - several

    def lengths(self) -> dict[str, tuple[str, ...]]:
        """Where the numbers of words and positions come from; an output layer may have fewer rows than the embedding."""
        embed, head = self._tables("embed"), self._tables("head")
        found = {"vocab": self._rows_of("embed"), "context": self._rows_of("positions")}
        if len(embed) == len(head) == 1 and set(embed.values()) != set(head.values()):
            smaller = min((embed, head), key=lambda table: next(iter(table.values())))
            return {**found, "vocab": tuple(smaller), "embed_rows": tuple(embed), "head_rows": tuple(head)}
        return found

    def understood(self) -> Understood:
        """Everything together; every tensor of the file is in it exactly once."""
        return _together(self)


def first_row(ref: TensorRef) -> Array:
    """The numbers at the beginning of the first axis."""
    return ref.read((slice(0, 1), *(slice(0, n) for n in ref.meta.shape[1:])))


def _together(at: _Reading) -> Understood:
    places = [*at.outer_places(), *at.block_places()]
    order = {kind.pattern: k for k, kind in enumerate(at.all_kinds)}
    places.sort(key=lambda place: order[place.kind.pattern])
    left_out = [*at.buffers, *at.twins]
    _check_total(at, places, left_out)
    roles = _vector_roles(at)
    chosen = {choice.slots[0] for place in places for choice in place.choices[:1]}
    inner = at.weighed.inner if at.weighed else 0
    ff = at.at.get("down")
    stored = {role: (part, turned) for part, (role, turned) in at._stored()}  # noqa: SLF001 - of this module
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
        by_heads=_by_heads(at, ("q", "out", "k")),
        keys_by_heads=_keys_by_heads(at),
        query_rows=_rows(q),
        key_rows=_rows(at.at.get("k")),
        lengths=at.lengths(),
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


def _check_total(at: _Reading, places: Sequence[Place], left_out: Sequence[LeftOut]) -> None:
    """Every tensor of the file in exactly one place, question or drop: nothing is left out silently."""
    found = sorted(name for each in (*places, *left_out) for name in each.kind.names)
    assert found == sorted(at.checkpoint.tensors), set(found) ^ set(at.checkpoint.tensors)  # noqa: S101 - the promise


def _vector_roles(at: _Reading) -> dict[str, Part]:
    """The likeliest role of each norm of a block."""
    found: dict[str, Part] = {}
    for part, shares in zip(at.vectors, at.vector_shares, strict=False):
        role, leaf = max(shares, key=shares.__getitem__)
        if leaf == "weight":
            found.setdefault(role, part)
    return found


def _of_width(at: _Reading) -> Kind:
    """A weight with exactly one axis as long as the model is wide; a vector, if there is one."""
    fitting_ones = [kind for kind in at.weights if kind.shape.count(at.wide) == 1]
    return min(fitting_ones, key=lambda kind: (bool(kind.variables), len(kind.shape)), default=at.weights[0])


def _rows(found: tuple[Part, View] | None) -> tuple[Kind, int] | None:
    """The axis of a matrix of q or k that runs over all its heads."""
    if found is None or len(found[0].weight.shape) != 2 or "h" in found[0].weight.variables:  # noqa: PLR2004
        return None
    return found[0].weight, int(bool(found[1].turned))


def _by_heads(at: _Reading, roles: Sequence[str]) -> tuple[Kind, int | None] | None:
    for role in roles:
        if role in at.at:
            kind = at.at[role][0].weight
            if "h" in kind.variables:
                return kind, None
            if at.at[role][1].turned is None:
                return kind, next(axis for axis, length in enumerate(kind.shape) if axis != kind.shape.index(at.wide))
    return None


def _keys_by_heads(at: _Reading) -> tuple[Kind, int] | None:
    found = _by_heads(at, ("k",))
    return (found[0], found[1]) if found and found[1] is not None else None


def _biases(at: _Reading, chosen: set[str]) -> dict[str, bool | None]:
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


def _tied(at: _Reading, stored: Mapping[str, tuple[Part, bool]]) -> str:
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
