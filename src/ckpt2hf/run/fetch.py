"""The weights of a remote checkpoint brought here once it is known which ones a plan needs; of a local one, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt2hf.files import MappedFile
    from ckpt2hf.plan import Plan
    from ckpt2hf.run.request import Progress


def fetch(plan: Plan, progress: Progress) -> None:
    """Fetch every tensor of the checkpoint, written or to be proved superfluous, in large requests, many at a time.

    Without it each would be fetched when it is read. Raises NotFoundError, CheckpointError, UnreachableError, and
    OutputError where the disk has no room.
    """
    wanted: dict[MappedFile, list[tuple[int, int]]] = {}
    for ref in plan.checkpoint.tensors.values():
        for extent in ref.extents:
            wanted.setdefault(extent.file, []).append((extent.start, extent.nbytes))
    total = sum(file.to_fetch(extents) for file, extents in wanted.items())
    if total:
        progress.phase("fetch", total)
        for file, extents in wanted.items():
            file.prefetch(extents, progress.advance)
