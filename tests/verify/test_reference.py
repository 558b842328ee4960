"""The reference forward against independently written models and against transformers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from torch import nn

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import Activation, Factor, ModelSpec, NormPlacement
from ckpt2hf.verify.reference import Trace, reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

NOISE = 1e-5
"""Largest float32 difference of two loud models of this size (measured: 2e-6 at logits of spread 2)."""
SHARP = 1e-12
"""The same in float64 (measured: 1e-14)."""


class Fused(nn.Module):
    """nanoGPT's shape: one matrix for q, k and v, PyTorch's own attention, pre-norm, tied head."""

    def __init__(self, spec: ModelSpec, w: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.spec, self.w = spec, w
        self.qkv = [torch.cat([w[f"layers.{i}.attn.{p}.weight"] for p in "qkv"]) for i in range(spec.layers)]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        spec, w = self.spec, self.w
        time = tokens.shape[1]
        x = w["embed.weight"][tokens] + w["positions.weight"][:time]
        for i in range(spec.layers):
            at = f"layers.{i}."
            y = F.layer_norm(x, (spec.d_model,), w[f"{at}attn_norm.weight"], w.get(f"{at}attn_norm.bias"), 1e-5)
            bias = torch.cat([w[f"{at}attn.{p}.bias"] for p in "qkv"]) if spec.qkv_bias else None
            q, k, v = F.linear(y, self.qkv[i], bias).split(spec.heads * spec.head_dim, dim=2)
            q, k, v = (t.unflatten(2, (spec.heads, spec.head_dim)).transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            x = x + F.linear(y, w[f"{at}attn.out.weight"], w.get(f"{at}attn.out.bias"))
            y = F.layer_norm(x, (spec.d_model,), w[f"{at}mlp_norm.weight"], w.get(f"{at}mlp_norm.bias"), 1e-5)
            y = nn.GELU()(F.linear(y, w[f"{at}mlp.up.weight"], w.get(f"{at}mlp.up.bias")))
            x = x + F.linear(y, w[f"{at}mlp.down.weight"], w.get(f"{at}mlp.down.bias"))
        x = F.layer_norm(x, (spec.d_model,), w["final_norm.weight"], w.get("final_norm.bias"), 1e-5)
        return F.linear(x, w["embed.weight"])


class OneHead(nn.Module):
    def __init__(self, spec: ModelSpec, scale: float) -> None:
        super().__init__()
        for part in ("key", "query", "value"):
            setattr(self, part, nn.Linear(spec.d_model, spec.head_dim, bias=False))
        self.register_buffer("tril", torch.tril(torch.ones(spec.context, spec.context)))
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time = x.shape[1]
        weights = self.query(x) @ self.key(x).transpose(-2, -1) * self.scale
        weights = weights.masked_fill(self.tril[:time, :time] == 0, float("-inf"))
        return F.softmax(weights, dim=-1) @ self.value(x)


class LectureBlock(nn.Module):
    def __init__(self, spec: ModelSpec, scale: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList([OneHead(spec, scale) for _ in range(spec.heads)])
        self.proj = nn.Linear(spec.heads * spec.head_dim, spec.d_model)
        kind = {Activation.RELU: nn.ReLU(), Activation.GELU: nn.GELU(), Activation.SILU: nn.SiLU()}
        self.net = nn.Sequential(
            nn.Linear(spec.d_model, spec.d_ff), kind[spec.activation], nn.Linear(spec.d_ff, spec.d_model)
        )
        self.ln1, self.ln2 = (nn.LayerNorm(spec.d_model, eps=spec.norm_eps) for _ in range(2))
        self.post = spec.norm_placement is NormPlacement.POST

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.post:
            x = self.ln1(x + self.attention(x))
            return self.ln2(x + self.net(x))
        x = x + self.attention(self.ln1(x))
        return x + self.net(self.ln2(x))


class Lecture(nn.Module):
    """A lecture's shape: a module for every head, a head bias, pre-norm or post-norm."""

    def __init__(self, spec: ModelSpec, scale: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(spec.vocab, spec.d_model), nn.Embedding(spec.context, spec.d_model)
        self.blocks = nn.Sequential(*[LectureBlock(spec, scale) for _ in range(spec.layers)])
        self.ln_f = nn.LayerNorm(spec.d_model, eps=spec.norm_eps) if spec.final_norm else nn.Identity()
        self.lm_head = nn.Linear(spec.d_model, spec.vocab)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        return self.lm_head(self.ln_f(self.blocks(x)))


def slots_of_lecture(model: Lecture) -> dict[str, torch.Tensor]:
    made = {"embed.weight": model.tokens.weight, "positions.weight": model.positions.weight}
    made |= {f"head.{name}": value for name, value in model.lm_head.named_parameters()}
    made |= {f"final_norm.{name}": value for name, value in model.ln_f.named_parameters()}
    for i, block in enumerate(model.blocks):
        for part, name in (("q", "query"), ("k", "key"), ("v", "value")):
            rows = [getattr(head, name).weight for head in block.heads]
            made[f"layers.{i}.attn.{part}.weight"] = torch.cat(rows)
        for slot, module in (
            ("attn.out", block.proj),
            ("mlp.up", block.net[0]),
            ("mlp.down", block.net[2]),
            ("attn_norm", block.ln1),
            ("mlp_norm", block.ln2),
        ):
            made |= {f"layers.{i}.{slot}.{name}": value for name, value in module.named_parameters()}
    return {name: value.detach() for name, value in made.items()}


def shake(model: nn.Module) -> None:
    """Weights that show any mistake."""
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "ln" in name and name.endswith("weight"):
            nn.init.uniform_(parameter, 0.75, 1.25)
        else:
            nn.init.normal_(parameter, 0, 0.15 if "tokens" in name or "positions" in name else 0.3)


def ask(spec: ModelSpec, time: int | None = None) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, spec.vocab, (2, time or spec.context)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, NOISE), (torch.float64, SHARP)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_fused_model(kit: Any, dtype: torch.dtype, tolerance: float, *, bias: bool) -> None:
    spec = dataclasses.replace(
        kit.spec, tied=True, qkv_bias=bias, out_bias=bias, mlp_bias=bias, norm_bias=bias, d_ff=96
    )
    weights = load_slots(kit.held(kit.draw(spec)), dtype)
    tokens = ask(spec)
    assert (reference(spec, weights, tokens) - Fused(spec, weights)(tokens)).abs().max() <= tolerance


