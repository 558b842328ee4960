"""A first dialect file written for a checkpoint, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects import candidates
from ckpt2hf.dialects.draft import draft as draft_of
from ckpt2hf.dialects.draft import render
from ckpt2hf.errors import UsageError
from ckpt2hf.output.whole_file import write_whole
from ckpt2hf.remote import is_remote
from ckpt2hf.run.understand import settled

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Candidate
    from ckpt2hf.dialects.draft import Draft
    from ckpt2hf.run.request import Request

_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft, where it was written, and the built-in dialects that would do without one."""

    checkpoint: Checkpoint
    draft: Draft
    out: Path
    built_in: tuple[Candidate, ...]


def draft(request: Request, out: Path, *, force: bool = False) -> Drafted:
    """Writes a first dialect file. Raises MappingError where nothing can be begun with, UsageError, OutputError."""
    if out.suffix != _SUFFIX:
        raise UsageError(
            f"a dialect file ends in {_SUFFIX}, not as {out.name} does",
            where=str(out),
            remedies=[f"--draft {out.name}{_SUFFIX}"],
        )
    if is_remote(out) or not out.parent.is_dir():
        raise UsageError(f"the directory of {out} is not there", where=str(out), remedies=["--draft ./mine.toml"])
    if (out.exists() or out.is_symlink()) and not (force and out.is_file()):
        next_ = ["--force   (what it says now is lost)"] if out.is_file() else []
        raise UsageError(f"{out} is there already", where=str(out), remedies=[*next_, "--draft ./another.toml"])
    checkpoint = open_checkpoint(request.source, weights_key=settled(request).weights_key)
    made = draft_of(checkpoint)
    fitting = candidates(checkpoint, None, {})
    write_whole(out, render(made), out.with_name(f".{out.name}.partial"))
    return Drafted(checkpoint, made, out, tuple(fitting))
