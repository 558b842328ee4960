"""How much a form may cost before it is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.stages.price import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Limits that the user sets; None for no limit."""

    max_kl: float | None = None
    """Mean KL divergence, in nats per token."""
    min_top1: float | None = None
    """Share of positions with the same most likely token."""
    max_ppl_ratio: float | None = None
    """Perplexity by that of float32."""

    def problems(self, price: Price) -> list[str]:
        """The gates that a price does not pass."""
        return list(self._problems(price))

    def _problems(self, price: Price) -> Iterator[str]:
        # Written so that a price that is no number passes none.
        if self.max_kl is not None and not price.mean_kl <= self.max_kl:
            yield f"mean KL {price.mean_kl:.3g} is above --max-kl {self.max_kl:g}"
        if self.min_top1 is not None and not price.top1 >= self.min_top1:
            yield f"top-1 agreement {price.top1:.4f} is below --min-top1 {self.min_top1:g}"
        if self.max_ppl_ratio is not None:
            if price.ppl_ratio is None:
                yield "--max-ppl-ratio needs text, after --calibration"
            elif not price.ppl_ratio <= self.max_ppl_ratio:
                yield f"perplexity ratio {price.ppl_ratio:.4f} is above --max-ppl-ratio {self.max_ppl_ratio:g}"
