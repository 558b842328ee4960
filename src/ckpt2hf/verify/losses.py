"""How well a reading of a checkpoint predicts text: the loss of each window, in nats per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ckpt2hf.verify.effort import windows_at_once
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array, Readable

TEMPERATURES = (1.0, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 3.0)
"""What the logits are divided by: first by nothing, then by what a model may need that is too unsure or too sure."""
_HOPELESS = 1e6
"""Nats per token of a reading whose numbers overflow: finite, so that it can be compared."""


class Losses:
    """Windows of token ids `[windows, length + 1]`, and the readings that are measured on them."""

    def __init__(self, windows: Array) -> None:
        self._tokens = torch.from_numpy(np.ascontiguousarray(windows, np.int64))
        self._loaded: tuple[object, dict[str, torch.Tensor]] = (None, {})

    def __call__(
        self,
        spec: ModelSpec,
        slots: Mapping[str, Readable],
        weights: object,
        which: Array,
        dtype: torch.dtype = torch.float32,
    ) -> Array:
        """The mean losses `[temperatures, len(which)]` of the windows `which`, in nats per token.

        Equal `weights` stand for equal slots, which are kept loaded.
        """
        if self._loaded[0] != weights:
            self._loaded = (weights, load_slots(slots, torch.float32))
        length = self._tokens.shape[1] - 1
        parts = torch.split(torch.from_numpy(which), windows_at_once(length, spec.vocab, spec.heads))
        found = [_loss(spec, self._loaded[1], self._tokens[part], dtype) for part in parts]
        together: Array = np.concatenate([part.numpy() for part in found], axis=1)
        return together

    def noise(self, spec: ModelSpec, slots: Mapping[str, Readable], weights: object, which: Array) -> float:
        """By how much float32 is off, at most, in one of these windows."""
        rough, sharp = (self(spec, slots, weights, which, dtype) for dtype in (torch.float32, torch.float64))
        return float(np.abs(rough[0] - sharp[0]).max())


def _loss(spec: ModelSpec, weights: Mapping[str, torch.Tensor], rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mean losses `[temperatures, rows]`; the first one is exact to the last digits of `dtype`."""
    logits = reference(spec, weights, rows[:, :-1], dtype=dtype)
    wanted = rows[:, 1:, None]
    found = []
    for temperature in TEMPERATURES:
        scaled = logits.double() if temperature == 1 else logits / temperature
        each = scaled.logsumexp(-1) - scaled.gather(-1, wanted).squeeze(-1)
        found.append(each.double().mean(1))
    return torch.stack(found).nan_to_num(nan=_HOPELESS, posinf=_HOPELESS, neginf=_HOPELESS)
