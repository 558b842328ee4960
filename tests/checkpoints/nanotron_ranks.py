"""Directories as nanotron saves them, on any number of ranks of tensor parallelism."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Cut = tuple[int, tuple[int, ...]]
    """The axis along which a parameter is cut, and the lengths of the chunks of which every rank has a slice."""

WHOLE = "None,None,None"


def save(folder: Path, state: Mapping[str, torch.Tensor], cuts: Mapping[str, Cut], ranks: int) -> Path:
    """A directory; parameters without a cut are whole, in a file without ranks in its name."""
    for name, value in state.items():
        *inside, last = name.split(".")
        place = folder.joinpath("model", *inside)
        place.mkdir(parents=True, exist_ok=True)
        if name not in cuts:
            save_file({"data": value.contiguous()}, place / f"model_{last}.safetensors")
            continue
        for rank in range(ranks):
            data, pairs = part(value, *cuts[name], rank, ranks)
            notes = {"version": "1.4", "local_global_slices_pairs": pairs, "unsharded_shape": str(tuple(value.shape))}
            save_file({"data": data}, place / file_name(last, rank, ranks), notes)
    metas = {"version": "1.4", "tp": ranks, "dp": 1, "metas": {"last_train_step": 3}}
    (folder / "checkpoint_metadata.json").write_text(json.dumps(metas), encoding="utf-8")
    return folder


def file_name(last: str, rank: int, ranks: int) -> str:
    return f"model_{last}_pp-rank-0-of-1_tp-rank-{rank}-of-{ranks}.safetensors"


def part(value: torch.Tensor, axis: int, chunks: tuple[int, ...], rank: int, ranks: int) -> tuple[torch.Tensor, str]:
    """What a rank has: its slice of every chunk, one behind the other, and where each belongs."""
    taken, pairs, start, here = [], [], 0, 0
    for chunk in chunks:
        size = chunk // ranks
        taken.append(value.narrow(axis, start + rank * size, size))
        sides = [(here, here + size), (start + rank * size, start + (rank + 1) * size)]
        pairs.append("#".join(_box(side, axis, value.ndim) for side in sides))
        start, here = start + chunk, here + size
    return torch.cat(taken, axis).contiguous(), ";".join(pairs)


def _box(side: tuple[int, int], axis: int, axes: int) -> str:
    return "|".join(f"{side[0]},{side[1]},None" if k == axis else WHOLE for k in range(axes))
