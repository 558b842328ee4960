"""A block of the model as its tensors show it: buffers and second names apart, then matrices, then vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.blocks import ROLES, SHARP, Weighed, fitting, weigh
from ckpt2hf.dialects.draft.buffers import expectation
from ckpt2hf.dialects.draft.lexicon import tokens
from ckpt2hf.dialects.draft.modules import Part, parts
from ckpt2hf.dialects.draft.parts import Kind, LeftOut, Place
from ckpt2hf.dialects.draft.placing import SOME, WHICH, Placing, unknown
from ckpt2hf.dialects.draft.structure import kinds, width
from ckpt2hf.dialects.draft.twins import twins
from ckpt2hf.dialects.draft.vectors import Vectors, weigh_vectors
from ckpt2hf.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.views import View

_SHOWN = 3
"""Strange names that are told."""
_DOUBT = 0.5
"""What likelihoods count for where not all parts of a block could be placed together."""


@dataclass(frozen=True)
class BlockReading:
    """What is read off the tensors of a checkpoint about its blocks, each step from those before it."""

    checkpoint: Checkpoint
    words: Lexicon

    @cached_property
    def all_kinds(self) -> tuple[Kind, ...]:
        """Every tensor, in kinds. Raises MappingError where no layers are counted."""
        self._check_names()
        found, layers = kinds({name: ref.meta.shape for name, ref in self.checkpoint.tensors.items()})
        if not layers or not any(kind.variables and kind.whole for kind in found):
            raise MappingError(
                "nothing in these tensor names is numbered as layers are, so there is nothing to begin a draft with",
                where=str(self.checkpoint.path),
                remedies=[
                    f"ckpt2hf inspect {self.checkpoint.path} --names",
                    "ckpt2hf dialects show nanogpt > mine.toml",
                ],
            )
        return found

    def _check_names(self) -> None:
        """Refuse names that would be read as patterns. Raises MappingError."""
        strange = [name for name in self.checkpoint.tensors if set(name) & set("{}")]
        if strange:
            raise MappingError(
                "a dialect file has no words for names with braces",
                details=[repr(name) for name in strange[:_SHOWN]],
                where=str(self.checkpoint.path),
                remedies=["save the model's own state_dict"],
            )

    @cached_property
    def buffers(self) -> tuple[LeftOut, ...]:
        """Masks, positions and tables of RoPE."""
        return tuple(
            LeftOut(kind, expect, f"its values are those of `{expect}`")
            for kind in self.all_kinds
            if (expect := expectation(kind, self.checkpoint.tensors))
        )

    @cached_property
    def twins(self) -> tuple[LeftOut, ...]:
        """Second names of the same numbers, the output layer of a tied model among them."""
        gone = {left.kind.pattern for left in self.buffers}
        return twins([kind for kind in self.all_kinds if kind.pattern not in gone], self.checkpoint, self.words)

    @cached_property
    def weights(self) -> tuple[Kind, ...]:
        """What is left: every kind that has to have a place."""
        gone = {left.kind.pattern for left in (*self.buffers, *self.twins)}
        return tuple(kind for kind in self.all_kinds if kind.pattern not in gone)

    @cached_property
    def wide(self) -> int:
        """The width of the model."""
        inside = {name: kind.shape for kind in self.weights if kind.variables and kind.whole for name in kind.names}
        return width(inside) or 0

    @cached_property
    def inside(self) -> tuple[tuple[Part, ...], tuple[Kind, ...]]:
        """What lies in the blocks: weights with their biases, and vectors alone."""
        inside = [kind for kind in self.weights if kind.variables and kind.whole]
        return parts(inside, self.checkpoint.modules)

    @cached_property
    def matrices(self) -> tuple[Part, ...]:
        """What can be a matrix of a block: not a bias of two axes, which nothing pairs with its matrix."""
        return tuple(part for part in self.inside[0] if any(fitting(part, role, self.wide) for role in ROLES))

    @cached_property
    def weighed(self) -> Weighed | None:
        """The readings of the matrices together."""
        return weigh(self.matrices, self.wide, self.words)

    @cached_property
    def at(self) -> Mapping[str, tuple[Part, View]]:
        """The likeliest reading: each role with its matrix."""
        if self.weighed is None:
            return {}
        return {role: (part, view) for part, (role, view) in zip(self.matrices, self.weighed.best, strict=True)}

    @cached_property
    def placing(self) -> Placing:
        """How places are made of what is likely."""
        return Placing(self.words, self.weighed.inner if self.weighed else self.wide, self.wide, self._told_apart())

    def _told_apart(self) -> bool:
        """Whether a name says which of two equal matrices of an MLP is its gate."""
        both = {"gate", "up"} <= self.at.keys()
        return not both or any(word in tokens(self.at[word][0].name) for word in ("gate", "up"))

    @cached_property
    def kv_inner(self) -> int:
        """The width of all key heads together; 0 where no reading says it."""
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
        """For each vector, how likely each place is."""
        open_ones = {
            role: view.rows for role, (part, view) in self.at.items() if part.bias is None and role != "router"
        }
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
        """Every weight of the blocks in a place or a question."""
        found = [unknown(kind, SOME) for kind in self.weights if not kind.whole]
        if self.weighed is not None:
            for part, shares in zip(self.matrices, self.weighed.shares, strict=True):
                found += self.placing.matrix(part, shares)
        else:
            found += [place for part in self.matrices for place in self.lost(part)]
        if self.vector_shares:
            for part, each in zip(self.vectors, self.vector_shares, strict=True):
                found += self.placing.vector(part, self.doubted(each))
        else:
            found += [place for part in self.vectors for place in self.lost(part)]
        return found

    def doubted(self, shares: Mapping[tuple[str, str], float]) -> Mapping[tuple[str, str], float]:
        """The same, and nothing sure where the matrices of a block are not understood."""
        doubt = 1.0 if self.weighed is not None else _DOUBT
        return {chosen: doubt * share for chosen, share in shares.items()}

    def lost(self, part: Part) -> list[Place]:
        """A part that fits nowhere together with the others, or in too many ways: whatever it could be by itself."""
        ways = {(role, view): 0.0 for role in ROLES for view in fitting(part, role, self.wide)}
        if not ways or not part.weight.variables:
            return [unknown(kind, WHICH) for kind in (part.weight, part.bias) if kind is not None]
        scores = {way: math.exp(SHARP * self.words.likeness(part.name, way[0])) for way in ways}
        total = sum(scores.values())
        return self.placing.which(part, {way: _DOUBT * score / total for way, score in scores.items()})
