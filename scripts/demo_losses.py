"""Compare the loss of a converted example with the loss recorded when it was trained, and let it speak.

    python scripts/demo_losses.py examples/az-mini demo-out/az-mini

Uses nothing of ckpt2hf: this is how anybody reads the directory. Exits with 1 when the two losses differ.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # everything is on disk; read by the import below

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

# The rounding of another order of sums; any wrong tensor costs tenths.
TOLERANCE = 1e-3
PROMPTS = ("Bu gün hava", "The cow eats", "Yanvar")
NEW_TOKENS = 14


@torch.no_grad()
def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("example", type=Path, help="folder with heldout.npy, losses.json and tokenizer.json")
    parser.add_argument("converted", type=Path, help="the Hugging Face directory")
    arguments = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(arguments.converted)  # in evaluation mode
    rows = torch.from_numpy(np.load(arguments.example / "heldout.npy")).long()
    logits = model(input_ids=rows).logits[:, :-1]
    converted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item()
    trained = json.loads((arguments.example / "losses.json").read_text(encoding="utf-8"))["heldout"]
    print(f"{type(model).__name__}, {sum(p.numel() for p in model.parameters())} parameters")
    print(f"held-out loss  trained model {trained:.6f}  converted model {converted:.6f}  nats per token")

    # The course's tokenizer has no decoder: its tokens are joined by spaces.
    tokenizer = Tokenizer.from_file(str(arguments.example / "tokenizer.json"))
    for prompt in PROMPTS:
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        spoken = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=3
        )
        print("  " + " ".join(tokenizer.id_to_token(i) for i in spoken[0].tolist()))
    return 0 if abs(converted - trained) < TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
