"""A checkpoint as training code saves it: one torch file, its tensors inside whatever the code keeps beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.output.torch_file import torch_file
from ckpt2hf.output.weights import WrittenWeights, write_laid_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.output.state_dict_pickle import Content
    from ckpt2hf.tensors import Readable


def write_checkpoint(
    path: Path, tensors: Mapping[str, Readable], content: Content, *, threads: int, progress: Callable[[int], None]
) -> WrittenWeights:
    """Writes the file, each tensor once, in blocks. Raises OutputError, and what reading a tensor raises."""
    metas = {name: tensor.meta for name, tensor in tensors.items()}
    file = torch_file(path, metas, content)
    seen = write_laid_out(tensors, [tuple(tensors)], [[file]], threads, progress)
    return WrittenWeights((path,), seen, sum(meta.nbytes for meta in metas.values()))
