"""The page of a converted directory, written beside it.

Not in it: SHA256SUMS names every file of a directory, and a page made later would be one that it does not name. The
page tells what conversion.json says, which has to be the one that SHA256SUMS names. Of other files only the size is
looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.output import alone_in, explained, summed, write_whole
from ckpt2hf.remote import is_remote
from ckpt2hf.report import read_report
from ckpt2hf.report.html import MADE_BY_US, ModelFile, render_model
from ckpt2hf.run.card import sums_of
from ckpt2hf.run.convert import REPORT

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.report import Report

_SUFFIX = ".report.html"
_HEAD = 1 << 12
"""Bytes in which a page of ours says that it is one."""


def write_page(directory: Path, out: Path | None = None) -> tuple[Report, Path]:
    """The report of a directory and where its page is now: `out`, or beside the directory.

    Raises NotFoundError, UsageError where the page would replace what is no page of ours, VerificationError where the
    report is not the one of the conversion, OutputError.
    """
    if is_remote(directory) or (out is not None and is_remote(out)):
        raise UsageError(
            "the page of a model is made from a local directory, as a local file",
            where=str(directory if is_remote(directory) else out),
            remedies=["fetch the directory first"],
        )
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {directory}", where=str(directory))
    place = page_of(directory) if out is None else out
    _require_ours(place)
    with alone_in(directory):
        report = read_report(directory / REPORT)
        found = _files(directory, sums_of(directory))
    write_whole(place, render_model(report, found, page_of(directory).name.removesuffix(_SUFFIX)), _partial(place))
    return report, place


def page_of(directory: Path) -> Path:
    """Where the page of a directory is, unless somebody says something else. Raises UsageError for the root."""
    named = directory if directory.name not in {"", ".."} else directory.resolve()
    if not named.name:
        raise UsageError("there is no place beside this directory", where=str(directory), remedies=["--output FILE"])
    return named.with_name(named.name + _SUFFIX)


def _partial(place: Path) -> Path:
    return place.with_name(f".{place.name}.partial")


def _require_ours(place: Path) -> None:
    """Raises UsageError where there is something that no report has written."""
    with explained(place):
        if place.is_file():
            with place.open("rb") as file:
                if MADE_BY_US.encode() in file.read(_HEAD):
                    return
        elif not place.exists():
            return
    raise UsageError(
        f"{place.name} is there, and no page of ckpt2hf",
        where=str(place),
        remedies=["--output FILE   with another name", "move it away"],
    )


def _files(directory: Path, sums: dict[str, str] | None) -> list[ModelFile]:
    """What SHA256SUMS names, there or not; without one, what is there."""
    there = summed(directory)
    with explained(directory):
        sizes = {name: path.stat().st_size for name, path in there.items()}
    if sums is None:
        return [ModelFile(name, nbytes, None) for name, nbytes in sizes.items()]
    return [ModelFile(name, sizes.get(name), digest) for name, digest in sorted(sums.items())]
