"""Every stage there is, as data."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import UsageError
from ckpt2hf.stages.stage import Command, Memory, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

_MIB = 1 << 20
_FLOAT16 = 65504.0
"""The largest number of that type."""

# ONNX. The folder and the names are those of huggingface/transformers.js, src/utils/dtypes.js.
_RUNTIME = ("onnx", "onnxruntime")
_OPTIMUM = ("torch", "transformers", "optimum.onnxruntime", *_RUNTIME)
_HALF = ("measured on the processor, where onnxruntime computes in float32 what it has no float16 for",)
_ONNX: dict[str, Any] = {
    "family": "onnx",
    # Those whose export by optimum-onnx 0.1.0 was measured to be right; the tests export each of them.
    "targets": ("gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text"),
}
ONNX = Stage(
    id="onnx",
    title="float32",
    command=Command.EXPORT,
    maker="float32",
    file="model.onnx",
    packages=_OPTIMUM,
    memory=Memory(450 * _MIB, 4.1),
    bits=32,
    exact=True,
    **_ONNX,
)
"""What all others of its family are made from."""
_ONNX["base"] = ONNX.id
_INT8: dict[str, Any] = {
    **_ONNX,
    "packages": _OPTIMUM,
    "command": Command.QUANTIZE,
    "maker": "int8",
    "memory": Memory(480 * _MIB, 4.2),
    "bits": 8,
}
_INT4: dict[str, Any] = {
    **_ONNX,
    "packages": (*_RUNTIME, "onnx_ir"),
    "command": Command.QUANTIZE,
    "maker": "int4",
    "memory": Memory(200 * _MIB, 2.2),
    "bits": 4,
}
_ONNX_STAGES = (
    ONNX,
    Stage(
        id="onnx-fp16",
        title="float16",
        command=Command.EXPORT,
        maker="float16",
        file="model_fp16.onnx",
        packages=_RUNTIME,
        memory=Memory(170 * _MIB, 5.1),
        bits=16,
        largest=_FLOAT16,
        notes=_HALF,
        **_ONNX,
    ),
    Stage(id="onnx-q8", title="int8 for one processor", file="model_quantized.onnx", settings={"weights": ""}, **_INT8),
    Stage(id="onnx-int8", title="int8, signed", file="model_int8.onnx", settings={"weights": "QInt8"}, **_INT8),
    Stage(id="onnx-uint8", title="int8, unsigned", file="model_uint8.onnx", settings={"weights": "QUInt8"}, **_INT8),
    Stage(id="onnx-q4", title="int4 in blocks", file="model_q4.onnx", settings={"half": False}, **_INT4),
    Stage(
        id="onnx-q4f16",
        title="int4, float16",
        file="model_q4f16.onnx",
        settings={"half": True},
        largest=_FLOAT16,
        notes=_HALF,
        **_INT4,
    ),
)

# GGUF. Names by the convention of ggml's docs/gguf.md.
_GGUF: dict[str, Any] = {
    "family": "gguf",
    "packages": ("torch", "transformers", "gguf", "llama_cpp"),
    "targets": ("gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text", "olmo3"),
    # Files are mapped. Weights of a directory that are not float32 are widened in memory, once.
    "memory": Memory(450 * _MIB, 1.2),
}


def _written(kind: str, title: str, bits: int, *, exact: bool = False) -> Stage:
    """A file with the weights in a floating-point type."""
    return Stage(
        id=f"gguf-{kind.lower()}",
        title=title,
        command=Command.EXPORT,
        maker="written",
        file=f"{{name}}-{kind}.gguf",
        bits=bits,
        exact=exact,
        largest=_FLOAT16 if kind == "F16" else None,
        settings={"kind": kind},
        **_GGUF,
    )


def _quantized(kind: str, title: str, types: tuple[str, ...]) -> Stage:
    """A file that llama.cpp has quantized."""
    return Stage(
        id=f"gguf-{kind.lower()}",
        title=title,
        command=Command.QUANTIZE,
        maker="quantized",
        file=f"{{name}}-{kind}.gguf",
        base=GGUF.id,
        bits=_QUANTIZED,
        settings={"kind": kind, "types": types},
        **_GGUF,
    )


_QUANTIZED = 9
"""Bits of a weight below which it is quantized at all: which types a file may have is said by name."""
GGUF = _written("F32", "float32", 32, exact=True)
"""What the quantized ones of its family are made from."""
_GGUF_STAGES = (
    GGUF,
    _written("F16", "float16", 16),
    _written("BF16", "bfloat16", 16),
    _quantized("Q8_0", "8 bits in blocks", ("Q8_0",)),
    _quantized("Q6_K", "6 bits in blocks of blocks", ("Q6_K",)),
    _quantized("Q5_K_M", "5 bits, some 6", ("Q5_K", "Q6_K")),
    _quantized("Q4_K_M", "4 bits, some 6", ("Q4_K", "Q6_K")),
    _quantized("Q4_0", "4 bits in blocks", ("Q4_0", "Q6_K")),
)
STAGES = (*_ONNX_STAGES, *_GGUF_STAGES)
"""All of them; what another is made from comes before it."""
BY_ID = {stage.id: stage for stage in STAGES}


def stages_named(names: Iterable[str], command: Command) -> tuple[Stage, ...]:
    """The stages of these ids, each once, in the order they are made in. Raises UsageError for what is none."""
    asked = list(dict.fromkeys(name.strip() for name in names))
    mine = [stage.id for stage in STAGES if command in {stage.command, Command.CONVERT}]
    for name in asked:
        if name not in BY_ID:
            close = difflib.get_close_matches(name, mine, n=1)
            meant = [each if each != name else close[0] for each in asked] if close else mine
            raise UsageError(f"there is no form {name!r}", remedies=[f"--to {','.join(meant)}"])
        if command not in {BY_ID[name].command, Command.CONVERT}:
            other = BY_ID[name].command.value
            raise UsageError(f"{name} is not made by {command.value}", remedies=[f"ckpt2hf {other} DIR --to {name}"])
    if not asked:
        raise UsageError("--to names no form", remedies=[f"--to {mine[0]}"])
    return tuple(stage for stage in STAGES if stage.id in asked)


def bases_of(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """What these are made from, besides themselves."""
    chosen = list(stages)
    wanted = {stage.base for stage in chosen} - {stage.id for stage in chosen}
    return tuple(stage for stage in STAGES if stage.id in wanted)
