"""The float16 file: every number of the float32 one rounded; what goes in and comes out stays float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from ckpt2hf.stages.job import Written
from ckpt2hf.stages.onnx.file import save

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage


def make(job: Job, _stage: Stage, _work: Path) -> Written:
    """Write the file. Infinities of masks become the largest float16."""
    assert job.base is not None  # noqa: S101 - only float32 has none
    save(halved(onnx.load(job.base)), Path(job.out))
    return Written({"inputs_and_outputs": "float32"})


def halved(model: onnx.ModelProto, keep: tuple[str, ...] = ()) -> onnx.ModelProto:
    """The model in float16, but for the operators that `keep` names and those that have no float16."""
    made: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *keep]
    )
    return made
