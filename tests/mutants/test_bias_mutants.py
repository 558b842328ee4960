"""Biases lost, doubled, negated or slightly off, kind by kind, against the level `logits` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec

State = dict[str, torch.Tensor]

ATTN = "attn.c_attn"
BIASES = (f"{ATTN}:q", f"{ATTN}:k", f"{ATTN}:v", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", "ln_1", "ln_2", "ln_f")


def bias_as(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Every bias of a kind changed, or lost; `which` third for those of q, k and v."""
    kind, _, which = name.partition(":")

    def apply(state: State, spec: ModelSpec) -> None:
        for key in [key for key in state if key.endswith(f"{kind}.bias")]:
            if which:
                part = state[key].split(spec.d_model)["qkv".index(which)]
                part.copy_(change(part))
            else:
                state[key] = change(state[key])

    return apply


CHANGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "lost": torch.zeros_like,
    "ones": torch.ones_like,
    "negative": torch.neg,
    "1e-3 too large": lambda b: b + 1e-3,
    "rolled by one": lambda b: b.roll(1, 0),
}
MUTATIONS = {f"{name} bias {how}": bias_as(name, change) for name in BIASES for how, change in CHANGES.items()}
WHY = "a bias of k adds the same to every score of a query, and softmax does not see it"
NO_OPS = [name for name in MUTATIONS if name.startswith(f"{ATTN}:k")]
"""By mathematics, not for want of looking: each is shown to pass the logits, and to fail the bytes."""


@pytest.mark.parametrize("name", [name for name in MUTATIONS if name not in NO_OPS])
def test_a_wrong_bias_is_seen_in_the_logits_alone(name: str, survivors: Any) -> None:
    assert survivors(MUTATIONS[name]) == []


@pytest.mark.parametrize("name", NO_OPS)
def test_a_bias_of_k_is_seen_by_the_bytes_alone(name: str, benches: Any, tally: Any, tmp_path: Path) -> None:
    for bench in benches:
        state, config = bench.copy()
        MUTATIONS[name](state, bench.plan.final_spec)
        if bench.changed(state, config):
            assert bench.first_failure(state) is None, WHY
            assert not tally(
                "seen by the bytes", killed=bool(bench.byte_failures(bench.write(tmp_path, state, config)))
            )
