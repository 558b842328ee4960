"""Dynamic int8 through optimum's quantizer: weights once, activations as they come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization import QuantType
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig

from ckpt2hf.stages.job import Written
from ckpt2hf.stages.onnx.file import save, with_plain_products

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage

_PLAIN = "plain.onnx"


def make(job: Job, stage: Stage, work: Path) -> Written:
    """Write the file."""
    assert job.base is not None  # noqa: S101 - only float32 has none
    folder = work / "quantizing"
    save(with_plain_products(onnx.load(job.base)), folder / _PLAIN)
    shutil.copyfile(Path(job.directory) / "config.json", folder / "config.json")
    config: Any = getattr(AutoQuantizationConfig, job.preset)(is_static=False, per_channel=True)
    if stage.settings["weights"]:
        config.weights_dtype = QuantType[stage.settings["weights"]]
    # Products of u8 and s8 overflow 16 bits on processors without VNNI, which saturate in silence; 7 bits do not.
    config.reduce_range = job.preset == "avx2"
    quantizer: Any = ORTQuantizer.from_pretrained(folder, file_name=_PLAIN)
    quantizer.quantize(save_dir=folder / "made", quantization_config=config, file_suffix="quantized")
    out = Path(job.out)
    save(onnx.load(folder / "made" / "plain_quantized.onnx"), out)
    return Written(
        {
            "preset": job.preset,
            "weights": config.weights_dtype.name,
            "activations": config.activations_dtype.name,
            "per_channel": config.per_channel,
            "reduce_range": config.reduce_range,
        }
    )
