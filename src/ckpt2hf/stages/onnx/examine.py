"""An ONNX file that was made, looked at: proved where it has to compute the same function, else priced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.onnx.weights import use_of

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job, Use
    from ckpt2hf.stages.price import Price
    from ckpt2hf.stages.stage import Stage
    from ckpt2hf.verify import Check


def examine(job: Job, stage: Stage) -> tuple[tuple[Check, ...], Price | None, Use]:
    """What has to hold, what it costs, and how its weights are stored."""
    out, tokens = Path(job.out), np.load(job.tokens)
    use = use_of(out, Path(job.base) if job.base else out, stage.bits)
    if stage.exact:
        from ckpt2hf.stages.onnx.parity import compare  # noqa: PLC0415 - imports torch

        return compare(Path(job.directory), out, tokens, job.window), None, use
    from ckpt2hf.stages.onnx.measuring import price_of  # noqa: PLC0415 - imports onnxruntime

    assert job.base is not None  # noqa: S101 - only the exact stage has none
    checks, price = price_of(Path(job.base), out, tokens, job)
    return checks, price, use
