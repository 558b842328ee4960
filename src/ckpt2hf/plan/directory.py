"""A Hugging Face directory read as a model: its spec, with an origin for each fact, and its slots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import Ckpt2hfError, FactsError, NotFoundError, UsageError
from ckpt2hf.ir import FIELDS, ModelSpec
from ckpt2hf.naming import assign, to_slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.targets import TARGETS
from ckpt2hf.targets.read import read_config, target_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.naming import Assignment, Naming
    from ckpt2hf.targets import Target
    from ckpt2hf.targets.settings import Said


@dataclass(frozen=True, slots=True)
class Understood:
    """A directory that is understood."""

    checkpoint: Checkpoint
    target: Target
    facts: Mapping[str, Said]
    spec: ModelSpec
    assignment: Assignment
    sources: Mapping[str, Mosaic]
    slots: Mapping[str, Mosaic]


_FILES = tuple(f"{stem}{end}" for stem in ("model.safetensors", "pytorch_model.bin") for end in (".index.json", ""))
"""Where the weights are: safetensors before the other kind, as transformers prefers them."""


def open_directory(source: Path, remedy: str = "ckpt2hf convert   makes one of a checkpoint") -> tuple[Checkpoint, str]:
    """The weights of a local directory, names as they are, and the name of their file.

    Raises UsageError for what is no such directory, NotFoundError, CheckpointError.
    """
    if not source.exists():
        raise NotFoundError(f"there is no {source}")
    if not source.is_dir() or not (source / "config.json").is_file():
        what = "holds no config.json" if source.is_dir() else "is not a directory"
        raise UsageError(f"{source} {what}, so it is no Hugging Face model", remedies=[remedy])
    name = weights_in(source)
    return replace(open_checkpoint(source / name, as_named=True), path=source), name


def weights_in(directory: Path) -> str:
    """The name of the file with a directory's weights, or of the index of its parts. Raises UsageError."""
    for name in _FILES:
        if (directory / name).is_file():
            return name
    raise UsageError(f"{directory} holds neither model.safetensors nor pytorch_model.bin", where=str(directory))


def understood(checkpoint: Checkpoint, answers: Mapping[str, Any]) -> Understood:
    """The directory as a model. Raises UnsupportedError, FactsError, MappingError."""
    where, config = str(checkpoint.path), checkpoint.side.get("config.json", {})
    target = target_of(config, TARGETS, where)
    facts = read_config(target, config, where, answers)
    spec = ModelSpec(**{name: facts[name].value for name in FIELDS})
    if problems := [*spec.problems(), *(problem.message for problem in target.problems(spec))]:
        raise FactsError("config.json describes an impossible model", details=problems, where=where)
    checkpoint = _with_base(checkpoint, target.naming)
    try:
        assignment = assign(target.naming, spec, {name: ref.meta for name, ref in checkpoint.tensors.items()})
    except Ckpt2hfError as error:
        remedies = ["correct config.json, if it is not that of these weights"]
        told = f"{where}, read as {target.hf_class}"
        raise type(error)(error.what, details=error.details, where=told, remedies=remedies) from error
    sources = {name: Mosaic.of(ref) for name, ref in assignment.taken(checkpoint.tensors).items()}
    return Understood(checkpoint, target, facts, spec, assignment, sources, to_slots(assignment.links, sources))


def _with_base(checkpoint: Checkpoint, naming: Naming) -> Checkpoint:
    """Names as the class with its head has them: files of the body alone lack the first component of every name.

    Source: transformers 4.57.6, modeling_utils.py (base_model_prefix): loading adds it just so.
    """
    firsts = {name.text.partition(".")[0] for rule in naming.rules for name in rule.names}
    heads = {tie.name.text.partition(".")[0] for tie in naming.ties}
    (base,) = firsts - heads
    if any(name.startswith(f"{base}.") for name in checkpoint.tensors):
        return checkpoint
    named = {
        name if name.partition(".")[0] in heads else f"{base}.{name}": ref for name, ref in checkpoint.tensors.items()
    }
    return replace(checkpoint, tensors=named)
