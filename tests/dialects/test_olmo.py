"""OLMo's config.yaml decides among many functions of nearly the same names; what no class computes is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError, UnsupportedError
from dialects.llama_cases import CASES, olmo_config, oracle
from dialects.llama_names import HABITS, OLMO, OLMO_2, without
from dialects.llama_oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUIET = replace(HABITS["olmo"][1], mean=True)
WITHOUT_WEIGHTS = without(OLMO, "norm1", "norm2", "final")
NORMED = replace(HABITS["olmo"][1], qk="width")
RENAMED = {
    "transformer.h.": "transformer.blocks.", ".attn.c_attn.": ".att_proj.", ".attn.c_proj.": ".attn_out.",
    ".mlp.c_fc.": ".ff_proj.", ".mlp.c_proj.": ".ff_out.", ".ln_1.": ".attn_norm.", ".ln_2.": ".ff_norm.",
    "lm_head.": "transformer.ff_out.",
}  # fmt: skip
"""The same model in nanoGPT's words and in OLMo's."""
REFUSED: dict[str, tuple[Callable[[], Oracle], dict[str, Any], str]] = {
    "OLMo 1": (
        lambda: Oracle(WITHOUT_WEIGHTS, QUIET),
        {"layer_norm_type": "low_precision", "layer_norm_with_affine": False},
        "norm is layernorm",
    ),
    "norms of q and k, and before each sublayer": (
        lambda: Oracle(OLMO_2, NORMED),
        {"attention_layer_norm": True},
        "qk_norm is width",
    ),
    "clipped": (lambda: oracle("olmo"), {"clip_qkv": 8.0}, "clip_qkv is set"),
    "ALiBi": (lambda: oracle("olmo"), {"alibi": True, "rope": False}, "alibi is true"),
    "GELU": (lambda: oracle("olmo"), {"activation_type": "gelu"}, "activation_type is gelu"),
}


def written(folder: Path, state: dict[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir()
    torch.save(state, folder / "model.pt")
    (folder / "config.yaml").write_text(json.dumps(olmo_config(**config)["config.yaml"]), encoding="utf-8")
    return folder / "model.pt"


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_class_computes_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    model, config, reason = REFUSED[name]
    case = replace(CASES["olmo"], beside=olmo_config(**config))
    with pytest.raises(UnsupportedError, match=reason) as refused:
        plan(Request(source=case.write(tmp_path / "run", model())))
    assert refused.value.exit_code == 1


def test_a_gate_and_learned_positions_are_refused_together(tmp_path: Path) -> None:
    state = {**CASES["olmo"].wrap(oracle("olmo").state_dict()), "transformer.wpe.weight": torch.ones(16, 32)}
    with pytest.raises(UnsupportedError, match="together with learned positions"):
        plan(Request(source=written(tmp_path / "run", state, rope=False)))


def test_without_its_settings_everything_is_asked(tmp_path: Path, proved: Any) -> None:
    model, case = oracle("olmo"), CASES["olmo"]
    path = case.write(tmp_path / "run", model)
    (path.parent / "config.yaml").unlink()
    facts = (
        *("heads=4", "kv_heads=2", "context=16", "norm=rmsnorm", "norm_placement=pre", "norm_eps=1e-5"),
        *("position=rope", "rope_theta=10000", "qk_norm=none"),
    )
    for left_out in facts:
        with pytest.raises(FactsError, match=f"--set {left_out.partition('=')[0]}"):
            plan(Request(source=path, facts=tuple(fact for fact in facts if fact != left_out)))
    proved(path, model, facts=facts)


@pytest.mark.parametrize(
    ("tied", "bias", "activation"), [(True, True, "gelu"), (False, False, "relu"), (True, False, "relu")]
)
def test_with_gelu_and_positions_it_is_a_gpt2(
    tied: bool, bias: bool, activation: str, models: Any, tmp_path: Path, proved: Any
) -> None:
    model = models.loud(models.Fused(activation, tied=tied, bias=bias))
    state = {}
    for name, value in model.state_dict().items():
        for old, new in RENAMED.items():
            name = name.replace(old, new)  # noqa: PLW2901 - word by word
        state[name] = value
    if tied:
        del state["transformer.ff_out.weight"]
    config = {"d_model": 24, "n_heads": 3, "n_kv_heads": None, "rope": False, "layer_norm_type": "default"}
    path = written(tmp_path / "run", state, **config, activation_type=activation, weight_tying=tied)
    report = proved(path, model)
    assert (report.dialect.id, report.target) == ("olmo", "GPT2LMHeadModel")
    assert report.spec["tied"] is tied


def test_many_queries_with_one_head_of_keys(tmp_path: Path, proved: Any) -> None:
    model = oracle("olmo", kv_heads=1)
    config = olmo_config(n_kv_heads=None, multi_query_attention=True)
    assert proved(replace(CASES["olmo"], beside=config).write(tmp_path / "run", model), model).spec["kv_heads"] == 1


def test_a_tied_olmo_with_scaled_logits(tmp_path: Path, proved: Any) -> None:
    """Without a head of its own, and logits times 1 / sqrt(width)."""
    model = Oracle({**OLMO, "head": OLMO["embed"]}, replace(HABITS["olmo"][1], logit_times=32**-0.5))
    config = olmo_config(weight_tying=True, scale_logits=True)
    report = proved(replace(CASES["olmo"], beside=config).write(tmp_path / "run", model), model)
    assert report.spec["logit_scale"] == "d_model**-0.5"
