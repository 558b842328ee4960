"""Checkpoints that look familiar and are not: refused, and the refusal names what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from ckpt2hf.api import Request, Writing, convert, dialects, plan
from ckpt2hf.errors import Ckpt2hfError, FactsError, MappingError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    State = dict[str, torch.Tensor]

BUILT_IN = [each.id for each in dialects()]


def test_conv1d_weights_are_refused_and_the_orientation_is_named(models: Any, saved: Any) -> None:
    """The names of nanoGPT with the matrices of Hugging Face's GPT-2, `[in, out]`."""
    state = models.loud(models.Fused()).state_dict()
    turned = {
        name: tensor.T.contiguous() if "c_" in name and tensor.ndim == 2 else tensor for name, tensor in state.items()
    }
    path = saved(turned)
    for dialect in (None, "nanogpt", "build-nanogpt"):
        with pytest.raises(MappingError) as refused:
            plan(Request(source=path, dialect=dialect, facts=("heads=3", "activation=gelu")))
        assert "Conv1D" in str(refused.value)
        assert "[in, out]" in str(refused.value)


def one_future_seen(mask: torch.Tensor) -> torch.Tensor:
    seen = mask.clone()
    seen[..., 0, 1] = 1
    return seen


MASKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "all ones": torch.ones_like,
    "all zeros": torch.zeros_like,
    "upper triangle": lambda m: m.transpose(-1, -2),
    "without the diagonal": lambda m: m.tril(-1),
    "one future seen": one_future_seen,
    "a window": lambda m: m.triu(-3),
    "minus infinity": lambda m: torch.where(m == 0, -torch.inf, 0.0),
    "not square": lambda m: m[..., :-1],
    "two masks": lambda m: torch.cat([m, m]) if m.ndim > 2 else torch.stack([m, m]),
}


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_that_is_not_causal_is_not_left_out(mask: str, models: Any, saved: Any) -> None:
    fused = models.loud(models.Fused("gelu_tanh", tied=False, mask=True)).state_dict()
    lecture = models.loud(models.Lecture()).state_dict()
    scale = ("attention_scale=head_dim**-0.5",)
    cases: list[tuple[State, str, str, tuple[str, ...]]] = [
        (fused, "transformer.h.1.attn.bias", "mingpt", ("heads=3",)),
        (lecture, "blocks.1.sa.heads.2.tril", "karpathy-lecture", scale),
    ]
    for state, name, dialect, facts in cases:
        path = saved({**state, name: MASKS[mask](state[name])})
        with pytest.raises(MappingError) as refused:
            convert(Request(source=path, dialect=dialect, facts=facts), Writing(out=path.parent / "out"))
        assert name in str(refused.value)
        assert "mask" in str(refused.value)
        assert not (path.parent / "out").exists()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float16, torch.float32])
