"""Rows of an embedding or a head that no token ever uses: they are cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.ops import Mosaic


@dataclass(frozen=True, slots=True)
class CutRows:
    """A row beyond the vocabulary is never looked up, and its logit is never given."""

    solves: str
    """`embed_rows` or `head_rows`."""

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with one row for each token; the rows that stay are proved to be the source's."""
        rows: int = getattr(spec, self.solves)
        if rows <= spec.vocab:
            return None
        whole = spec.tied or self.solves == "embed_rows"
        names = ["embed.weight"] if whole else []
        names += ["head.weight", "head.bias"] if spec.tied or self.solves == "head_rows" else []
        touched = [name for name in names if name in slots]
        change: dict[str, Any] = {self.solves: spec.vocab}
        if spec.tied:
            change = {"embed_rows": spec.vocab, "head_rows": spec.vocab}
        return Rewritten(
            id=f"{rows - spec.vocab} unused rows cut off the {'embedding' if whole else 'head'}",
            why=f"token ids end at {spec.vocab - 1}, the table has {rows} rows",
            exactness=Exactness.BITWISE,
            spec=replace(spec, **change),
            slots={name: part.cut(0, 0, spec.vocab) if name in touched else part for name, part in slots.items()},
            computed={name: (name,) for name in touched},
        )
