"""Checkpoints split over several files, joined by an index: `model.safetensors.index.json` and the like.

Source: huggingface/transformers src/transformers/modeling_utils.py (save_pretrained: weight_map).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import single
from ckpt2hf.errors import CheckpointError, NotFoundError
from ckpt2hf.tensors import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEX_SUFFIX = ".index.json"
MAX_INDEX = 64 << 20
_DAMAGED = ["copy or download the index and all of its shards again"]


def read(index: Path) -> single.Loaded:
    """The tensors of all shards, in the order of the index. Raises CheckpointError, NotFoundError."""
    where = str(index)
    weight_map = _weight_map(index)
    shards = {name: _shard(index, name) for name in dict.fromkeys(weight_map.values())}
    missing = [f"{tensor} should be in {name}" for tensor, name in weight_map.items() if tensor not in shards[name][1]]
    unknown = [
        f"{tensor} in {name}"
        for name, (_, tensors) in shards.items()
        for tensor in tensors
        if weight_map.get(tensor) != name
    ]
    if missing or unknown:
        what = "missing from their shards" if missing else "in the shards that the index does not name"
        problems = missing or unknown
        raise CheckpointError(
            f"{len(problems)} tensors are {what}", details=problems[:20], where=where, remedies=_DAMAGED
        )
    strangers = _unnamed(index, shards)
    if strangers:
        raise CheckpointError(
            f"{len(strangers)} shards beside the index are not named in it",
            details=strangers[:20],
            where=where,
            remedies=_DAMAGED,
        )
    tree = {tensor: shards[name][1][tensor] for tensor, name in weight_map.items()}
    files = tuple(loaded.files[0] for loaded, _ in shards.values())
    notes = next((loaded.notes for loaded, _ in shards.values() if loaded.notes), {})
    kinds = sorted({loaded.container for loaded, _ in shards.values()})
    return single.Loaded(tree, f"sharded {' and '.join(kinds)}", files, notes)


def _unnamed(index: Path, shards: Mapping[str, object]) -> list[str]:
    """Files called like shards of this index (`model-00002-of-00002.safetensors`) that it does not name."""
    stem, _, kind = index.name.removesuffix(INDEX_SUFFIX).rpartition(".")
    pattern = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{re.escape(kind)}")
    return sorted(
        path.name for path in index.parent.iterdir() if pattern.fullmatch(path.name) and path.name not in shards
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name appears twice")
    return made


def _weight_map(index: Path) -> dict[str, str]:
    try:
        if index.stat().st_size > MAX_INDEX:
            raise CheckpointError(f"the index is larger than {MAX_INDEX} bytes", where=str(index), remedies=_DAMAGED)
        content = json.loads(index.read_text("utf-8"), object_pairs_hook=_unique)
    except OSError as error:
        raise NotFoundError(f"cannot open {index}", details=[str(error)], where=str(index)) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            "the index is not JSON", details=[str(error)], where=str(index), remedies=_DAMAGED
        ) from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError("the index has no weight_map of names to files", where=str(index), remedies=_DAMAGED)
    for name in set(weight_map.values()):
        if name in {"", ".", ".."} or "/" in name or "\\" in name or ":" in name or "\0" in name:
            raise CheckpointError(
                "the index names a shard that is a path to somewhere else", details=[repr(name)[:200]], where=str(index)
            )
    return weight_map


def _shard(index: Path, name: str) -> tuple[single.Loaded, dict[str, Stored]]:
    path = index.parent / name
    if not path.is_file():
        raise CheckpointError(f"the shard {name} is missing", where=str(index), remedies=_DAMAGED)
    loaded = single.read(path)
    tree = loaded.tree
    if not isinstance(tree, dict) or not all(isinstance(k, str) and isinstance(v, Stored) for k, v in tree.items()):
        raise CheckpointError(f"the shard {name} is not a table of tensors by name", where=str(path))
    return loaded, tree