def test_a_causal_mask_of_any_type_is_left_out(dtype: torch.dtype, models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh", tied=False, mask=True))
    state = model.state_dict()
    for name in [name for name in state if name.endswith(".attn.bias")]:
        state[name] = state[name].to(dtype)
    proved(saved(state), model, dialect="mingpt", facts=("heads=3",))


def not_causal(models: Any) -> dict[str, Any]:
    """The names of minGPT-ddp, whose float mask is added to the scores instead of hiding the future."""
    width, time = models.WIDTH, models.TIME
    state: State = {"emb_stem.pos_emb": torch.zeros(1, time, width), "emb_stem.tok_emb.weight": torch.zeros(9, width)}
    for i in range(2):
        at = f"blocks.{i}"
        parts = {
            "ln1": nn.LayerNorm(width),
            "ln2": nn.LayerNorm(width),
            "attn.c_proj": nn.Linear(width, width),
            "attn.attn": nn.MultiheadAttention(width, 3),
            "mlp.0": nn.Linear(width, 4 * width),
            "mlp.2": nn.Linear(4 * width, width),
        }
        state |= {f"{at}.{part}.{k}": v for part, module in parts.items() for k, v in module.state_dict().items()}
        state[f"{at}.attn.mask"] = torch.tril(torch.ones(time, time)).view(1, 1, time, time)
    state |= {f"ln_f.{k}": v for k, v in nn.LayerNorm(width).state_dict().items()}
    return {"model_state": {**state, "head.weight": torch.zeros(9, width)}, "optimizer_state": {}, "finished_epoch": 3}


@pytest.mark.parametrize("dialect", [None, *BUILT_IN])
def test_a_model_that_sees_the_future_is_refused_whatever_is_said(dialect: str | None, models: Any, saved: Any) -> None:
    with pytest.raises(UnsupportedError, match="it is not causal") as refused:
        plan(Request(source=saved(not_causal(models)), dialect=dialect, facts=("heads=3",)))
    assert refused.value.exit_code == 1


@pytest.mark.parametrize("dialect", BUILT_IN)
def test_a_dialect_does_not_read_another_s_names(dialect: str, models: Any, saved: Any) -> None:
    lecture: dict[str, set[int]] = {"az-course": {0, 1}, "karpathy-lecture": {0}, "fcc": {0}}
    own = lecture | {"mingpt": {2, 3}, "nanogpt": {2}, "llmc": {2}, "makemore": {2}}
    states = (
        models.Lecture().state_dict(),
        models.Fused(bias=False, norm_bias=True, tied=False, mask=True).state_dict(),
        models.Fused("gelu_tanh", tied=False, mask=True).state_dict(),
        models.Apart().state_dict(),
    )
    for k, state in enumerate(states):
        if k not in own.get(dialect, set()):
            with pytest.raises(FactsError, match=f"not named as in dialect {dialect}"):
                plan(Request(source=saved(state), dialect=dialect, facts=()))


EDITS: dict[str, Callable[[State], object]] = {
    "a tensor more": lambda s: s.update({"transformer.h.0.attn.rotary.inv_freq": torch.ones(4)}),
    "a tensor less": lambda s: s.pop("transformer.h.1.mlp.c_proj.weight"),
    "a norm less": lambda s: s.pop("transformer.h.1.ln_2.weight"),
    "one bias less": lambda s: s.pop("transformer.h.1.ln_2.bias"),
    "a layer less in the middle": lambda s: [s.pop(name) for name in list(s) if ".h.0." in name],
    "a layer far away": lambda s: [
        s.update({n.replace(".h.1.", ".h.999999999."): s.pop(n)}) for n in list(s) if ".h.1." in n
    ],
    "a layer beyond numbers": lambda s: s.update({f"transformer.h.{'9' * 5000}.ln_1.weight": torch.ones(24)}),
    "a vocabulary of one row repeated": lambda s: s.update(
        {name: torch.ones(24).expand(10**12, 24) for name in ("transformer.wte.weight", "lm_head.weight")}
    ),
    "a mask of one number repeated": lambda s: s.update(
        {"transformer.h.0.attn.bias": torch.ones(1).expand(1, 1, 10**6, 10**6)}
    ),
    "a wrong shape": lambda s: s.update({"transformer.h.1.attn.c_proj.weight": torch.ones(24, 12)}),
    "whole numbers": lambda s: s.update({"transformer.ln_f.bias": torch.ones(24, dtype=torch.int64)}),
    "another name": lambda s: s.update({"transformer.final.weight": s.pop("transformer.ln_f.weight")}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_total_or_nothing(edit: str, models: Any, saved: Any) -> None:
    state = dict(models.loud(models.Fused("gelu", tied=False)).state_dict())
    EDITS[edit](state)
    with pytest.raises((MappingError, FactsError)) as refused:
        plan(Request(source=saved(state), dialect="nanogpt", facts=("heads=3", "activation=gelu")))
    assert isinstance(refused.value, Ckpt2hfError)
    assert refused.value.details


def test_an_unknown_dialect_is_refused_with_the_known_ones(saved: Any) -> None:
    path: Path = saved({"weight": torch.ones(3)})
    with pytest.raises(Ckpt2hfError, match="there is no dialect 'nanogtp'") as refused:
        plan(Request(source=path, dialect="nanogtp"))
    assert all(name in str(refused.value) for name in BUILT_IN)
