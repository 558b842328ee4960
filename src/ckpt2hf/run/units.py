"""Sizes, durations, number types and degrees of exactness as people write them: `5GB`, `30m`, `bf16`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from ckpt2hf.rewrites import Exactness
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Iterable

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


_ALLOWED = {"numerically-equal": Exactness.NUMERICAL}
"""What a user can allow: results that are not equal in real arithmetic."""


def allowed(names: Iterable[str]) -> tuple[Exactness, ...]:
    """The degrees of exactness of these names, each once. Raises ValueError."""
    words = list(dict.fromkeys(str(name) for name in names))
    unknown = [word for word in words if word not in _ALLOWED]
    if unknown:
        raise ValueError(f"what can be allowed is {', '.join(_ALLOWED)}, not {unknown[0]!r}")
    return tuple(_ALLOWED[word] for word in words)


def allow_names(given: Iterable[Exactness]) -> list[str]:
    """These degrees as a user writes them."""
    return [name for name, each in _ALLOWED.items() if each in given]
