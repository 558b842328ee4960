"""What rounding the weights to a smaller type costs, measured on the source model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch

from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.probes import make_probes
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.tolerances import Distance, float64_tolerance
from ckpt2hf.verify.verdict import Check, Number
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Readable


Model: TypeAlias = "tuple[ModelSpec, Mapping[str, Readable]]"
"""A spec and its slots."""


def measure_rounding(
    source: Model, rewritten: Model, rounded: Mapping[str, Readable], *, tokens_seed: int = 0
) -> Check:
    """The price of rounding: logits, mean KL in nats per token, top-1 agreement against the source model.

    `rewritten` is the source after rewrites, before rounding; `rounded` are its slots after it. The price itself never
    fails; the check does when `rewritten` is not the source's function, which no comparison of rounded weights shows.
    """
    spec, exact = source[0], load_slots(source[1], torch.float32)
    probes = make_probes(spec, tokens_seed)
    before = reference(spec, exact, probes.short.tokens)
    after = reference(rewritten[0], load_slots(rounded, torch.float32), probes.short.tokens)
    distance = Distance.between(after, before)
    kl = mean_kl(before, after)
    moved = _moved(spec, exact, rewritten, probes.sharp.tokens)
    numbers: dict[str, Number] = {
        "rewrite_max_abs": moved.max_abs,
        "max_abs": distance.max_abs,
        "mean_abs": distance.mean_abs,
        "scale": distance.scale,
        "mean_kl": kl,
        "top1_agreement": distance.top1_agreement,
        "tokens": probes.short.tokens.numel(),
    }
    if not moved.within(float64_tolerance(moved.scale, Exactness.ALGEBRAIC)):
        return Check("price of rounding", False, f"a rewrite moves the float64 logits by {moved.max_abs:.2g}", numbers)
    said = (
        f"rounding the weights moves the logits by up to {distance.max_abs:.2g}, "
        f"mean KL {kl:.1e}, top-1 agreement {distance.top1_agreement:.1%}"
    )
    return Check("price of rounding", True, said, numbers)


def _moved(spec: ModelSpec, exact: Mapping[str, torch.Tensor], rewritten: Model, tokens: torch.Tensor) -> Distance:
    """How far the rewrites alone move the function, in float64."""
    wanted = reference(spec, exact, tokens, dtype=torch.float64)
    found = reference(rewritten[0], load_slots(rewritten[1], torch.float32), tokens, dtype=torch.float64)
    return Distance.between(found, wanted)


def mean_kl(wanted: torch.Tensor, found: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence of `found` from `wanted` logits `[…, vocab]`, in nats per token."""
    p, q = wanted.double().log_softmax(-1), found.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean().clamp(min=0))
