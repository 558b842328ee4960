"""Every target: the right directory is proved in float64, to the last bit but a few; wrong ones are seen."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.ir import FIELDS
from ckpt2hf.targets.neutral import NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

    from ckpt2hf.ir import ModelSpec

ABSENT = object()
SAME_FUNCTION = {
    "max_position_embeddings": "the longest sequence, which without a table of positions no logits show",
    "initializer_range": "how weights that are missing would be drawn, and none is missing",
    "use_cache": "whether a cache is returned; generation is told by the test",
    "attention_dropout": "dropout is off in evaluation",
    "attn_pdrop": "dropout is off in evaluation",
    "embd_pdrop": "dropout is off in evaluation",
    "resid_pdrop": "dropout is off in evaluation",
    "n_ctx": "read by another program only",
    "pretraining_tp": "read by nobody since transformers 4.40",
    "output_router_logits": "another output",
    "router_aux_loss_coef": "a loss",
    "reorder_and_upcast_attn": "another order of the same sums",
    "torch_dtype": "the test loads in float32",
    "bos_token_id": "generation is told by the test",
    "eos_token_id": "generation is told by the test",
    "use_sliding_window": "without a window nothing slides",
    "attn_logit_softcapping": "Gemma 3's attention has no softcap in transformers 4.57",
    "rope_parameters": "read by transformers 5, whose reading of every config is compared in tests/backwards",
    "decoder_sparse_step": "2 takes experts away, which the test of names sees",
    "mlp_only_layers": "a list of layers without experts, which the test of names sees",
    "architectures": "read by AutoModel only where model_type is missing",
}
"""Settings that change no logits, and why."""


def test_every_field_has_a_neutral_value_or_is_asked_for() -> None:
    must = {"layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab", "context", "embed_rows", "head_rows"}
    assert set(NEUTRAL) | must | {"norm", "norm_placement", "norm_eps", "activation", "position", "tied"} == set(FIELDS)


def test_every_model_is_one_that_its_target_accepts(model: Any) -> None:
    assert model.target.problems(model.spec) == []
    assert model.spec.problems() == []


def test_the_right_directory_is_proved(model: Any, tmp_path: Path) -> None:
    assert model.failures(tmp_path / "right", model.state(), model.config()) == []


def exchanged(state: dict[str, torch.Tensor]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Two tensors of one layer in each other's place; a square matrix transposed."""
    for a, b in combinations(state, 2):
        layer = {part for name in (a, b) for part in name.split(".") if part.isdecimal()}
        if state[a].shape == state[b].shape and layer <= {"1", "0"} and len(layer) < 2 and "1" in layer:
            yield f"{a} for {b}", {**state, a: state[b].clone(), b: state[a].clone()}
    for name, tensor in state.items():
        if tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] and ".1." in name:
            yield f"{name} transposed", {**state, name: tensor.T.contiguous()}


def test_weights_in_the_wrong_place_are_seen(model: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for title, state in exchanged(model.state()):
        if tally("of the targets' weights", killed=bool(model.failures(tmp_path / "wrong", state, model.config()))):
            survivors.append(title)
    assert survivors == []


def others(key: str, value: Any) -> Iterator[Any]:
    """Wrong values of a setting; its absence is one where the class has another default."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2)
    elif isinstance(value, float):
        yield from ((1e-3, 1e-8) if "eps" in key or "epsilon" in key else (value * 2 + 1,))
    elif (isinstance(value, str) and "act" in key) or key == "afn":
        yield from {"gelu", "gelu_new", "relu", "silu"} - {value, "gelu_new" if "tanh" in str(value) else value}
    elif isinstance(value, list) and value and key == "layer_types":
        yield from (value[::-1], [value[0]] * len(value), [value[-1]] * len(value))
    elif key == "rope_scaling":
        factor = {"rope_type": "linear", "factor": 2.0}
        yield factor if value is None else {**value, "factor": value["factor"] * 2}
    elif key == "final_logit_softcapping":
        yield 3.0 if value is None else None


def harmless(spec: ModelSpec, key: str, other: Any, config: dict[str, Any]) -> bool:
    """Whether a setting says nothing about this very model."""
    return (
        (key == "layer_types" and other == config[key])
        or (key == "sliding_window" and not spec.sliding_window)  # nothing slides
        or (key == "rope_local_base_freq" and not spec.rope_local_theta)
        or (key in ("rope_theta", "rope_scaling") and not spec.rope_theta and "rope_local_base_freq" in config)
        or (key == "intermediate_size" and spec.experts > 0)  # every layer has experts
        # transformers 5 keeps two matrices that differ apart, and says so (modeling_utils.py, 5.24)
        or (key == "tie_word_embeddings" and other and config["model_type"] == "nanochat")
        or (key == "norm_topk_prob" and spec.experts == spec.experts_per_token)  # all of them sum to one
    )


@pytest.mark.filterwarnings("ignore")
def test_wrong_settings_are_seen(model: Any, tally: Any, tmp_path: Path) -> None:
    survivors, config = [], model.config()
    for key, value in config.items():
        for other in () if key in SAME_FUNCTION else others(key, value):
            wrong = {**config, key: other}
            if harmless(model.spec, key, other, config):
                continue
            if tally("of the targets' settings", killed=bool(model.failures(tmp_path / "wrong", model.state(), wrong))):
                survivors.append((key, other))
    assert survivors == []


def test_a_head_width_that_is_not_stated(model: Any, tmp_path: Path) -> None:
    """`head_dim` is written where a class knows it: without it transformers divides the width by the heads."""
    config = model.config()
    if "head_dim" in config:
        del config["head_dim"]
        assert model.failures(tmp_path / "wrong", model.state(), config) != []
