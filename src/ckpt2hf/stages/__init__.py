"""Stages: a finished directory's model in another form, made and measured in a process of its own.

Importing this imports neither torch nor onnx.
"""

from ckpt2hf.stages.apart import run_apart
from ckpt2hf.stages.catalogue import ONNX, STAGES, stages_named
from ckpt2hf.stages.gates import Gates
from ckpt2hf.stages.job import Job, Made, Use
from ckpt2hf.stages.preflight import preflight
from ckpt2hf.stages.price import Price
from ckpt2hf.stages.processor import PRESETS, preset_here
from ckpt2hf.stages.stage import Command, Stage

__all__ = [
    "ONNX",
    "PRESETS",
    "STAGES",
    "Command",
    "Gates",
    "Job",
    "Made",
    "Price",
    "Stage",
    "Use",
    "preflight",
    "preset_here",
    "run_apart",
    "stages_named",
]
