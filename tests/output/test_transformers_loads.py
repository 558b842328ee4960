"""transformers loads what was written, from either format, sharded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.output import WrittenWeights

CONFIG = GPT2Config(vocab_size=61, n_positions=20, n_embd=24, n_layer=2, n_head=3, tie_word_embeddings=False)


@pytest.mark.parametrize("limit", [None, 8000])
@pytest.mark.parametrize("safe", [True, False])
def test_from_pretrained(
    write: Callable[..., WrittenWeights], tmp_path: Path, limit: int | None, *, safe: bool
) -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(CONFIG)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    written = write(state, tmp_path, max_shard_bytes=limit)
    assert (len(written.files) > 2) == (limit is not None)
    CONFIG.save_pretrained(tmp_path)
    loaded, report = GPT2LMHeadModel.from_pretrained(tmp_path, use_safetensors=safe, output_loading_info=True)
    assert not any(report.values())
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
