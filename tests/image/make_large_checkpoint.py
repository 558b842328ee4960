"""Makes a nanoGPT checkpoint of about 6 GB that takes little memory and little disk: `make_large_checkpoint.py OUT`.

torch writes the skeleton of the file and leaves out the numbers, so the file has holes, which read as zeros. Each
tensor then begins with random numbers, so that no two are alike and a tensor in the wrong place is found.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch

LAYERS, WIDTH, HEADS, VOCAB, CONTEXT = 28, 2048, 16, 50_304, 1024
FILLED = 1024
"""Numbers at the beginning of each tensor, or all of them."""


def state_dict() -> dict[str, torch.Tensor]:
    """The tensors, without memory: what `torch.empty` gives is not touched."""
    block = {
        "ln_1.weight": (WIDTH,),
        "attn.c_attn.weight": (3 * WIDTH, WIDTH),
        "attn.c_proj.weight": (WIDTH, WIDTH),
        "ln_2.weight": (WIDTH,),
        "mlp.c_fc.weight": (4 * WIDTH, WIDTH),
        "mlp.c_proj.weight": (WIDTH, 4 * WIDTH),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (VOCAB, WIDTH),
        "transformer.wpe.weight": (CONTEXT, WIDTH),
        **{f"transformer.h.{k}.{name}": shape for k in range(LAYERS) for name, shape in block.items()},
        "transformer.ln_f.weight": (WIDTH,),
    }
    state = {name: torch.empty(shape) for name, shape in shapes.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    return state


def main() -> None:
    """Writes the file named by the only argument."""
    out = Path(sys.argv[1])
    arguments = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "block_size": CONTEXT, "bias": False}
    state = state_dict()
    with torch.serialization.skip_data():
        torch.save({"model": state, "model_args": {**arguments, "vocab_size": VOCAB}}, out)
    reader = torch._C.PyTorchFileReader(str(out))
    made = random.Random(0)  # noqa: S311 - weights, not secrets
    with out.open("r+b") as file:
        for name in reader.get_all_records():
            if name.startswith("data/"):
                numbers = torch.tensor([made.gauss(0, 0.02) for _ in range(FILLED)])
                file.seek(reader.get_record_offset(name))
                file.write(numbers.numpy().tobytes())


if __name__ == "__main__":
    main()
