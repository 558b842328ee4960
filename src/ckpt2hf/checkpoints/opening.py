"""From a path to a checkpoint: find the file, read its tree, find the weights, take wrapper prefixes off."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import (
    beside,
    dcp,
    dcp_index,
    directories,
    names,
    nanotron,
    parallel,
    prefixes,
    shards,
    side,
    single,
    weights,
)
from ckpt2hf.checkpoints.checkpoint import Checkpoint
from ckpt2hf.checkpoints.inert import settle_all
from ckpt2hf.errors import CheckpointError, Ckpt2hfError, NotFoundError, UsageError
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert

LIGHTNING_MARK = "pytorch-lightning_version"
"""Source: Lightning-AI/pytorch-lightning src/lightning/pytorch/trainer/connectors/checkpoint_connector.py."""
SAFETENSORS_NOTES = "safetensors"
MAX_SIBLINGS = 2000
MAX_SHOWN = 12


def open_checkpoint(path: Path, *, weights_key: str | None = None, as_named: bool = False) -> Checkpoint:
    """The checkpoint at a path: nothing in it is executed, and no tensor is read but what ranks have to agree on.

    `weights_key` says which weights, where there are several: a dotted path in the file's tree, or the name of one
    of the models of a saved accelerate state. `as_named` leaves every name as it is, wrappers and all. Raises
    NotFoundError, CheckpointError, UsageError.
    """
    if is_remote(path):
        path = path.afresh()  # what an earlier run has seen there may be another version
    choice = _choose(path, weights_key)
    file = choice.file
    loaded = _read(choice)
    where = str(file)
    found = weights.find(loaded.tree, choice.weights_key, where)
    metadata: dict[str, Inert] = beside.metadata(loaded.tree, found)
    if loaded.notes:
        metadata[SAFETENSORS_NOTES] = settle_all(loaded.notes)
    names = {name: name for name in found.tensors}
    stripped = (
        prefixes.Stripped((), names)
        if as_named
        else prefixes.strip(names, lightning=LIGHTNING_MARK in metadata, where=where)
    )
    return Checkpoint(
        path=path,
        container=choice.container or loaded.container,
        files=loaded.files,
        weights_key=found.key,
        prefixes=stripped.prefixes,
        tensors={stripped.names[name]: ref for name, ref in found.tensors.items()},
        metadata=metadata,
        modules=prefixes.apply_to_modules(found.modules, stripped),
        side=side.read(file, inside=True) if choice.parts else side.read(file),
    )


def _read(choice: directories.Choice) -> single.Loaded:
    """The tree of what was chosen, with the reader that its name asks for."""
    file = choice.file
    if any(map(dcp_index.is_part, choice.parts)):
        return dcp.read(file)
    if nanotron.INDEX in choice.parts:
        return nanotron.read(file)
    if choice.parts:
        return parallel.read(file, choice.parts, choice.weights_key)
    if file.name.endswith(shards.INDEX_SUFFIX):
        return shards.read(file)
    if parallel.scheme_of(file.name):
        return parallel.read(file.parent, (file.name,), choice.weights_key)
    return single.read(file)


def _choose(path: Path, weights_key: str | None) -> directories.Choice:
    try:
        if path.is_dir():
            return directories.choose(path, weights_key)
        if path.is_file():
            _refuse_part(path)
            return directories.Choice(path, None, weights_key)
        there = path.exists()
    except (OSError, ValueError) as error:
        raise NotFoundError(f"cannot open {path}", details=[str(error)]) from error
    if there:
        raise CheckpointError(f"{path} is neither a file nor a directory", where=str(path))
    raise NotFoundError(f"there is no {path}", remedies=_similar(path))


def _refuse_part(path: Path) -> None:
    """Refuse a file that is a part of a model by its name: with the first layers alone it could look complete.

    Raises UsageError where the whole can be named, CheckpointError elsewhere.
    """
    shard, rank = names.SHARD.fullmatch(path.name), names.RANK_FILE.fullmatch(path.name)
    if not shard and not rank:
        return
    siblings = [entry.name for entry in path.parent.iterdir()]
    form = re.compile(re.sub(r"\d+", r"\\d+", re.escape(path.name)))
    others = [name for name in siblings if name != path.name and form.fullmatch(name)]
    if rank and not others:
        return  # the only rank there was
    index = [name for name in siblings if (match := names.INDEX.fullmatch(name)) and shard and match[1] == shard[1]]
    what = f"{path.name} is one part of a checkpoint that was saved in several files"
    if index:
        raise UsageError(what, where=str(path), remedies=[str(path.with_name(index[0]))])
    if parallel.scheme_of(path.name):
        raise UsageError(
            what, details=sorted(others)[:MAX_SHOWN], where=str(path), remedies=[f"name the directory: {path.parent}"]
        )
    remedy = "fetch the *.index.json that belongs to it" if shard else "join the parts with the code that saved them"
    raise CheckpointError(what, details=sorted(others)[:MAX_SHOWN], where=str(path), remedies=[remedy])


def _similar(path: Path) -> list[str]:
    """Siblings whose names are close to the one that is not there."""
    try:
        there = [entry.name for entry, _ in zip(path.parent.iterdir(), range(MAX_SIBLINGS), strict=False)]
    except (OSError, Ckpt2hfError):
        return [f"the directory {path.parent} is not there either"]
    close = difflib.get_close_matches(path.name, there, n=3, cutoff=0.5)
    return [f"did you mean {path.parent / name} ?" for name in close]
