"""One shard on its way to the disk: the same tensors into every file of it, by several threads."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.output.blocks import LARGEST, blocks
from ckpt2hf.output.disk import explained, write_at
from ckpt2hf.output.linux import reserve
from ckpt2hf.output.stats import Observer, TensorStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.output.weight_file import WeightFile
    from ckpt2hf.tensors import Array, Box, Readable

STRIP = 128
"""Bytes of the columns that are brought into row-major order at a time: two cache lines."""


class ShardWriter:
    """Opens its files when the first of its jobs starts and closes them when the last one is done.

    So however many shards there are, only a few files are open at a time.
    """

    def __init__(
        self,
        tensors: Mapping[str, Readable],
        files: Sequence[WeightFile],
        progress: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        """Nothing is opened yet. `stop`, once set, ends the jobs early, leaving their work unfinished."""
        self._tensors = tensors
        self._files = files
        self._progress = progress
        self._stop = stop
        self._lock = threading.Lock()
        self._descriptors: list[int] = []
        self.stats: dict[str, TensorStats] = {}

    def jobs(self) -> Iterator[Callable[[], None]]:
        """One call per tensor, largest first, so that no thread is left alone with a large one at the end."""
        if not self._tensors:
            yield self._finish
        for name in sorted(self._tensors, key=lambda name: -self._tensors[name].meta.nbytes):
            yield partial(self._write, name)

    def growing(self) -> tuple[Path, ...]:
        """The files that are open."""
        return tuple(file.path for file in self._files[: len(self._descriptors)])

    def close(self) -> None:
        """Close what is open. For when no job runs any more."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _write(self, name: str) -> None:
        """One tensor into every file, and everything else of the files if it was the last."""
        tensor = self._tensors[name]
        observer = Observer(tensor.meta)
        descriptors = self._opened()
        scratch = np.empty(min(LARGEST, tensor.meta.nbytes), np.uint8)
        done = 0
        for box in blocks(tensor.meta):
            if self._stop.is_set():
                return
            data = _bytes_of(tensor, box, scratch)
            observer.see(data)
            for file, descriptor in zip(self._files, descriptors, strict=True):
                with explained(file.path, file.size):
                    write_at(descriptor, data.data, file.offsets[name] + done)
            done += data.size
            self._progress(data.size)
        with self._lock:
            self.stats[name] = observer.stats()
            last = len(self.stats) == len(self._tensors)
        if last:
            self._finish()

    def _opened(self) -> tuple[int, ...]:
        """The files, open for writing and as long as they will be."""
        with self._lock:
            for file in self._files[len(self._descriptors) :]:
                with explained(file.path, file.size):
                    self._descriptors.append(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                    # Reserving finds a full disk now, not after an hour, and halves the cost of the writes.
                    if not reserve(self._descriptors[-1], file.size):
                        os.ftruncate(self._descriptors[-1], file.size)
            return tuple(self._descriptors)

    def _finish(self) -> None:
        """Everything that is not tensor data; then the files are complete, and closed."""
        crcs = {name: stats.crc32 for name, stats in self.stats.items()}
        for file, descriptor in zip(self._files, self._opened(), strict=True):
            with explained(file.path, file.size):
                for offset, data in file.frame(crcs):
                    write_at(descriptor, data, offset)
        with self._lock:
            self.close()


def _bytes_of(tensor: Readable, box: Box, scratch: Array) -> Array:
    """The elements of a box in row-major order, as uint8 with one axis; in `scratch` unless they already lie so."""
    block = tensor.read(box)
    shape, dtype = tuple(part.stop - part.start for part in box), tensor.meta.dtype.numpy
    if block.shape != shape or block.dtype != dtype:
        raise BrokenPromiseError(f"asked for {shape} {dtype}, got {block.shape} {block.dtype}")
    if not block.flags.c_contiguous:
        packed = scratch[: block.nbytes].view(dtype).reshape(shape)
        _pack(block, packed)
        block = packed
    return block.reshape(-1).view(np.uint8)


def _pack(block: Array, packed: Array) -> None:
    """Copies elements that lie in another order, as in a transposed matrix, into row-major order.

    A strip of columns at a time: what it touches on both sides then stays in the cache until the whole of every cache
    line was used, which takes a half to a third of the time of copying it all at once.
    """
    columns = block.shape[-1]
    strip = columns if block.strides[-1] == block.itemsize else STRIP // block.itemsize
    for start in range(0, columns, strip):
        np.copyto(packed[..., start : start + strip], block[..., start : start + strip])
