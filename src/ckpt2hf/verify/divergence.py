"""Where two forward passes part: the first module whose output differs from the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.tolerances import Distance, float64_tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from ckpt2hf.verify.reference import Trace


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first module that computes something else."""

    name: str
    """Of the trace, such as `layers.0.attn`."""
    module: str
    """Of the Hugging Face class, such as `transformer.h.0.attn`."""
    max_abs: float
    untouched: bool
    """Whether no rewrite comes before it, so that it had to agree bitwise."""

    def __str__(self) -> str:
        """Such as `transformer.h.0.attn (layers.0.attn), 2.1`."""
        return f"{self.module} ({self.name}), {self.max_abs:.2g}"


def expand(modules: Mapping[str, str], layers: int) -> dict[str, str]:
    """The module paths with `{i}` written out for every layer."""
    return {
        name.replace("{i}", str(i)): path.replace("{i}", str(i))
        for name, path in modules.items()
        for i in range(layers if "{i}" in name else 1)
    }


def first_divergence(
    found: Trace,
    wanted: Trace,
    modules: Mapping[str, str],
    *,
    exactness: Exactness,
    rewritten: AbstractSet[str],
    noise: float = 0.0,
) -> Divergence | None:
    """The first traced module, in order of execution, that leaves its float64 tolerance; None if none does.

    `rewritten` names are not compared: a rewrite changed what they hold. Everything that runs before the first of them
    has untouched weights and is held to the bitwise tolerance, whatever the exactness of the whole. `noise` is the
    source's float32 rounding noise in units of the logits' spread.
    """
    untouched = exactness is Exactness.BITWISE or bool(rewritten)
    for name, value in wanted.items():
        if name in rewritten:
            untouched = exactness is Exactness.BITWISE
            continue
        if name not in modules or name not in found:
            continue
        if found[name].shape != value.shape:
            return Divergence(name, modules[name], float("inf"), untouched)
        distance = Distance.between(found[name], value)
        if not distance.within(float64_tolerance(distance.scale, Exactness.BITWISE if untouched else exactness, noise)):
            return Divergence(name, modules[name], distance.max_abs, untouched)
    return None
