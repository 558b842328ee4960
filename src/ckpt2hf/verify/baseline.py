"""Models without context, for a sample: whoever predicts it no better has learned nothing that could decide a fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array


def unigram(windows: Array, vocab: int) -> Array:
    """The loss in each window of a model that knows how often each token occurs in this very sample, plus one.

    That it has seen what it is asked about makes it better than it could be: a comparison with it errs towards doubt.
    """
    targets = windows[:, 1:]
    counts = np.bincount(targets.ravel(), minlength=vocab) + 1
    losses: Array = -np.log(counts / counts.sum())[targets].mean(1)
    return losses


def uniform(windows: Array, vocab: int) -> Array:
    """The loss in each window of a model that knows only how many tokens there are."""
    losses: Array = np.full(len(windows), np.log(vocab))
    return losses
