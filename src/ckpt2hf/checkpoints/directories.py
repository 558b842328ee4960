"""Which file of a directory is the checkpoint: one, or an error that names what was seen.

Source: huggingface/accelerate src/accelerate/checkpointing.py and utils/constants.py (names of a saved state).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import dcp_index, nanotron, parallel
from ckpt2hf.checkpoints.names import PREPARED, RANK_FILE, RANK_FOLDER, UNSURE
from ckpt2hf.checkpoints.survey import Survey, looked, survey
from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.errors import Ckpt2hfError

ACCELERATE = "accelerate directory"
_SAVED_STATE = re.compile(r"(random_states_\d+\.pkl|optimizer(_\d+)?\.bin|scheduler(_\d+)?\.bin|sampler(_\d+)?\.bin)")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """The file or directory to read, and what is special about where it lies."""

    file: Path
    container: str | None
    """Replaces the name of the file's own format."""
    weights_key: str | None
    """What is left of the user's key once it chose a file."""
    parts: tuple[str, ...] = ()
    """Where the directory itself is the checkpoint: the files in it that say so."""


def choose(folder: Path, weights_key: str | None) -> Choice:
    """The one checkpoint in a directory. Raises UsageError if there are several, CheckpointError if none."""
    try:
        inside = list(folder.iterdir())
        names = sorted(entry.name for entry in inside if entry.is_file())
        folders = sorted(entry.name for entry in inside if entry.is_dir())
    except OSError as error:
        raise NotFoundError(f"cannot list {folder}", details=[str(error)], where=str(folder)) from error
    whole = tuple(name for name in names if dcp_index.is_part(name))
    if whole:
        return Choice(folder, None, weights_key, whole)
    _refuse_other_formats(folder, names)
    seen = _seen(folder, names, folders)
    candidates = sorted(found.source for found in seen.found if found.source)
    parts = [name for found in seen.found if not found.source for name in (*found.files, *found.folders)]
    if parts and not candidates and (parallel.can_be_joined(parts) or nanotron.INDEX in parts):
        return Choice(folder, None, weights_key, tuple(parts))
    if parts:
        raise _parts(folder, parts, candidates)
    is_state = any(_SAVED_STATE.fullmatch(name) for name in names)
    container = ACCELERATE if is_state and all(PREPARED.fullmatch(name) for name in candidates) else None
    if not candidates:
        raise _none(folder, names, folders)
    if len(candidates) == 1:
        return Choice(folder / candidates[0], container, weights_key)
    models = {match[1]: name for name in candidates if (match := PREPARED.fullmatch(name))}
    if len(models) == len(candidates):
        if weights_key in models:
            return Choice(folder / models[weights_key], container, None)
        raise UsageError(
            f"{len(models)} models are in this directory, and one has to be chosen",
            details=candidates,
            where=str(folder),
            remedies=[f"--weights-key {model}" for model in models],
        )
    raise UsageError(
        f"{len(candidates)} checkpoints are in this directory, and one has to be named",
        details=candidates[:_SHOWN],
        where=str(folder),
        remedies=[str(folder / name) for name in candidates[:_SHOWN]],
    )


def _seen(folder: Path, names: list[str], folders: list[str]) -> Survey:
    """What is in the directory. Contents are looked at only where names alone leave several candidates, or none."""
    by_name = survey(folder, names, folders, look=_by_ending)
    if len(by_name.found) == 1:
        return by_name
    looked_at = survey(folder, names, folders, look=looked)
    return looked_at if looked_at.found else by_name


def _by_ending(_folder: Path, name: str) -> str | None:
    return None if name.lower().endswith(UNSURE) else "unknown"


def _parts(folder: Path, parts: list[str], others: list[str]) -> Ckpt2hfError:
    """What to say about parts of a model that cannot be put together; `others` are whole checkpoints beside them."""
    if RANK_FOLDER.fullmatch(parts[0]):
        what, remedy = "the model is split over the ranks that trained it", "merge it with Megatron's tools/checkpoint"
    elif parallel.can_be_joined(parts):
        what = "the model is split over the ranks that trained it, and other checkpoints are beside it"
        remedy = "move its files to a directory of their own, and name that"
    elif parts[0].startswith("shard-") and RANK_FILE.fullmatch(parts[0]):
        what = "this is a distributed checkpoint in safetensors files, a box of every tensor in each"
        remedy = (
            "save with HuggingFaceStorageWriter(…, enable_consolidation=True): these files do not say how many they are"
        )
    elif RANK_FILE.fullmatch(parts[0]):
        what, remedy = "the model is split over the ranks that trained it", "merge it with the code that saved it"
    elif parts[0] == nanotron.INDEX:
        what = "this is a nanotron checkpoint, a file for each parameter, and other checkpoints are beside it"
        remedy = "move those to a directory of their own"
    else:
        what, remedy = "the shards in this directory have no index", "fetch the *.index.json that belongs to them"
    named = [f"or name another checkpoint: {folder / name}" for name in others[:_SHOWN]]
    kind = UsageError if others else CheckpointError
    return kind(what, details=parts[:_SHOWN], where=str(folder), remedies=[remedy, *named])


def _refuse_other_formats(folder: Path, names: list[str]) -> None:
    if "saved_model.pb" in names or any(re.fullmatch(r".+\.data-\d+-of-\d+", name) for name in names):
        raise CheckpointError(
            "this is a TensorFlow checkpoint",
            where=str(folder),
            remedies=["ckpt2hf reads PyTorch checkpoints and safetensors"],
        )


def _none(folder: Path, names: list[str], folders: list[str]) -> CheckpointError:
    shown = [f"{name}/" for name in folders[:_SHOWN]]
    return CheckpointError(
        "there is no checkpoint in this directory",
        details=[f"files: {', '.join(names[:_SHOWN]) or 'none'}", f"directories: {', '.join(shown) or 'none'}"],
        where=str(folder),
        remedies=["name the checkpoint file itself"],
    )
