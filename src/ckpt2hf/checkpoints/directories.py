"""Which file of a directory is the checkpoint: one, or an error that names what was seen.

Source: huggingface/accelerate src/accelerate/checkpointing.py and utils/constants.py (names of a saved state);
huggingface/transformers src/transformers/trainer.py (names beside a checkpoint).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.shards import INDEX_SUFFIX
from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ACCELERATE = "accelerate directory"
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".tar")
_NOT_WEIGHTS = re.compile(
    r"(optimizer|scheduler|sampler|dl_state_dict|scaler|random_states|rng_state|custom_checkpoint|training_args"
    r"|tokenizer|vocab|meta|train|val|test|merges|params_shape)([-_.0-9].*)?\.(bin|pt|pth|pkl|pickle|ckpt)"
)
"""Names of optimizer, random and data loader state, of tokenizers and of token files."""
_SAVED_STATE = re.compile(r"(random_states_\d+\.pkl|optimizer(_\d+)?\.bin|scheduler(_\d+)?\.bin|sampler(_\d+)?\.bin)")
_SHARD = re.compile(r"(.+)-\d+-of-\d+\.(safetensors|bin|pt)")
_PREPARED = re.compile(r"(?:pytorch_)?(model(?:_\d+)?)\.(safetensors|bin)(?:\.index\.json)?")
"""What accelerate and transformers call the weights; numbered if several models were prepared."""
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """The file to read, and what is special about where it lies."""

    file: Path
    container: str | None
    """Replaces the name of the file's own format."""
    weights_key: str | None
    """What is left of the user's key once it chose a file."""


def choose(folder: Path, weights_key: str | None) -> Choice:
    """The one checkpoint in a directory. Raises UsageError if there are several, CheckpointError if none."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise NotFoundError(f"cannot list {folder}", details=[str(error)], where=str(folder)) from error
    _refuse_other_formats(folder, names)
    candidates = _candidates(folder, names)
    is_state = any(_SAVED_STATE.fullmatch(name) for name in names)
    container = ACCELERATE if is_state and all(_PREPARED.fullmatch(name) for name in candidates) else None
    if not candidates:
        raise _none(folder, names)
    if len(candidates) == 1:
        return Choice(folder / candidates[0], container, weights_key)
    models = {match[1]: name for name in candidates if (match := _PREPARED.fullmatch(name))}
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


def _candidates(folder: Path, names: list[str]) -> list[str]:
    indexes = [name for name in names if name.endswith(INDEX_SUFFIX)]
    files = [n for n in names if n.lower().endswith(_SUFFIXES) and not _NOT_WEIGHTS.fullmatch(n)]
    joined = {name.removesuffix(INDEX_SUFFIX).rpartition(".")[0] for name in indexes}
    shards = [name for name in files if _SHARD.fullmatch(name)]
    orphans = [name for name in shards if _SHARD.fullmatch(name)[1] not in joined]  # type: ignore[index]
    whole = [name for name in files if name not in shards]
    if orphans and not whole and not indexes:
        raise CheckpointError(
            "the shards in this directory have no index",
            details=orphans[:_SHOWN],
            where=str(folder),
            remedies=["fetch the *.index.json that belongs to them"],
        )
    every = [*indexes, *whole, *orphans]
    # Hugging Face directories may hold the same weights twice; safetensors is the one that cannot run anything.
    safe = {m[1] for n in every if (m := _PREPARED.fullmatch(n)) and m[2] == "safetensors"}
    return [n for n in every if not ((m := _PREPARED.fullmatch(n)) and m[2] == "bin" and m[1] in safe)]


def _refuse_other_formats(folder: Path, names: list[str]) -> None:
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        raise CheckpointError(
            "this is a distributed checkpoint (torch.distributed.checkpoint)",
            where=str(folder),
            remedies=["python -m torch.distributed.checkpoint.format_utils dcp_to_torch <directory> ckpt.pt"],
        )
    if "saved_model.pb" in names or any(re.fullmatch(r".+\.data-\d+-of-\d+", name) for name in names):
        raise CheckpointError(
            "this is a TensorFlow checkpoint",
            where=str(folder),
            remedies=["ckpt2hf reads PyTorch checkpoints and safetensors"],
        )


def _none(folder: Path, names: list[str]) -> CheckpointError:
    seen = names[:_SHOWN]
    folders = sorted(f"{entry.name}/" for entry in folder.iterdir() if entry.is_dir())[:_SHOWN]
    return CheckpointError(
        "there is no checkpoint in this directory",
        details=[f"files: {', '.join(seen) or 'none'}", f"directories: {', '.join(folders) or 'none'}"],
        where=str(folder),
        remedies=["name the checkpoint file itself"],
    )
