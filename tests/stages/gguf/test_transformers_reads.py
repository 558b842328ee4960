"""transformers' own reader of GGUF files gets from ours what is in the directory: every weight, every setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from stages.gguf.test_written import cases, directory, written
from target_models import SPECS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
UNREAD = "olmo3"
"""A class of whose GGUF files it knows nothing."""
SIZES = {
    "max_position_embeddings",
    "hidden_size",
    "num_hidden_layers",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "rms_norm_eps",
    "rope_theta",
}
SETTINGS = {
    "gpt2": {"n_layer", "n_ctx", "n_embd", "n_head", "layer_norm_epsilon"},
    "llama": SIZES,
    "qwen3": SIZES,
    "qwen3_moe": SIZES | {"num_experts", "num_experts_per_tok"},
    "gemma3_text": SIZES | {"head_dim", "sliding_window"},
}
"""What it has to find, at least; whatever else it finds is compared, too."""
OTHERS = {"_model_name_or_path", "model_type", "n_ctx"}
"""Names, and one that GPT-2's configuration has under another name."""


@pytest.mark.parametrize(("target", "k"), [case for case in cases() if case.values[0] != UNREAD])
def test_it_finds_the_directory_in_the_file(target: str, k: int, tmp_path: Path) -> None:
    place = directory(tmp_path / "model", target, SPECS[target][k])
    file = written(place, tmp_path / "m.gguf")
    config = AutoConfig.from_pretrained(place)
    said = load_gguf_checkpoint(str(file), return_tensors=False)["config"]
    assert set(said) >= SETTINGS[target] | {"tie_word_embeddings"}
    for name, value in said.items():
        if name not in OTHERS and hasattr(config, name):
            assert value == pytest.approx(getattr(config, name), rel=1e-6), name
    if target == "gpt2":
        assert said["n_ctx"] == config.n_positions
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    # llama.cpp's Gemma 3 has one scale of the scores; another one is in the norms of the queries.
    moved = target == "gemma3_text" and config.query_pre_attn_scalar != config.head_dim
    if moved:
        config.query_pre_attn_scalar = config.head_dim
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, config=config, dtype=torch.float32)
    wanted, found = model.state_dict(), read.state_dict()
    assert set(found) == set(wanted)
    for name, tensor in found.items():
        if target == "gemma3_text" and "norm" in name:  # the file has them with one added, which rounds
            assert torch.allclose(tensor, wanted[name], rtol=0, atol=2**-23) or (moved and "q_norm" in name), name
        else:
            assert torch.equal(tensor, wanted[name]), name
    length = min(30, config.max_position_embeddings)
    ids = torch.arange(2 * length).reshape(2, length) % config.vocab_size
    with torch.inference_mode():
        right, other = model(ids).logits, read(ids).logits
    assert (right - other).abs().max() <= 2e-5 * right.std()
