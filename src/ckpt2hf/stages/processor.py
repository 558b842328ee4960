"""The kinds of processor that int8 can be made for, and which one this is."""

from __future__ import annotations

import platform
from pathlib import Path

PRESETS = ("avx2", "avx512_vnni", "arm64")
"""Names of `AutoQuantizationConfig` of optimum-onnx."""
_ARM = {"arm64", "aarch64"}


def preset_here(machine: str | None = None, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The preset for this processor; avx2, which works everywhere, where that cannot be told."""
    if (machine or platform.machine()).lower() in _ARM:
        return "arm64"
    try:
        flags = cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return "avx2"
    return "avx512_vnni" if "avx512_vnni" in flags else "avx2"
