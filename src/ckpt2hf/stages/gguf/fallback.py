"""Which matrices llama.cpp gives another type than was asked for, known before any work. Imports nothing of llama.cpp.

Source: llama.cpp src/llama-quant.cpp (tensor_type_fallback): a row has to hold whole blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.plan import GgufPlan
    from ckpt2hf.stages.stage import Stage

_SMALL = 32
_INSTEAD = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""For rows that hold no whole blocks of 256."""
_BLOCKS = {**dict.fromkeys(_INSTEAD, 256), "Q8_0": _SMALL, "Q4_0": _SMALL}


def fallbacks(plan: GgufPlan, stage: Stage) -> Iterator[str]:
    """A line for each row length that does not fit the type the stage is named for."""
    kind: str = stage.settings["types"][0]
    lengths: dict[int, list[str]] = {}
    for name, tensor in plan.matrices.items():
        length = tensor.meta.shape[-1]
        if length % _BLOCKS[kind]:
            lengths.setdefault(length, []).append(name)
    for length, names in sorted(lengths.items()):
        instead = "F16" if length % _SMALL else _INSTEAD.get(kind, "F16")
        yield f"{len(names)} matrices with rows of {length}, such as {names[0]}, become {instead} instead of {kind}"
