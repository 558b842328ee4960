"""Every stage there is, as data."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import UsageError
from ckpt2hf.stages.stage import Command, Memory, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONNX = ("onnx", "onnxruntime")
_OPTIMUM = ("torch", "transformers", "optimum.onnxruntime", *_ONNX)
_TARGETS = ("gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text")
"""Those whose export by optimum-onnx 0.1.0 was measured to be right; the tests export each of them."""


_HALF = ("measured on the processor, where onnxruntime computes in float32 what it has no float16 for",)
_MIB = 1 << 20
_FAMILY = "onnx"
"""Source of the folder's name: huggingface/transformers.js docs, `subfolder`."""
_INT8: dict[str, Any] = {
    "targets": _TARGETS,
    "packages": _OPTIMUM,
    "command": Command.QUANTIZE,
    "family": _FAMILY,
    "maker": "int8",
    "memory": Memory(480 * _MIB, 4.2),
    "bits": 8,
}
_INT4: dict[str, Any] = {
    "targets": _TARGETS,
    "packages": (*_ONNX, "onnx_ir"),
    "command": Command.QUANTIZE,
    "family": _FAMILY,
    "maker": "int4",
    "memory": Memory(200 * _MIB, 2.2),
    "bits": 4,
}

ONNX = Stage(
    id="onnx",
    title="float32",
    command=Command.EXPORT,
    family=_FAMILY,
    maker="float32",
    file="model.onnx",
    packages=_OPTIMUM,
    targets=_TARGETS,
    memory=Memory(450 * _MIB, 4.1),
    bits=32,
    exact=True,
)
"""What all others are made from."""
STAGES = (
    ONNX,
    Stage(
        id="onnx-fp16",
        title="float16",
        command=Command.EXPORT,
        family=_FAMILY,
        maker="float16",
        file="model_fp16.onnx",
        packages=_ONNX,
        targets=_TARGETS,
        memory=Memory(170 * _MIB, 5.1),
        bits=16,
        notes=_HALF,
    ),
    Stage(id="onnx-q8", title="int8 for one processor", file="model_quantized.onnx", settings={"weights": ""}, **_INT8),
    Stage(id="onnx-int8", title="int8, signed", file="model_int8.onnx", settings={"weights": "QInt8"}, **_INT8),
    Stage(id="onnx-uint8", title="int8, unsigned", file="model_uint8.onnx", settings={"weights": "QUInt8"}, **_INT8),
    Stage(id="onnx-q4", title="int4 in blocks", file="model_q4.onnx", settings={"half": False}, **_INT4),
    Stage(
        id="onnx-q4f16", title="int4, float16", file="model_q4f16.onnx", settings={"half": True}, notes=_HALF, **_INT4
    ),
)
"""All of them; what another is made from comes before it."""


def stages_named(names: Iterable[str], command: Command) -> tuple[Stage, ...]:
    """The stages of these ids, each once, in the order they are made in. Raises UsageError for what is none."""
    asked = list(dict.fromkeys(name.strip() for name in names))
    known = {stage.id: stage for stage in STAGES}
    for name in asked:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            mine = [stage.id for stage in STAGES if command in {stage.command, Command.CONVERT}]
            raise UsageError(f"there is no form {name!r}", remedies=[f"--to {','.join(close or mine)}"])
        if command not in {known[name].command, Command.CONVERT}:
            other = known[name].command.value
            raise UsageError(f"{name} is not made by {command.value}", remedies=[f"ckpt2hf {other} DIR --to {name}"])
    if not asked:
        raise UsageError("--to names no form", remedies=[f"--to {STAGES[0].id}"])
    return tuple(stage for stage in STAGES if stage.id in asked)
