"""An ONNX file of a causal language model, run by onnxruntime on the processor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from ckpt2hf import limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.tensors import Array

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ERRORS = 3
"""onnxruntime's level of messages: errors only."""


class OnnxModel:
    """What gives logits for ids, with or without the keys and values of the ids before them."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises what onnxruntime raises about a file that it cannot run."""
        options = onnxruntime.SessionOptions()
        # It does not look at OMP_NUM_THREADS, nor at what a container allows.
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or limits.processors())
        options.log_severity_level = _ERRORS
        self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = {each.name: each for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]
        self._past = [name for name in self._inputs if name.startswith("past_key_values.")]

    @property
    def layers(self) -> list[tuple[str, str]]:
        """What `step` calls the keys and the values of each layer."""
        count = len(self._past) // 2
        names = [(f"past_key_values.{k}.key", f"past_key_values.{k}.value") for k in range(count)]
        return names if {name for both in names for name in both} == set(self._past) else []

    @property
    def has_cache(self) -> bool:
        """Whether it takes keys and values, and gives those of its ids."""
        return bool(self._past) and all(_present(name) in self._outputs for name in self._past)

    def logits(self, ids: Array) -> Array:
        """Logits `[batch, time, vocab]` of ids `[batch, time]`."""
        return self.step(ids)[0]

    def step(
        self, ids: Array, past: Mapping[str, Array] | None = None, mask: Array | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Logits of ids `[batch, time]` that follow those of `past`, and what the next step takes as its past.

        `mask` `[batch, time]` is 0 where an id is padding; with a past, it covers the past as well.
        """
        before = 0 if past is None else next(iter(past.values())).shape[2]
        seen = np.ones((len(ids), before + ids.shape[1]), np.int64) if mask is None else mask
        given: dict[str, Array] = {
            "input_ids": ids,
            "attention_mask": seen,
            "position_ids": np.clip(seen.cumsum(1) - 1, 0, None)[:, before:],
        }
        for name in self._past:
            given[name] = self._nothing(name, len(ids)) if past is None else past[name]
        answer = self._session.run(None, {name: given[name] for name in self._inputs})
        found = dict(zip(self._outputs, answer, strict=True))
        logits: Array = found["logits"]
        return logits.astype(np.float32, copy=False), {name: found[_present(name)] for name in self._past}

    def _nothing(self, name: str, batch: int) -> Array:
        """Keys or values of no ids `[batch, heads, 0, width]`."""
        about = self._inputs[name]
        shape = [batch, about.shape[1], 0, about.shape[3]]
        return np.zeros(shape, _TYPES[about.type])


def _present(name: str) -> str:
    return name.replace("past_key_values.", "present.")
