"""A GGUF file run by llama.cpp on the processor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np

from ckpt2hf import limits

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tensors import Array


class LlamaModel:
    """What gives logits for ids; keys and values are kept in float32, so that only the file is measured."""

    def __init__(self, path: Path, window: int) -> None:
        """Load it for sequences of up to `window` ids. Raises ValueError for a file that llama.cpp does not take."""
        threads = int(os.environ.get("OMP_NUM_THREADS") or limits.processors())
        self._model: Any = llama_cpp.Llama(
            str(path),
            n_ctx=window,
            n_batch=window,
            n_ubatch=window,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            type_k=llama_cpp.GGML_TYPE_F32,
            type_v=llama_cpp.GGML_TYPE_F32,
            swa_full=True,
            verbose=False,
        )

    def logits(self, ids: Array) -> Array:
        """Logits `[batch, time, vocab]` of ids `[batch, time]`, each sequence read at once."""
        return np.stack([self._read(row, len(row)) for row in ids])

    def stepped(self, ids: Array) -> Array:
        """The same, each sequence read token by token."""
        return np.stack([self._read(row, 1) for row in ids])

    def _read(self, row: Array, step: int) -> Array:
        self._model.reset()
        for first in range(0, len(row), step):
            self._model.eval(row[first : first + step].tolist())
        found: Array = self._model.scores[: len(row)].copy()
        return found
