"""int4 in blocks: the matrices that multiply, each row in blocks of 32 with a scale of their own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from ckpt2hf.stages.job import Written
from ckpt2hf.stages.onnx.file import save, with_plain_products

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage

BLOCK = 32
"""Weights that share a scale. Source: huggingface/transformers.js scripts/quantize.py."""


def make(job: Job, stage: Stage, _work: Path) -> Written:
    """Write the file."""
    assert job.base is not None  # noqa: S101 - only float32 has none
    logging.getLogger("onnxruntime").setLevel(logging.WARNING)  # a line for each node that is no product
    quantizer: Any = MatMulNBitsQuantizer(with_plain_products(onnx.load(job.base)), block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    model: onnx.ModelProto = quantizer.model.model
    if stage.settings["half"]:
        from ckpt2hf.stages.onnx.float16 import halved  # noqa: PLC0415 - imports what this one needs rarely

        model = halved(model)
    save(model, Path(job.out))
    return Written({"block_size": BLOCK, "symmetric": True, "rest": "float16" if stage.settings["half"] else "float32"})
