"""A checkpoint's file that appears under its name complete, or not at all."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.output.disk import explained
from ckpt2hf.output.model_directory import parents, resolved
from ckpt2hf.output.partial_directory import locked_partial, remove_stale
from ckpt2hf.output.rename import replace_directory
from ckpt2hf.output.sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STARTS = (b"PK", b"\x80")
"""How files of `torch.save` begin, so that `--force` never replaces anything else."""


@contextmanager
def new_file(out: Path, *, force: bool) -> Iterator[Path]:
    """The path of a file to write, in a directory of its own beside `out`; afterwards it becomes `out` in one step.

    If the body raises, or anything after it does, `out` is as it was before, and the error goes on. Missing parents are
    made. With `force` a checkpoint that is there is replaced. Raises UsageError where `out` must not be replaced,
    OutputError where the disk refuses.
    """
    with ExitStack() as stack:
        with explained(out):
            place = resolved(out)
            _require_replaceable(place, force=force)
            stack.enter_context(parents(place))
            remove_stale(place)
            partial = stack.enter_context(locked_partial(place))
        made = partial / place.name
        yield made
        with explained(place):
            sync(made)
            # Hours may have passed: what was checked above may no longer hold.
            _require_replaceable(place, force=force)
            _publish(made, place)


def _require_replaceable(place: Path, *, force: bool) -> None:
    """Raises UsageError unless a file may be put at this place."""
    kind, remedy = None, "choose another -o"
    if place.is_symlink():
        kind, remedy = "is a symbolic link", f"-o {place.resolve()}"
    elif not place.exists():
        return
    elif not place.is_file():
        kind, remedy = "is no file", f"-o {place / 'ckpt.pt'}"
    elif not force:
        kind, remedy = "exists", "--force   to replace it, or choose another -o"
    else:
        with place.open("rb") as file:
            start = file.read(2)
        if start and not start.startswith(_STARTS):
            kind = "is not a checkpoint: torch.save did not write it"
    if kind:
        raise UsageError(f"{place} {kind}", where=str(place), remedies=[remedy])


def _publish(made: Path, place: Path) -> None:
    """Gives the finished file its name, for good. Raises OSError, and then `place` is as it was."""
    old = replace_directory(made, place) if place.exists() else None
    if old is None:
        _move(made, place)
    try:
        sync(place.parent)
    except BaseException:
        if old is None:
            place.rename(made)
        else:
            replace_directory(old, place).unlink(missing_ok=True)
        raise
    if old is not None:
        old.unlink(missing_ok=True)


def _move(made: Path, place: Path) -> None:
    """Like a rename, but what came to that place a moment ago is not lost, where the file system can tell."""
    try:
        place.hardlink_to(made)
    except FileExistsError as error:
        raise UsageError(f"{place} exists", where=str(place), remedies=["--force   to replace it"]) from error
    except OSError:  # a file system that knows no links
        made.rename(place)
    else:
        made.unlink()
