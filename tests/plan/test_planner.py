"""What a plan says before a byte of a weight is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import DType, Request, plan
from ckpt2hf.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

NANOGPT: dict[str, Any] = {"facts": ("activation=gelu",)}
COURSE: dict[str, Any] = {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)}


def source(repository: Path, name: str) -> Path:
    return repository / "tests" / "golden" / name / "checkpoint.pt"


def test_the_config_is_complete(repository: Path) -> None:
    config = plan(Request(source=source(repository, "nanogpt_bias"), **NANOGPT)).config
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert config["activation_function"] == "gelu"
    assert config["tie_word_embeddings"] is True
    assert (config["n_positions"], config["n_ctx"], config["n_inner"]) == (32, 32, 192)
    assert (config["bos_token_id"], config["eos_token_id"]) == (None, None)
    assert config["layer_norm_epsilon"] == 1e-5


def test_token_ids_outside_the_vocabulary_are_left_out_and_said_so(repository: Path) -> None:
    facts = (*NANOGPT["facts"], "bos_token_id=50256", "eos_token_id=95")
    made = plan(Request(source=source(repository, "nanogpt_bias"), facts=facts))
    assert made.generation_config == {"bos_token_id": None, "eos_token_id": 95}
    assert made.config["eos_token_id"] == 95
    assert "bos_token_id 50256 lies outside the vocabulary of 96" in made.notes[0]


def test_exactness_is_the_loosest_part(repository: Path) -> None:
    assert plan(Request(source=source(repository, "nanogpt_bias"), **NANOGPT)).exactness.value == "bitwise"
    assert plan(Request(source=source(repository, "az50_v2"), **COURSE)).exactness.value == "algebraic"
    rounded = plan(Request(source=source(repository, "nanogpt_bias"), dtype=DType.BF16, **NANOGPT))
    assert rounded.exactness.value == "rounded"
    assert rounded.config["torch_dtype"] == "bfloat16"
    same = plan(Request(source=source(repository, "nanogpt_bias"), dtype=DType.F32, **NANOGPT))
    assert same.exactness.value == "bitwise"


def test_all_that_a_target_cannot_express_is_named_at_once(repository: Path) -> None:
    facts = (*COURSE["facts"], "norm_placement=post")
    with pytest.raises(UnsupportedError, match="norm_placement is post"):
        plan(Request(source=source(repository, "az50_v2"), dialect="az-course", facts=facts))


def test_planning_reads_no_matrix_of_a_tied_model(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckpt2hf import tensors  # noqa: PLC0415

    def forbidden(_self: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(tensors.TensorRef, "load", forbidden)
    facts = ("heads=6", "activation=gelu")
    assert plan(Request(source=source(repository, "nanogpt_nobias_raw"), dialect="nanogpt", facts=facts)).spec.tied
