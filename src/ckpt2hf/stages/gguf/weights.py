"""How a GGUF file stores its weights: bits, and what has another type than its name says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf

from ckpt2hf.stages.job import Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ckpt2hf.stages.stage import Stage

_LOOKED_UP = {"token_embd.weight", "position_embd.weight"}


def use_of(files: Sequence[Path], stage: Stage) -> Use:
    """How the weights of a file, or of its parts, are stored."""
    tensors: list[Any] = [tensor for file in files for tensor in gguf.GGUFReader(file).tensors]
    weights = sum(int(each.n_elements) for each in tensors)
    tied = not any(each.name == "output.weight" for each in tensors)
    matrices = [each for each in tensors if _multiplies(each, tied=tied)]
    every = sum(int(each.n_elements) for each in matrices)
    narrow = sum(int(each.n_elements) for each in matrices if _bits(each) <= stage.bits)
    return Use(
        bits_per_weight=sum(int(each.n_bytes) for each in tensors) * 8 / weights,
        matrix_bits=sum(int(each.n_bytes) for each in matrices) * 8 / max(every, 1),
        share=narrow / max(every, 1),
        kept=tuple(sorted(_kept(matrices, stage.settings.get("types", ())))),
    )


def _multiplies(tensor: Any, *, tied: bool) -> bool:  # noqa: ANN401 - the library's own
    """Whether a tensor is a matrix that multiplies: an embedding does where it is the head, too."""
    if len(tensor.shape) < 2:  # noqa: PLR2004 - a vector
        return False
    return tensor.name not in _LOOKED_UP or (tied and tensor.name == "token_embd.weight")


def _bits(tensor: Any) -> float:  # noqa: ANN401 - the library's own
    return float(int(tensor.n_bytes) * 8 / int(tensor.n_elements))


def _kept(matrices: Sequence[Any], types: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Matrices of another type than those that the file is named for."""
    for tensor in matrices:
        kind = tensor.tensor_type.name
        if types and kind not in types:
            yield (
                tensor.name,
                f"{kind}, {_bits(tensor):.2f} bits: its rows of {int(tensor.shape[0])} do not fit {types[0]}",
            )
