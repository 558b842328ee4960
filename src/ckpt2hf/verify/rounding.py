"""What rounding the weights to a smaller type costs, measured on the source model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ckpt2hf.verify.probes import make_probes
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.tolerances import Distance
from ckpt2hf.verify.verdict import Check
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir.spec import ModelSpec
    from ckpt2hf.tensors import Readable


def measure_rounding(
    spec: ModelSpec, exact: Mapping[str, Readable], rounded: Mapping[str, Readable], *, tokens_seed: int = 0
) -> Check:
    """The price of `rounded` slots against `exact` ones: logits, mean KL in nats per token, top-1 agreement.

    Both are computed in float32, so only the weights' own rounding shows. Informational: it always passes.
    """
    tokens = make_probes(spec, tokens_seed).short.tokens
    before = reference(spec, load_slots(exact, torch.float32), tokens)
    after = reference(spec, load_slots(rounded, torch.float32), tokens)
    distance = Distance.between(after, before)
    kl = mean_kl(before, after)
    said = (
        f"rounding the weights moves the logits by up to {distance.max_abs:.2g}, "
        f"mean KL {kl:.1e}, top-1 agreement {distance.top1_agreement:.1%}"
    )
    numbers = {
        "max_abs": distance.max_abs,
        "mean_abs": distance.mean_abs,
        "scale": distance.scale,
        "mean_kl": kl,
        "top1_agreement": distance.top1_agreement,
        "tokens": tokens.numel(),
    }
    return Check("price of rounding", True, said, numbers)


def mean_kl(wanted: torch.Tensor, found: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence of `found` from `wanted` logits `[…, vocab]`, in nats per token."""
    p, q = wanted.double().log_softmax(-1), found.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean().clamp(min=0))
