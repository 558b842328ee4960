"""A directory that appears under its name complete, or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.output.disk import explained
from ckpt2hf.output.partial_directory import locked_partial, remove_stale
from ckpt2hf.output.rename import replace_directory
from ckpt2hf.output.sync import sync, sync_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = ("config.json", "conversion.json", "*.safetensors", "*.bin")
"""What shows that a directory holds a model, so that `--force` never replaces anything else."""


@contextmanager
def new_directory(out: Path, *, force: bool) -> Iterator[Path]:
    """An empty directory beside `out` to fill; afterwards it is synced to the disk and becomes `out` in one step.

    If the body raises, or anything after it does, the directory is deleted, `out` is as it was before, and the error
    goes on. Missing parents are made. With `force` a model directory that is there is replaced: it is deleted once the
    new one has its name. Raises UsageError where `out` must not be replaced, OutputError where the disk refuses.
    """
    with ExitStack() as stack:
        with explained(out):
            place = resolved(out)
            _require_replaceable(place, force=force)
            stack.enter_context(parents(place))
            remove_stale(place)
            partial = stack.enter_context(locked_partial(place))
        yield partial
        with explained(place):
            sync_tree(partial)
            # Hours may have passed: what was checked above may no longer hold.
            _require_replaceable(place, force=force)
            _publish(partial, place, force=force)


def resolved(out: Path) -> Path:
    """The absolute path, links in the parents followed; a link under the name itself is kept, to be refused."""
    return out.parent.resolve() / out.name if out.name not in {"", ".."} else out.resolve()


def _require_replaceable(place: Path, *, force: bool) -> None:
    """Raises UsageError unless a directory may be put at this place."""
    kind, remedy = None, "choose another -o"
    if place.is_symlink():
        kind, remedy = "is a symbolic link", f"-o {place.resolve()}"
    elif not place.exists():
        return
    elif not place.is_dir():
        kind = "exists and is not a directory"
    elif os.path.ismount(place):
        kind, remedy = "is a mount point, which cannot be replaced", f"-o {place / 'model'}"
    elif Path.cwd().is_relative_to(place):
        kind, remedy = "is the current directory or holds it", f"-o {Path.cwd() / 'model'}"
    elif not any(place.iterdir()):
        return
    elif not force:
        kind, remedy = "exists", "--force   to replace it, or choose another -o"
    elif not any(next(place.glob(mark), None) for mark in _MARKS):
        kind = f"is not a model directory: none of {', '.join(_MARKS)} is in it"
    if kind:
        raise UsageError(f"{place} {kind}", where=str(place), remedies=[remedy])


@contextmanager
def parents(place: Path) -> Iterator[None]:
    """Makes the missing parents of a path; if the body raises, the ones that are still empty are gone again."""
    missing = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for parent in missing:
                parent.rmdir()
        raise


def _publish(partial: Path, place: Path, *, force: bool) -> None:
    """Gives the finished directory its name, for good. Raises OSError, and then `place` is as it was."""
    old = None
    if force and place.exists():
        old = replace_directory(partial, place)
    else:
        partial.rename(place)
    try:
        sync(place.parent)
    except BaseException:
        rejected = replace_directory(old, place) if old else place.rename(partial)
        shutil.rmtree(rejected, ignore_errors=True)
        raise
    if old:
        shutil.rmtree(old, ignore_errors=True)
