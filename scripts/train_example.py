"""Train the example model and write everything in `examples/az-mini` that is not written by hand.

    python scripts/train_example.py [--out examples/az-mini] [--steps N]

Deterministic: the same versions of torch and tokenizers on the same kind of processor give the same files. Takes
a few minutes on one core.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from example_text import paragraphs

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "az-mini"
TRAIN_SEED, HELDOUT_SEED, MODEL_SEED = 11, 2718, 50
TRAIN_PARAGRAPHS = 6000
HELDOUT_ROWS = 128
BATCH = 16
STEPS = 2600
WARMUP = 100
PEAK_RATE, LAST_RATE = 3e-3, 1e-4
SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def load_model_module() -> ModuleType:
    """The module `examples/az-mini/model.py`, whose folder is no package."""
    spec = importlib.util.spec_from_file_location("az_mini_model", EXAMPLE / "model.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {EXAMPLE / 'model.py'}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train_tokenizer(texts: list[str], vocab_size: int) -> Tokenizer:
    """A BPE tokenizer set up as in the course: Whitespace pre-tokenizer, byte-level alphabet, no decoder."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> NDArray[np.int32]:
    """The token ids of all texts in a row, one dimension."""
    return np.concatenate([np.array(encoding.ids, dtype=np.int32) for encoding in tokenizer.encode_batch(texts)])


def unigram_entropy(ids: NDArray[np.int32]) -> float:
    """The loss, in nats, of the best model that knows only how often each of these tokens occurs."""
    counts = np.bincount(ids.ravel())
    share = counts[counts > 0] / ids.size
    return float(-(share * np.log(share)).sum())


@torch.no_grad()
def mean_loss(model: torch.nn.Module, rows: torch.Tensor) -> float:
    """Mean next-token loss in nats over rows [n, block]: each row predicts its tokens 1 to block-1."""
    logits, _ = model(rows[:, :-1])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item()


def rate(step: int, steps: int) -> float:
    """The learning rate: a linear warm-up, then half a cosine."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (steps - WARMUP)))


def train(model: torch.nn.Module, stream: torch.Tensor, block: int, steps: int) -> None:
    """Fit the model to random windows of the stream, saying how it goes every 200 steps."""
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    generator = torch.Generator().manual_seed(MODEL_SEED)
    start = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        offsets = torch.randint(len(stream) - block, (BATCH,), generator=generator)
        windows = torch.stack([stream[offset : offset + block + 1] for offset in offsets.tolist()])
        _, loss = model(windows[:, :-1], windows[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.perf_counter() - start:6.1f} s", flush=True)


def main() -> None:
    """Text, tokenizer, model, losses: in this order, each from the one before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=EXAMPLE, help="where the files go")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimizer steps")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # one thread sums in one order
    torch.manual_seed(MODEL_SEED)
    module = load_model_module()
    block: int = module.BLOCK_SIZE

    texts = list(islice(paragraphs(TRAIN_SEED), TRAIN_PARAGRAPHS))
    tokenizer = train_tokenizer(texts, module.VOCAB_SIZE)
    if tokenizer.get_vocab_size() != module.VOCAB_SIZE:
        raise ValueError(f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the model {module.VOCAB_SIZE}")
    tokenizer.save(str(out / "tokenizer.json"))
    stream = encode(tokenizer, texts)
    seen = set(texts)
    fresh = (text for text in paragraphs(HELDOUT_SEED) if text not in seen)
    heldout = encode(tokenizer, list(islice(fresh, HELDOUT_ROWS * 4)))[: HELDOUT_ROWS * block].reshape(-1, block)
    np.save(out / "heldout.npy", heldout)
    print(f"{sum(map(len, texts))} characters, {len(stream)} training tokens, {heldout.size} held-out tokens")

    model = module.GPTModel()
    rows = torch.from_numpy(heldout).long()
    train_ids = torch.from_numpy(stream).long()
    train_rows = train_ids[: rows.numel()].view_as(rows)
    untrained = mean_loss(model, rows)
    train(model, train_ids, block, arguments.steps)
    model.eval()
    losses = {
        "uniform": math.log(module.VOCAB_SIZE),
        "untrained": untrained,
        "unigram_entropy_heldout": unigram_entropy(heldout[:, 1:]),
        "train": mean_loss(model, train_rows),
        "heldout": mean_loss(model, rows),
    }
    torch.save(model.state_dict(), out / "az_llm_mini_final.pt")
    rounded = {name: round(value, 6) for name, value in losses.items()}
    (out / "losses.json").write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
