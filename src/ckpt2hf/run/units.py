"""Sizes, durations and number types as people write them: `5GB`, `30m`, `bf16`."""

from __future__ import annotations

import math
import re

from ckpt2hf.tensors import DType

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*d)?\s*(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m)?\s*"
                       r"(?:(\d+(?:\.\d+)?)\s*s?)?", re.IGNORECASE)  # fmt: skip
_SECONDS = (86400, 3600, 60, 1)
_TYPES = {
    "float32": "float32", "fp32": "float32", "f32": "float32",
    "bfloat16": "bfloat16", "bf16": "bfloat16",
    "float16": "float16", "fp16": "float16", "f16": "float16", "half": "float16",
    "float64": "float64", "fp64": "float64", "f64": "float64",
}  # fmt: skip


def byte_count(value: str | int) -> int:
    """The bytes of `5GB`, `500MiB` or `1000`. Raises ValueError."""
    found = _SIZE.fullmatch(str(value).strip())
    nbytes = int(float(found[1]) * (1024 if found[3] else 1000) ** _POWER[found[2].lower()]) if found else 0
    if nbytes <= 0:
        raise ValueError(f"a size is written like 5GB, 500MiB or 1000, not {value!r}")
    return nbytes


def seconds(value: str | float) -> float:
    """The seconds of `30m`, `1h30m`, `90s` or `90`. Raises ValueError."""
    found = _DURATION.fullmatch(str(value).strip())
    parts = [float(part or 0) for part in found.groups()] if found else []
    total = sum(part * unit for part, unit in zip(parts, _SECONDS, strict=False))
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"a time is written like 30m, 1h30m, 90s or 90 (seconds), not {value!r}")
    return total


def number_type(name: str) -> DType:
    """The type of `bfloat16`, `bf16` or `torch.bfloat16`. Raises ValueError."""
    known = _TYPES.get(name.lower().removeprefix("torch."))
    if known is None:
        raise ValueError(f"a type is float32, bfloat16, float16 or float64, not {name!r}")
    return DType.from_torch(known)
