"""What the files of one directory are: checkpoints, with all that belongs to them, and the rest, with what it is.

Names decide. A file is opened only where its name leaves open what is in it, and an index to see which shards it has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import dcp_index, nanotron, sniff
from ckpt2hf.checkpoints import names as n
from ckpt2hf.checkpoints.pickled import MAGIC
from ckpt2hf.checkpoints.shards import MAX_INDEX
from ckpt2hf.errors import Ckpt2hfError, NotFoundError
from ckpt2hf.files import MappedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    Look = Callable[[Path, str], str | None]

LFS = b"version https://git-lfs"
_HEAD = 512
_OLD_TORCH = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little")
_SAFETENSORS_AT = 8
_NANOTRON_FOLDERS = frozenset({nanotron.WEIGHTS, "optimizer", "lr_scheduler", "random"})


@dataclass(frozen=True, slots=True)
class Found:
    """What is opened as one checkpoint."""

    source: str | None
    """The file to open; None for the directory itself."""
    files: tuple[str, ...]
    """All files that belong to it."""
    folders: tuple[str, ...] = ()
    """Directories inside this one that belong to it."""
    sure: bool = True
    """Whether the names alone say so."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One directory."""

    found: tuple[Found, ...]
    left: dict[str, str] = field(default_factory=dict)
    """Why each of the other files is no checkpoint."""


def survey(
    folder: Path,
    files: Sequence[str],
    folders: Sequence[str] = (),
    *,
    wanted: AbstractSet[str] | None = None,
    look: Look | None = None,
) -> Survey:
    """What these files of a directory are. Nothing is raised: what cannot be read is somebody else's error to word.

    With `wanted`, only checkpoints with a file among these names are found, and only these names are spoken of. `look`
    says of a file whose name leaves it open why it is no checkpoint; the first bytes decide where it is left out.
    """
    left: dict[str, str] = {}
    every = [*_whole_directory(folder, files, folders, left), *_sets(folder, files)]
    taken = {name for found in every for name in found.files} | left.keys()
    for name in files:
        if name in taken or (wanted is not None and name not in wanted):
            continue
        why = n.known(name)
        sure = name.lower().endswith(n.SURE) or name.startswith("pytorch_model")
        if why is None and not sure:
            why = (look or looked)(folder, name)
        if why is None:
            every.append(Found(name, (name,), sure=sure))
        else:
            left[name] = why
    if wanted is not None:
        every = [found for found in every if not found.files or not wanted.isdisjoint(found.files)]
        left = {name: why for name, why in left.items() if name in wanted}
    return Survey(tuple(_without_twins(every, left)), left)


def looked(folder: Path, name: str) -> str | None:
    """Why a file whose name leaves it open is no checkpoint, by its first bytes; None if it may be one."""
    unsure = name.lower().endswith(n.UNSURE)
    try:
        file = MappedFile(folder / name)
        head = bytes(file.bytes_at(0, _HEAD))
        if unsure and (not head or head.startswith(LFS)):
            return None  # the weights themselves did not arrive: that has to be said where it is seen
        if not unsure and not _must_be_torch(head):
            return "nothing that PyTorch saved"
        sniff.kind(file)
    except NotFoundError as error:
        return None if unsure else f"cannot be opened: {', '.join(error.details)}"
    except Ckpt2hfError as error:
        is_torch = name.lower().endswith(n.ENDINGS[:3])  # ckpt.pth.tar, which is hardly ever a tar archive
        return None if is_torch else f"no PyTorch file: {error.what.removeprefix(f'{name} is ')}"
    return None


def _must_be_torch(head: bytes) -> bool:
    """Whether bytes begin as nothing but saved tensors do: other programs write zip files and pickles, too."""
    return (
        head.startswith(_OLD_TORCH)
        or (head.startswith(b"PK") and b"/data.pkl" in head)
        or (head[_SAFETENSORS_AT : _SAFETENSORS_AT + 2] == b'{"' and not any(head[5:_SAFETENSORS_AT]))
    )


def _whole_directory(
    folder: Path, files: Sequence[str], folders: Sequence[str], left: dict[str, str]
) -> Iterator[Found]:
    """The directory itself, where it can only be opened as a whole."""
    parts = [name for name in files if dcp_index.is_part(name)]
    if parts and n.OPTIMIZER_FOLDER.fullmatch(folder.name):
        left.update(dict.fromkeys(parts, "optimizer state"))
    ranks = [name for name in folders if n.RANK_FOLDER.fullmatch(name)]
    if parts and not left:
        yield Found(None, tuple(parts))
    elif len(ranks) > 1:
        yield Found(None, (), tuple(ranks))
    elif nanotron.INDEX in files and nanotron.WEIGHTS in folders:
        yield Found(None, (nanotron.INDEX,), tuple(name for name in folders if name in _NANOTRON_FOLDERS))


def _sets(folder: Path, files: Sequence[str]) -> Iterator[Found]:
    """Files that are one checkpoint only together: an index and its shards; shards without an index; ranks."""
    there = frozenset(files)
    shards = [(match, name) for name in files if (match := n.SHARD.fullmatch(name))]
    taken: set[str] = set()
    for index in (name for name in files if n.INDEX.fullmatch(name)):
        stem, kind = index.removesuffix(".index.json").rpartition(".")[::2]
        named = {name for match, name in shards if (match[1], match[2]) == (stem, kind)}
        named |= _named_in(folder / index) & there - {index}
        taken |= named
        yield Found(index, (index, *sorted(named)))
    orphans = [name for _, name in shards if name not in taken]
    ranks = [name for name in files if n.RANK_FILE.fullmatch(name) and name not in taken]
    parts = dict.fromkeys(orphans + (ranks if len(ranks) > 1 else []))
    if parts:
        yield Found(None, tuple(parts))


def _named_in(index: Path) -> frozenset[str]:
    """The shards an index names; none if it cannot be read, which is said when it is opened."""
    try:
        with index.open("rb") as file:
            content = json.loads(file.read(MAX_INDEX))
        return frozenset(name for name in content["weight_map"].values() if isinstance(name, str))
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return frozenset()


def _without_twins(every: Iterable[Found], left: dict[str, str]) -> Iterator[Found]:
    """Without the `.bin` files of models that are there as safetensors: those cannot run anything."""
    every = list(every)
    models = {
        match[1]: found.source
        for found in every
        if found.source and (match := n.PREPARED.fullmatch(found.source)) and match[2] == "safetensors"
    }
    for found in every:
        match = n.PREPARED.fullmatch(found.source or "")
        if match and match[2] == "bin" and match[1] in models:
            left.update(dict.fromkeys(found.files, f"the same model as {models[match[1]]}"))
        else:
            yield found
