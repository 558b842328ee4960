"""Both weight files from one read of each tensor."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.output.disk import require_space
from ckpt2hf.output.json_file import write_json
from ckpt2hf.output.safetensors_file import safetensors_file
from ckpt2hf.output.shard_writer import ShardWriter
from ckpt2hf.output.shards import index_of, plan_shards, shard_name
from ckpt2hf.output.sync import written_back
from ckpt2hf.output.torch_file import torch_file
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.output.stats import TensorStats
    from ckpt2hf.output.weight_file import WeightFile
    from ckpt2hf.tensors import Meta, Readable


class WeightFormat(enum.Enum):
    """A kind of weight file; the value is its word on the command line."""

    SAFETENSORS = "safetensors"
    BIN = "bin"

    @property
    def stem(self) -> str:
        """What transformers calls the file, without its suffix."""
        return "model" if self is WeightFormat.SAFETENSORS else "pytorch_model"

    @property
    def suffix(self) -> str:
        """Such as `.bin`."""
        return f".{self.value}"

    def file(self, path: Path, metas: Mapping[str, Meta]) -> WeightFile:
        """The layout of a file of this kind."""
        return (safetensors_file if self is WeightFormat.SAFETENSORS else torch_file)(path, metas)


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """What to write: the kinds of file, the bytes of tensor data a shard may hold, the threads to use."""

    formats: tuple[WeightFormat, ...]
    max_shard_bytes: int | None
    threads: int


@dataclass(frozen=True)
class WrittenWeights:
    """What was written: the files (weights, then indices), what was seen, the bytes of tensor data (counted once)."""

    files: tuple[Path, ...]
    stats: Mapping[str, TensorStats]
    nbytes: int


def write_weights(
    tensors: Mapping[str, Readable], directory: Path, options: WeightOptions, progress: Callable[[int], None]
) -> WrittenWeights:
    """Writes the weight files of every wanted kind, whole or sharded, into an existing directory.

    Each tensor is read once, in blocks that go to all its files while they are in the cache; memory is bounded by a few
    MiB per thread. `progress` is told the bytes of tensor data done since it was last told, from one thread at a time.
    What is written goes on to the disk meanwhile, but it is `new_directory` that makes sure of it. Raises OutputError,
    and what reading a tensor raises.
    """
    metas = {name: tensor.meta for name, tensor in tensors.items()}
    shards = plan_shards(metas, options.max_shard_bytes)
    names = {
        kind: [shard_name(kind.stem, kind.suffix, k, len(shards)) for k in range(len(shards))]
        for kind in options.formats
    }
    layouts = [
        [kind.file(directory / names[kind][k], {name: metas[name] for name in shard}) for kind in options.formats]
        for k, shard in enumerate(shards)
    ]
    seen = write_laid_out(tensors, shards, layouts, options.threads, progress)
    paths = [files[k].path for k in range(len(options.formats)) for files in layouts]
    if len(shards) > 1:
        for kind in options.formats:
            paths.append(directory / f"{kind.stem}{kind.suffix}.index.json")
            write_json(paths[-1], index_of(metas, shards, names[kind]))
    return WrittenWeights(tuple(paths), seen, sum(m.nbytes for m in metas.values()))


def write_laid_out(
    tensors: Mapping[str, Readable],
    shards: Sequence[Sequence[str]],
    layouts: Sequence[Sequence[WeightFile]],
    threads: int,
    progress: Callable[[int], None],
) -> dict[str, TensorStats]:
    """Writes the files of every shard, laid out before, and gives what was seen of each tensor. Raises OutputError."""
    directory = layouts[0][0].path.parent
    needed = sum(file.size for files in layouts for file in files)
    one = "--formats safetensors   to write one weight file, not both"
    require_space(directory, needed, "choose another -o", one)
    stop = threading.Event()
    told = _one_at_a_time(progress)
    writers = [
        ShardWriter({name: tensors[name] for name in shard}, files, told, stop)
        for shard, files in zip(shards, layouts, strict=True)
    ]
    with written_back(lambda: [path for writer in writers for path in writer.growing()]):
        _run(writers, stop, threads)
    seen = {name: stats for writer in writers for name, stats in writer.stats.items()}
    return {name: seen[name] for name in tensors}


def _run(writers: Sequence[ShardWriter], stop: threading.Event, threads: int) -> None:
    """Writes every shard, one after another but without a pause between them; the first error ends it all."""
    try:
        in_threads((job for writer in writers for job in writer.jobs()), max(threads, 1), stop=stop.set)
    finally:
        for writer in writers:
            writer.close()


def _one_at_a_time(progress: Callable[[int], None]) -> Callable[[int], None]:
    """The same callback, called under a lock."""
    lock = threading.Lock()

    def told(nbytes: int) -> None:
        with lock:
            progress(nbytes)

    return told
