"""What lies outside the blocks, as its tensors show it: each in a place or a question, and the lengths it shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.modules import Part, parts
from ckpt2hf.dialects.draft.outside import Outside, Stored, matrix, possible, rows, weigh_outside
from ckpt2hf.dialects.draft.parts import QUESTION, SURE, Choice, Kind, Place, text
from ckpt2hf.dialects.draft.placing import WHICH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.dialects.draft.block_reading import BlockReading

_MOST_SURE = 0.99
_SHOWN = 0.01
"""Likelihood from which on a place is offered."""


@dataclass(frozen=True)
class OuterReading:
    """What is read off the tensors outside the blocks, once the blocks have shown how wide the model is."""

    block: BlockReading

    @cached_property
    def _outer(self) -> tuple[tuple[Part, ...], tuple[Kind, ...]]:
        return parts([kind for kind in self.block.weights if not kind.variables], self.block.checkpoint.modules)

    @cached_property
    def matrices(self) -> tuple[Part, ...]:
        """What can be the embedding, the positions or the head."""
        return tuple(part for part in self._outer[0] if possible(part, self.block.wide))

    @cached_property
    def shares(self) -> tuple[Mapping[Stored, float], ...] | None:
        """For each of them, how likely each role is."""
        return weigh_outside(Outside(self.matrices, self.block.wide), self.block.words)

    def places(self) -> list[Place]:
        """Every weight outside the blocks in a place or a question."""
        found: list[Place] = []
        for k, part in enumerate(self.matrices):
            shares = self.shares[k] if self.shares else {}
            found += self._matrix(part, shares) if shares else self.block.lost(part)
        vectors = [part for part in self._outer[0] if part not in self.matrices]
        vectors += [Part(kind, None, "") for kind in self._outer[1]]
        for part in vectors:
            found += self._vector(part, vectors)
        return found

    def _matrix(self, part: Part, shares: Mapping[Stored, float]) -> list[Place]:
        ranked = sorted(shares.items(), key=lambda each: -each[1])
        ops = ("{ squeeze = 0 }",) * (len(part.weight.shape) - len(matrix(part)))
        turned = ("{ transpose = true }",)
        weights = [
            Choice(
                (f"{role}.weight",),
                (*ops, *(turned if t else ())),
                min(share, _MOST_SURE),
                self.block.placing.why(part, role, len(ranked)),
            )
            for (role, t), share in ranked
            if share > _SHOWN or (role, t) == ranked[0][0]
        ]
        question = "" if ranked[0][1] >= SURE else WHICH
        places = [Place(part.weight, tuple(weights), question)]
        if part.bias is not None:
            places.append(Place(part.bias, (Choice(("head.bias",), (), _MOST_SURE, "the bias of the head"),)))
        return places

    def _vector(self, part: Part, vectors: Sequence[Part]) -> list[Place]:
        shape = part.weight.shape
        alike = [other for other in vectors if other.weight.shape == shape]
        if shape == (self.block.wide,) and len(alike) == 1:
            return self.block.placing.vector(part, self.block.doubted({("final_norm", "weight"): _MOST_SURE}))
        if shape == (self.block.wide,) and len(alike) == 2 and part.bias is None:  # noqa: PLR2004 - a weight and a bias
            return self.block.placing.vector(part, {("final_norm", "weight"): 0.5, ("final_norm", "bias"): 0.5})
        heads = {rows(part, turned=stored[1]) for part, stored in self.stored() if stored[0] in {"head", "embed"}}
        if len(shape) == 1 and shape[0] in heads and len(alike) == 1 and part.bias is None:
            return [Place(part.weight, (Choice(("head.bias",), (), _MOST_SURE, "as long as there are words"),))]
        return self.block.lost(part)

    def stored(self) -> list[tuple[Part, Stored]]:
        """The likeliest role of each matrix outside the blocks."""
        shares = self.shares or ()
        return [(part, max(each, key=each.__getitem__)) for part, each in zip(self.matrices, shares, strict=False)]

    def _tables(self, role: str) -> dict[str, int]:
        """What could be the embedding, the positions or the head: its rows as a source, the likeliest first."""
        found: dict[str, tuple[float, int]] = {}
        for part, shares in zip(self.matrices, self.shares or (), strict=False):
            for (name, turned), share in shares.items():
                if name == role and share > _SHOWN:
                    axis = len(part.weight.shape) - 2 + turned
                    source = f"{{ shape = {text(part.weight.pattern)}{f', axis = {axis}' if axis else ''} }}"
                    found[source] = share, rows(part, turned=turned)
        return {source: found[source][1] for source in sorted(found, key=lambda source: -found[source][0])}

    def _rows_of(self, role: str) -> tuple[str, ...]:
        """The rows of a table as a source; a question where it is not sure which tensor it is."""
        found = self._tables(role)
        return tuple(found)[:1] if len(set(found.values())) < 2 else (text(QUESTION), *found)  # noqa: PLR2004 - several

    def lengths(self) -> dict[str, tuple[str, ...]]:
        """Where the numbers of words and positions come from; the output layer may have rows of its own."""
        embed, head = self._tables("embed"), self._tables("head")
        found = {"vocab": self._rows_of("embed"), "context": self._rows_of("positions")}
        if len(embed) == len(head) == 1 and set(embed.values()) != set(head.values()):
            smaller = min((embed, head), key=lambda table: next(iter(table.values())))
            return {**found, "vocab": tuple(smaller), "embed_rows": tuple(embed), "head_rows": tuple(head)}
        return found
