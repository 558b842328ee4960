"""PyTorch's logits of the tokens on which GGUF files are measured, computed once for all of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.gguf.once import once
from ckpt2hf.verify import Windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.stages.job import Job
    from ckpt2hf.tensors import Array

_FILE = "reference.npy"


def windows(job: Job) -> Iterator[tuple[Array, int]]:
    """Ids `[batch, length + 1]`, and how many of the last ones are predicted in each."""
    for ids, fresh in Windows(np.load(job.tokens), job.window, job.window).batches(job.at_once):
        yield ids, int(fresh.max())


def reference(job: Job) -> Iterator[tuple[Array, Array, int]]:
    """The windows with PyTorch's logits `[batch, predicted, vocab]`."""
    kept = Path(job.tokens).with_name(_FILE)
    once(kept, functools.partial(_compute, job))
    whole = np.load(kept, mmap_mode="r")
    at = 0
    for ids, last in windows(job):
        count = len(ids) * last
        yield ids, whole[at : at + count].reshape(len(ids), last, -1), last
        at += count


def _compute(job: Job, begun: Path) -> None:
    """Leaves the logits in a file."""
    from ckpt2hf.verify.huggingface_model import HuggingFaceModel  # noqa: PLC0415 - imports torch
    from ckpt2hf.verify.language_model import class_of  # noqa: PLC0415

    model = HuggingFaceModel(Path(job.directory), class_of(Path(job.directory)))
    count = sum(len(ids) * last for ids, last in windows(job))
    whole = np.lib.format.open_memmap(begun, "w+", np.float32, (count, model.vocab))
    at = 0
    for ids, last in windows(job):
        found = model.logits(ids[:, :-1])[:, -last:]
        whole[at : at + len(ids) * last] = found.reshape(-1, model.vocab)
        at += len(ids) * last
    whole.flush()
