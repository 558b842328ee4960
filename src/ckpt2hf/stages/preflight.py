"""What can be said against a stage before anything is done."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ckpt2hf.targets import TARGETS
from ckpt2hf.verify.elsewhere import needs_other

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt2hf.stages.stage import Stage

_COMPUTES = {"onnx": "optimum-onnx exports", "gguf": "llama.cpp computes"}
"""Who decides what a family can be made of."""


def preflight(hf_class: str, stages: Iterable[Stage]) -> list[str]:
    """Why these forms of a model of such a class cannot be made; empty where nothing is against it."""
    return list(dict.fromkeys(problem for stage in stages for problem in _problems(hf_class, stage)))


def _problems(hf_class: str, stage: Stage) -> Iterator[str]:
    target = next((each for each in TARGETS if each.hf_class == hf_class), None)
    supported = ", ".join(each.hf_class for each in TARGETS if each.id in stage.targets)
    if target is None or target.id not in stage.targets:
        why = ", which is a class of transformers 5" if target and needs_other(target) else ""
        yield f"{stage.id} cannot be made of {hf_class}{why}: {_COMPUTES[stage.family]} {supported}"
    if absent := [name for name in stage.packages if not _installed(name)]:
        yield f"{stage.id} needs {', '.join(absent)}, not installed here: pip install 'ckpt2hf[{stage.family}]'"


def _installed(module: str) -> bool:
    """Whether a module could be imported, without importing it; of `optimum.onnxruntime`, the package around it is."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
