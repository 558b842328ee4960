"""Wrong algebra: each way to get a rewrite wrong, against the level `logits` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.verify.weights import tensor

if TYPE_CHECKING:
    from collections.abc import Callable

State = dict[str, torch.Tensor]

LN_F, HEAD = "transformer.ln_f", "lm_head.weight"
FOLDED = ("az50_v2", "ng_video", "scaled, 3 heads")
SCALED = ("scaled, 3 heads", "scaled, 4 heads")


class Head:
    """The numbers of the trained head and final norm, in float64, and the right way to fold them."""

    def __init__(self, plan: Any) -> None:
        names = ("head.weight", "head.bias", "final_norm.weight", "final_norm.bias")
        self.w, self.b, self.g, self.beta = (tensor(plan.slots[name]).double() for name in names)
        self.width = self.w.shape[1]

    def fold(
        self, *, bias: float = 1, centred: bool = True, g: bool = True, beta: float = 1, over: float = 1
    ) -> torch.Tensor:
        """W diag(g) less its row means, plus (W beta + b) / D in every column; each part can be got wrong."""
        w = self.w * self.g if g else self.w
        if centred:
            w = w - w.mean(1, keepdim=True)
        constant = beta * (self.w @ self.beta) + bias * self.b
        return (w + (constant / (self.width * over))[:, None]).float()


HEADS: dict[str, Callable[[Head, State], None]] = {
    "head bias dropped": lambda head, s: s.update({HEAD: head.fold(bias=0)}),
    "head bias negative": lambda head, s: s.update({HEAD: head.fold(bias=-1)}),
    "head bias twice": lambda head, s: s.update({HEAD: head.fold(bias=2)}),
    "norm bias dropped": lambda head, s: s.update({HEAD: head.fold(beta=0)}),
    "norm bias negative": lambda head, s: s.update({HEAD: head.fold(beta=-1)}),
    "both biases dropped": lambda head, s: s.update({HEAD: head.fold(beta=0, bias=0)}),
    "norm weight not folded": lambda head, s: s.update({HEAD: head.fold(g=False)}),
    "rows not centred": lambda head, s: s.update({HEAD: head.fold(centred=False)}),
    "constant not spread over the width": lambda head, s: s.update({HEAD: head.fold(over=1 / head.width)}),
    "constant halved": lambda head, s: s.update({HEAD: head.fold(over=2)}),
    "alpha 2 in the norm alone": lambda _, s: s.update({f"{LN_F}.bias": s[f"{LN_F}.bias"] * 2}),
    "alpha 2 in the head alone": lambda head, s: s.update({HEAD: head.fold(over=2)}),
    "norm bias left zero": lambda _, s: s.update({f"{LN_F}.bias": torch.zeros(len(s[f"{LN_F}.bias"]))}),
    "norm keeps its weight": lambda head, s: s.update({f"{LN_F}.weight": head.g.float()}),
    "norm keeps its bias": lambda head, s: s.update({f"{LN_F}.bias": head.beta.float()}),
    "nothing folded": lambda head, s: s.update(
        {HEAD: head.w.float(), f"{LN_F}.weight": head.g.float(), f"{LN_F}.bias": head.beta.float()}
    ),
    "folded, then rounded to bfloat16": lambda _, s: s.update({HEAD: s[HEAD].bfloat16().float()}),
    "folded, then rounded to float16": lambda _, s: s.update({HEAD: s[HEAD].half().float()}),
    "folded in float32 of the wrong row": lambda _, s: s.update({HEAD: s[HEAD].roll(1, 0)}),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_wrong_fold_of_the_head_bias_is_seen(name: str, bench: Any, tally: Any) -> None:
    survivors = []
    for each in map(bench, FOLDED):
        state, _ = each.copy()
        HEADS[name](Head(each.plan), state)
        if tally("of the rewrites", killed=each.first_failure(state) is not None):
            survivors.append(each.name)
    assert survivors == []


def test_the_right_folds_pass(bench: Any) -> None:
    for each in map(bench, FOLDED):
        head, (state, _) = Head(each.plan), each.copy()
        state[HEAD] = head.fold()
        assert each.first_failure(state) is None
        half = {**state, HEAD: head.fold(over=2), f"{LN_F}.bias": state[f"{LN_F}.bias"] * 2}
        assert each.first_failure(half) is None  # alpha is free, as long as both say the same


def third(state: State, which: str, factor: float, where: str = "") -> None:
    for name in [name for name in state if "c_attn" in name and where in name]:
        width = state[name].shape[-1] // 3
        start = "qkv".index(which) * width
        state[name][..., start : start + width] *= factor


def ratio(plan: Any) -> float:
    """The trained scale over the usual one: what q has to be multiplied with."""
    return float(np.sqrt(plan.spec.head_dim / plan.spec.d_model))


SCALES: dict[str, Callable[[State, float], None]] = {
    "ratio missing": lambda s, r: third(s, "q", 1 / r),
    "ratio squared": lambda s, r: third(s, "q", r),
    "ratio inverted": lambda s, r: third(s, "q", 1 / r**2),
    "ratio rooted": lambda s, r: third(s, "q", r**-0.5),
    "ratio negative": lambda s, _: third(s, "q", -1),
    "ratio in k as well": lambda s, r: third(s, "k", r),
    "ratio in v as well": lambda s, r: third(s, "v", r),
    "ratio a hundredth too large": lambda s, r: third(s, "q", (r + 0.01) / r),
    "ratio of one head more": lambda s, r: third(s, "q", (r**-2 + 1) ** -0.5 / r),
    "ratio in the first layer only": lambda s, r: third(s, "q", 1 / r, "h.1."),
}


@pytest.mark.parametrize("name", SCALES)
def test_a_wrong_attention_ratio_is_seen(name: str, bench: Any, tally: Any) -> None:
    survivors = []
    for each in map(bench, SCALED):
        state, _ = each.copy()
        SCALES[name](state, ratio(each.plan))
        if tally("of the rewrites", killed=each.first_failure(state) is not None):
            survivors.append(each.name)
    assert survivors == []


def test_the_ratio_may_as_well_be_in_k(bench: Any) -> None:
    """Without q and k biases the scores are bilinear: moving the ratio changes nothing."""
    for each in map(bench, SCALED):
        assert not each.plan.spec.qkv_bias
        state, _ = each.copy()
        third(state, "q", 1 / ratio(each.plan))
        third(state, "k", ratio(each.plan))
        assert each.first_failure(state) is None


@pytest.mark.parametrize("value", [1.0, 1e-3, -1e-3, 1e-6])
@pytest.mark.parametrize(
    "kind", ["c_attn.bias:q", "c_attn.bias:v", "c_proj.bias", "c_fc.bias", "ln_1.bias", "ln_f.bias"]
)
def test_zero_biases_that_are_not_zero_are_seen(kind: str, value: float, benches: Any, tally: Any) -> None:
    name, _, which = kind.partition(":")
    survivors, made = [], 0
    for bench in benches:
        state, _ = bench.copy()
        zeros = [key for key in state if key.endswith(name) and not state[key].any()]
        for key in zeros:
            width = len(state[key]) // 3
            at = slice("qkv".index(which) * width, ("qkv".index(which) + 1) * width) if which else slice(None)
            state[key][at] = value
        if zeros:
            made += 1
            if tally("of the rewrites", killed=bench.first_failure(state) is not None):
                survivors.append(bench.name)
    assert made
    assert survivors == []
