"""What a form costs: its logits against those of float32 on the same tokens, and against its own with cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.divergence import CACHED_ROWS, CACHED_TOKENS, Divergence
from ckpt2hf.stages.onnx.model import OnnxModel
from ckpt2hf.verify import Check, Windows

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.price import Price
    from ckpt2hf.tensors import Array

CACHED = "cache"


def price_of(base: Path, file: Path, tokens: Array, job: Job) -> tuple[tuple[Check, ...], Price]:
    """Checks, and the price. `tokens` are `[stretches, tokens]`."""
    exact, made = OnnxModel(base), OnnxModel(file)
    all_in_all = Divergence()
    rows: list[Array] = []
    for ids, fresh in Windows(tokens, job.window, job.window).batches(job.at_once):
        last = int(fresh.max())
        (wanted, kept), (found, rounded) = exact.step(ids[:, :-1]), made.step(ids[:, :-1])
        for name in kept.keys() & rounded.keys():
            all_in_all.add_inside(name, kept[name][:, :, -last:], rounded[name][:, :, -last:])
        all_in_all.add(wanted[:, -last:], found[:, -last:], ids[:, -last:] if job.real else None)
        rows += list(ids[: max(CACHED_ROWS - len(rows), 0), : min(CACHED_TOKENS, job.window)])
    price = all_in_all.price(
        _cache(made, rows),
        real=job.real,
        keys=tuple(all_in_all.error_inside(keys) for keys, _ in exact.layers),
        values=tuple(all_in_all.error_inside(values) for _, values in exact.layers),
    )
    checks = (
        all_in_all.finite_check(),
        Check(CACHED, passed=made.has_cache, summary="it takes past key values" if made.has_cache else "it takes none"),
    )
    return checks, price


def _cache(model: OnnxModel, rows: list[Array]) -> Divergence:
    """Logits read token by token against those read at once."""
    found = Divergence()
    for row in rows:
        ids, past, steps = row[None], None, []
        for k in range(ids.shape[1]):
            logits, past = model.step(ids[:, k : k + 1], past)
            steps.append(logits)
        found.add(model.logits(ids), np.concatenate(steps, 1), None)
    return found
