"""Which tensors go into which file, and the index that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.tensors import Meta


def plan_shards(metas: Mapping[str, Meta], max_shard_bytes: int | None) -> tuple[tuple[str, ...], ...]:
    """The names of each shard, in order; one shard, be it empty, when everything fits or there is no limit.

    A shard ends before the tensor that would take it over `max_shard_bytes` bytes of tensor data. A tensor larger
    than that has a shard of its own. Raises UsageError for a limit that is not positive.
    """
    if max_shard_bytes is None:
        return (tuple(metas),)
    if max_shard_bytes <= 0:
        raise UsageError(
            f"a shard of at most {max_shard_bytes} bytes holds nothing", remedies=["--max-shard-size 5GB, for instance"]
        )
    shards: list[list[str]] = [[]]
    filled = 0
    for name, meta in metas.items():
        if shards[-1] and filled + meta.nbytes > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += meta.nbytes
    return tuple(tuple(names) for names in shards)


def shard_name(stem: str, suffix: str, index: int, count: int) -> str:
    """`model.safetensors`, or `model-00001-of-00003.safetensors` for the first (`index` 0) of three."""
    return f"{stem}{suffix}" if count == 1 else f"{stem}-{index + 1:05}-of-{count:05}{suffix}"


def index_of(metas: Mapping[str, Meta], shards: Sequence[Sequence[str]], files: Sequence[str]) -> dict[str, object]:
    """The content of `*.index.json`: sizes, and the file of each tensor.

    Source: huggingface/transformers v4.57 modeling_utils.py: `save_pretrained` writes both numbers, loading reads
    `total_size`, in bytes.
    """
    where = {name: file for names, file in zip(shards, files, strict=True) for name in names}
    return {
        "metadata": {
            "total_parameters": sum(meta.size for meta in metas.values()),
            "total_size": sum(meta.nbytes for meta in metas.values()),
        },
        "weight_map": {name: where[name] for name in sorted(where)},
    }
