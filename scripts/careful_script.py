"""The conversion a careful user would write by hand for a course checkpoint: `python careful_script.py CKPT OUT`.

It is what ckpt2hf is measured against: correct, with PyTorch and transformers, in one go. It handles this one dialect,
checks what it can cheaply check, and proves nothing about the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main() -> None:
    """Reads a bare state dict, writes `model.safetensors`, `pytorch_model.bin` and `config.json`."""
    parser = argparse.ArgumentParser(description="Convert a course checkpoint by hand.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    source = torch.load(given.checkpoint, weights_only=True)
    model = GPT2LMHeadModel(config(source))
    model.load_state_dict(converted(source, model.config), strict=True)
    model.save_pretrained(given.out, safe_serialization=True)
    model.save_pretrained(given.out, safe_serialization=False)


def config(source: dict[str, torch.Tensor]) -> GPT2Config:
    """What the shapes and names tell, and what is known of the course's code: exact GELU, no weight tying."""
    vocab, width = source["token_embedding_table.weight"].shape
    return GPT2Config(
        vocab_size=vocab,
        n_positions=source["position_embedding_table.weight"].shape[0],
        n_embd=width,
        n_layer=len({name.split(".")[1] for name in source if name.startswith("blocks.")}),
        n_head=len({name.split(".")[4] for name in source if name.startswith("blocks.0.sa.heads.")}),
        activation_function="gelu",
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )


def converted(source: dict[str, torch.Tensor], shape: GPT2Config) -> dict[str, torch.Tensor]:
    """The tensors of `GPT2LMHeadModel`: heads joined, matrices transposed for Conv1D, absent biases zero."""
    target = {
        "transformer.wte.weight": source["token_embedding_table.weight"],
        "transformer.wpe.weight": source["position_embedding_table.weight"],
    }
    for i in range(shape.n_layer):
        old, new = f"blocks.{i}", f"transformer.h.{i}"
        rows = [
            source[f"{old}.sa.heads.{h}.{part}.weight"]
            for part in ("query", "key", "value")
            for h in range(shape.n_head)
        ]
        target[f"{new}.attn.c_attn.weight"] = torch.cat(rows).t()
        target[f"{new}.attn.c_attn.bias"] = torch.zeros(3 * shape.n_embd)
        for theirs, ours in {"sa.proj": "attn.c_proj", "ffwd.net.0": "mlp.c_fc", "ffwd.net.2": "mlp.c_proj"}.items():
            target[f"{new}.{ours}.weight"] = source[f"{old}.{theirs}.weight"].t()
            target[f"{new}.{ours}.bias"] = source[f"{old}.{theirs}.bias"]
        for theirs, ours in {"ln1": "ln_1", "ln2": "ln_2"}.items():
            target[f"{new}.{ours}.weight"] = source[f"{old}.{theirs}.weight"]
            target[f"{new}.{ours}.bias"] = source[f"{old}.{theirs}.bias"]
    return target | head_without_bias(source)


def head_without_bias(source: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The output head with its bias folded in, and the final norm that makes it work.

    What a LayerNorm gives before its affine part has mean zero, so its all-ones direction is free to carry the bias:
    `W' = W diag(g) (I - 11^T/D) + (W beta + b) 1^T / D` with norm weight 1 and bias 1. In float64, rounded once.
    """
    weight, bias = source["lm_head.weight"].double(), source["lm_head.bias"].double()
    gain, shift = source["ln_f.weight"].double(), source["ln_f.bias"].double()
    scaled = weight * gain
    folded = scaled - scaled.mean(1, keepdim=True) + ((weight @ shift + bias) / len(gain))[:, None]
    ones = torch.ones_like(source["ln_f.weight"])
    return {"lm_head.weight": folded.float(), "transformer.ln_f.weight": ones, "transformer.ln_f.bias": ones.clone()}


if __name__ == "__main__":
    main()
