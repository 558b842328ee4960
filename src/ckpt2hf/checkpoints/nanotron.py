"""Directories that nanotron saved: under `model` a safetensors file for each parameter, or for what a rank had of it.

A file says which of its boxes lie where in the whole parameter, and how large that is. Boxes that do not make it up
exactly, because a rank's file is missing or there twice, are refused.
Source: huggingface/nanotron 2411b02 src/nanotron/serialize/{weights,utils,metadata}.py, parallel/parameters.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.checkpoints import safetensors
from ckpt2hf.checkpoints.joined import JoinedRef, Part
from ckpt2hf.checkpoints.single import Loaded
from ckpt2hf.checkpoints.values import shown
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile
from ckpt2hf.tensors import Meta, TensorRef, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.tensors import Box, Stored

TITLE = "nanotron directory"
INDEX = "checkpoint_metadata.json"
WEIGHTS = "model"
_FILE = re.compile(r"model_(\w+?)(?:_pp-rank-\d+-of-\d+_tp-rank-\d+-of-\d+)?\.safetensors")
_DATA, _PLACES, _SHAPE = "data", "local_global_slices_pairs", "unsharded_shape"
_DEPTH = 16
"""Folders below `model` that are looked into: a parameter has one for each module it lies in."""
_WHOLE_NUMBER = re.compile(r"\d+|np\.int\d+\(\d+\)")


def read(folder: Path) -> Loaded:
    """Every parameter by its dotted name. Raises NotFoundError, CheckpointError."""
    parameters: dict[str, list[Path]] = {}
    for path, inside in _files(folder / WEIGHTS, ()):
        match = _FILE.fullmatch(path.name)
        if match is None:
            _refuse(path, "its name is not that of a parameter", "experts that were split over ranks are not joined")
        parameters.setdefault(".".join((*inside, match[1])), []).append(path)
    if not parameters:
        _refuse(folder / WEIGHTS, "there is no parameter")
    tree = {name: _parameter(name, paths) for name, paths in parameters.items()}
    files = tuple(path for paths in parameters.values() for path in paths)
    return Loaded(tree, TITLE, files)


def _files(folder: Path, inside: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every file below, with the folders it lies in; numbers in order."""
    if len(inside) > _DEPTH:
        _refuse(folder, f"folders are nested more than {_DEPTH} deep")
    for entry in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
        if entry.is_dir():
            yield from _files(entry, (*inside, entry.name))
        else:
            yield entry, inside


def _parameter(name: str, paths: list[Path]) -> Stored:
    read_ = [_file(path) for path in paths]
    placed = [tensor for tensor, notes in read_ if _PLACES in notes]
    if not placed and len(paths) == 1:
        return read_[0][0]
    if len(placed) != len(paths):
        _refuse(paths[0], f"{len(paths)} files have {shown(name)}, and not all of them say which part")
    shapes = {_numbers(path, notes.get(_SHAPE, "")) for path, (_, notes) in zip(paths, read_, strict=True)}
    if len(shapes) > 1:
        _refuse(paths[0], f"its files do not agree on how large {shown(name)} is")
    meta = Meta(shapes.pop(), placed[0].meta.dtype)
    parts = [part for path, made in zip(paths, read_, strict=True) for part in _parts(path, *made, meta)]
    try:
        return JoinedRef.of(meta, parts)
    except CheckpointError as error:
        _refuse(paths[0], f"{shown(name)} is not complete", *error.details, cause=error)


def _file(path: Path) -> tuple[TensorRef, dict[str, str]]:
    """The one tensor of a file, and what the file says about it."""
    try:
        tensors, notes = safetensors.read(MappedFile(path))
    except CheckpointError as error:
        _refuse(path, error.what, *error.details, cause=error)
    if tensors.keys() != {_DATA}:
        _refuse(path, f"it should hold `{_DATA}` alone", *map(shown, sorted(tensors)))
    return tensors[_DATA], notes


def _parts(path: Path, tensor: TensorRef, notes: dict[str, str], meta: Meta) -> Iterator[Part]:
    """The boxes of one file, each with its corner in the whole parameter."""
    for pair in notes[_PLACES].split(";"):
        local, _, there = pair.partition("#")
        mine, its = _box(path, local, tensor.meta.shape), _box(path, there, meta.shape)
        shape = tuple(side.stop - side.start for side in mine)
        if shape != tuple(side.stop - side.start for side in its):
            _refuse(path, "a box is not as large as its place", pair)
        first = tensor.offset + sum(side.start * step for side, step in zip(mine, tensor.strides, strict=True))
        window = TensorRef(Meta(shape, tensor.meta.dtype), tensor.storage, first, tensor.strides)
        yield Part(window, tuple(side.start for side in its))


def _box(path: Path, text: str, shape: tuple[int, ...]) -> Box:
    """A box as `0,8,None|None,None,None` writes it: start, end and step of each axis, None for all of it."""
    sides = []
    for side, all_ in zip(text.split("|"), whole(shape), strict=False):
        start, stop, step = ([None if n == "None" else n for n in side.split(",")] + [""] * 3)[:3]
        if step not in (None, "1") or any(n is not None and not n.isdecimal() for n in (start, stop)):
            _refuse(path, "a place is not written as nanotron writes it", text)
        sides.append(slice(int(start or 0), all_.stop if stop is None else int(stop)))
    if len(text.split("|")) != len(shape) or any(
        s.start > s.stop or s.stop > n for s, n in zip(sides, shape, strict=True)
    ):
        _refuse(path, f"a place does not lie in a tensor of shape {list(shape)}", text)
    return tuple(sides)


def _numbers(path: Path, text: str) -> tuple[int, ...]:
    """A shape as Python prints it."""
    words = [word.strip() for word in text.strip().strip("()").split(",") if word.strip()]
    if not text or not all(_WHOLE_NUMBER.fullmatch(word) for word in words):
        _refuse(path, f"its {_SHAPE} is no shape", text)
    return tuple(int(word.rpartition("(")[2].rstrip(")")) for word in words)


def _refuse(path: Path, what: str, *details: str, cause: BaseException | None = None) -> NoReturn:
    raise CheckpointError(
        f"this nanotron checkpoint cannot be read: {what}",
        details=details,
        where=str(path),
        remedies=["copy or download the whole directory again", "save it again with nanotron, on one rank"],
    ) from cause
