"""Makes a checkpoint of the size and form that the course's last day leaves: `python make_course_checkpoint.py OUT`.

A bare state dict, saved by `torch.save`, with random weights of realistic size: norm weights around one, every bias
non-zero, every head with its own causal mask. The default is the course's own size, about 575 MB.

Source: Yusiko99/50-gunde-si@26d95c9, days 13 to 17 and 29.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import torch

LINEAR, EMBEDDING, BIAS, NORM = 0.02, 0.02, 0.02, 0.1
"""Standard deviations; norm weights vary around one."""


def state_dict(layers: int, width: int, heads: int, vocab: int, context: int) -> OrderedDict[str, torch.Tensor]:
    """The tensors in the order the course's modules make them, from PyTorch's own random numbers."""
    tensors: OrderedDict[str, torch.Tensor] = OrderedDict()

    def linear(name: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs) * LINEAR
        if bias:
            tensors[f"{name}.bias"] = torch.randn(outputs) * BIAS

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + torch.randn(width) * NORM
        tensors[f"{name}.bias"] = torch.randn(width) * BIAS

    tensors["token_embedding_table.weight"] = torch.randn(vocab, width) * EMBEDDING
    tensors["position_embedding_table.weight"] = torch.randn(context, width) * EMBEDDING
    for layer in (f"blocks.{i}" for i in range(layers)):
        for head in (f"{layer}.sa.heads.{h}" for h in range(heads)):
            tensors[f"{head}.tril"] = torch.tril(torch.ones(context, context))
            for part in ("key", "query", "value"):
                linear(f"{head}.{part}", width // heads, width, bias=False)
        linear(f"{layer}.sa.proj", width, width)
        linear(f"{layer}.ffwd.net.0", 4 * width, width)
        linear(f"{layer}.ffwd.net.2", width, 4 * width)
        norm(f"{layer}.ln1")
        norm(f"{layer}.ln2")
    norm("ln_f")
    linear("lm_head", vocab, width)
    return tensors


def main() -> None:
    """Reads the sizes, writes the file, says how large it is."""
    parser = argparse.ArgumentParser(description="Make a course-style checkpoint with random weights.")
    parser.add_argument("out", type=Path)
    sizes = {"layers": 12, "width": 768, "heads": 12, "vocab": 32000, "context": 256}
    for name, size in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.save(state_dict(**{name: getattr(given, name) for name in sizes}), given.out)
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