@pytest.mark.parametrize("activation", [Activation.RELU, Activation.GELU, Activation.SILU])
@pytest.mark.parametrize(
    ("placement", "final"), [(NormPlacement.PRE, True), (NormPlacement.POST, True), (NormPlacement.POST, False)]
)
@pytest.mark.parametrize("scale", ["head_dim**-0.5", "d_model**-0.5", "0.4"])
def test_a_lecture_model(
    kit: Any, activation: Activation, placement: NormPlacement, scale: str, *, final: bool
) -> None:
    spec = dataclasses.replace(
        kit.spec,
        head_dim=5,
        norm_eps=1e-3,
        activation=activation,
        norm_placement=placement,
        final_norm=final,
        attention_scale=Factor(scale),
        qkv_bias=False,
        head_bias=True,
    )
    factor = {"head_dim**-0.5": 5**-0.5, "d_model**-0.5": 24**-0.5, "0.4": 0.4}[scale]
    model = Lecture(spec, factor)
    shake(model)
    tokens = ask(spec)
    weights = slots_of_lecture(model)
    with torch.no_grad():
        assert (reference(spec, weights, tokens) - model(tokens)).abs().max() <= NOISE
        wide = reference(spec, weights, tokens, dtype=torch.float64)
        assert (wide - model.double()(tokens)).abs().max() <= SHARP


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("tied", [True, False])
def test_gpt2_of_transformers(kit: Any, activation: Activation, *, tied: bool) -> None:
    spec = dataclasses.replace(kit.spec, activation=activation, tied=tied)
    arrays = kit.draw(spec)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config.from_dict(kit.config(spec))).eval()
    state = kit.state(spec, arrays)
    model.load_state_dict(state | ({"lm_head.weight": state["transformer.wte.weight"]} if tied else {}))
    tokens = ask(spec)
    weights = load_slots(kit.held(arrays), torch.float32)
    with torch.no_grad():
        assert (reference(spec, weights, tokens) - model(tokens).logits).abs().max() <= NOISE
        wide = reference(spec, weights, tokens, dtype=torch.float64)
        assert (wide - model.double()(tokens).logits).abs().max() <= SHARP


def test_a_later_start_uses_later_positions_and_never_leaves_the_context(kit: Any) -> None:
    arrays = kit.draw(kit.spec)
    weights = load_slots(kit.held(arrays), torch.float32)
    tokens = ask(kit.spec, 4)
    moved = weights | {"positions.weight": weights["positions.weight"].roll(-3, 0)}
    assert torch.equal(reference(kit.spec, weights, tokens, start=3), reference(kit.spec, moved, tokens))
    with pytest.raises(BrokenPromiseError, match="position 20 of a context of 20"):
        reference(kit.spec, weights, tokens, start=17)


def test_it_is_causal(kit: Any) -> None:
    weights = load_slots(kit.held(kit.draw(kit.spec)), torch.float64)
    tokens = ask(kit.spec)
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % kit.spec.vocab
    before, after = (reference(kit.spec, weights, asked) for asked in (tokens, changed))
    assert torch.equal(before[:, :9], after[:, :9])
    assert ((before - after).abs().amax(-1) > 1e-6)[:, 9:].all()


@pytest.mark.parametrize("placement", list(NormPlacement))
def test_the_trace_is_in_order_and_adds_up(kit: Any, placement: NormPlacement) -> None:
    spec = dataclasses.replace(kit.spec, norm_placement=placement)
    weights = load_slots(kit.held(kit.draw(spec)), torch.float64)
    trace: Trace = {}
    logits = reference(spec, weights, ask(spec), trace=trace)
    layers = [name for i in range(3) for name in (f"layers.{i}.attn", f"layers.{i}.mlp", f"layers.{i}")]
    assert list(trace) == ["embed", *layers, "final_norm", "logits"]
    assert torch.equal(trace["logits"], logits)
    total = trace["embed"] + trace["layers.0.attn"] + trace["layers.0.mlp"]
    assert torch.allclose(trace["layers.0"], total) is (placement in (NormPlacement.PRE, NormPlacement.PARALLEL))


def test_a_wide_vocabulary_is_multiplied_in_parts(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = dataclasses.replace(kit.spec, head_bias=True)
    weights = load_slots(kit.held(kit.draw(spec)), torch.float32)
    tokens = ask(spec)
    whole = reference(spec, weights, tokens, dtype=torch.float64)
    monkeypatch.setattr("ckpt2hf.verify.reference._HEAD_ROWS", 7)
    parts = reference(spec, weights, tokens, dtype=torch.float64)
    assert (whole - parts).abs().max() <= SHARP
    assert (whole - reference(spec, load_slots(kit.held(kit.draw(spec)), torch.float64), tokens)).abs().max() <= SHARP
