"""Stages: a finished directory's model in another form, made and measured in a process of its own.

Importing this imports neither torch nor onnx.
"""

from ckpt2hf.stages.apart import Apart
from ckpt2hf.stages.catalogue import BY_ID, GGUF, ONNX, STAGES, bases_of, stages_named
from ckpt2hf.stages.gates import Gates
from ckpt2hf.stages.job import Job, Made, Use
from ckpt2hf.stages.memory import Size, require_room, side_by_side
from ckpt2hf.stages.preflight import preflight
from ckpt2hf.stages.price import Price
from ckpt2hf.stages.processor import PRESETS, preset_here
from ckpt2hf.stages.reach import require_reach
from ckpt2hf.stages.stage import Command, Stage

__all__ = [
    "BY_ID",
    "GGUF",
    "ONNX",
    "PRESETS",
    "STAGES",
    "Apart",
    "Command",
    "Gates",
    "Job",
    "Made",
    "Price",
    "Size",
    "Stage",
    "Use",
    "bases_of",
    "preflight",
    "preset_here",
    "require_reach",
    "require_room",
    "side_by_side",
    "stages_named",
]
