"""How far a slightly wrong function predicts better than the right one: the figures of docs/evidence.md.

    python scripts/calibrate_sample.py

Trains ten small models of the tests, five with each GELU, and asks each about held-out text read with the other GELU,
with another eps and with other heads. Takes three minutes on one core.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "sample"))
import trained

SEEDS, STEPS = range(5), 700
HEADS, OTHER_HEADS = 6, (3, 12)
OTHER = {"gelu": "tanh", "gelu_tanh": "none"}
OTHER_EPS = 1e-6


@torch.no_grad()
def losses(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """The mean loss of each row, in nats per token."""
    logits = model(rows[:, :-1]).double()
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none")
    return each.view(len(rows), -1).mean(1)


def changed(model: torch.nn.Module, rows: torch.Tensor, name: str, value: object) -> str:
    """What another value of an attribute costs: nats per token, and how many standard errors that is."""
    before = losses(model, rows)
    kept = next(vars(module)[name] for module in model.modules() if name in vars(module))
    set_all(model, name, value)
    apart = losses(model, rows) - before
    set_all(model, name, kept)
    mean = apart.mean().item()
    return f"{mean: .1e} (t {mean / (apart.std() / math.sqrt(len(rows))): .1f})"


def set_all(model: torch.nn.Module, name: str, value: object) -> None:
    """An attribute of every module that has it."""
    for module in model.modules():
        if name in vars(module):
            setattr(module, name, value)


def main() -> None:
    """One line a model."""
    torch.set_num_threads(1)
    stream = trained.example_ids(trained.example_text(11, 3000))
    held_out = torch.from_numpy(trained.example_ids(trained.example_text(2718, 1200)))
    size = trained.CONTEXT + 1
    rows = held_out[: len(held_out) // size * size].view(-1, size)
    for seed in SEEDS:
        for activation, other in OTHER.items():
            torch.manual_seed(seed)
            model = trained.Fused(HEADS, activation)
            trained.train(model, stream, STEPS, seed)
            words = [f"seed {seed}  {activation:9}  loss {losses(model, rows).mean():.4f}"]
            words += [f"{heads} heads {changed(model, rows, 'n_head', heads)}" for heads in OTHER_HEADS]
            words.append(f"other GELU {changed(model, rows, 'approximate', other)}")
            words.append(f"eps {OTHER_EPS} {changed(model, rows, 'eps', OTHER_EPS)}")
            print("  ".join(words), flush=True)


if __name__ == "__main__":
    main()
