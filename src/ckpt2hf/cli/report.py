"""The command that reports on what is there: a converted model, or the output of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ckpt2hf.cli import options as o
from ckpt2hf.cli.console import rows, show_json
from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.remote import is_remote

Page = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the page of a model goes; else DIR.report.html, beside it.",
        show_default=False,
    ),
]


def report(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A converted directory; or the output of a batch, also a URL.",
            show_default=False,
            parser=o.path_or_url,
        ),
    ],
    *,
    out: Page = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write one page about a converted model, to be sent to somebody: what was proved, and what each form costs.

    Of the output of a batch, its page from its journals: while it runs, or on all the parts of one that was split.
    """
    if _is_model(directory):
        _model(directory, out, as_json=as_json, quiet=quiet)
        return
    if out is not None:
        raise UsageError(
            "--output is for the page of a model; that of a batch is in its directory",
            where=str(directory),
            remedies=["leave --output out"],
        )
    _batch(directory, as_json=as_json, quiet=quiet)


def _is_model(directory: Path) -> bool:
    """Whether it is a model, else a batch. Raises NotFoundError where it is neither, UsageError where it is both."""
    from ckpt2hf.api import REPORT
    from ckpt2hf.batch import state_of

    if is_remote(directory):
        if state_of(directory).past() is None:
            raise NotFoundError(
                f"no batch has worked in {directory}",
                details=["the page of a model is made from a local directory"],
                where=str(directory),
                remedies=["the directory after -o of `ckpt2hf batch`", "fetch the model's directory first"],
            )
        return False
    if not directory.is_dir():
        raise NotFoundError(
            f"{directory} is a file, not a directory" if directory.exists() else f"there is no directory {directory}",
            where=str(directory),
            remedies=["the directory that `ckpt2hf convert` or `ckpt2hf batch` has made"],
        )
    model, batch = (directory / REPORT).exists(), state_of(directory).past() is not None
    if model and batch:
        raise UsageError(
            "this is a model and the output of a batch, so it is not clear what to report on",
            details=[f"{REPORT} is that of a model", ".ckpt2hf has the journals of a batch"],
            where=str(directory),
            remedies=[f"mv {directory}/.ckpt2hf ELSEWHERE   (reports on the model)"],
        )
    if not model and not batch:
        raise NotFoundError(
            f"{directory} is neither a converted model nor the output of a batch",
            details=[f"it has no {REPORT}, and no batch has worked in it"],
            where=str(directory),
            remedies=["the directory after -o of `ckpt2hf convert`", "the directory after -o of `ckpt2hf batch`"],
        )
    return model


def _model(directory: Path, out: Path | None, *, as_json: bool, quiet: bool) -> None:
    from ckpt2hf.api import write_page

    found, page = write_page(directory, out)
    if as_json:
        show_json(found.lasting())
    elif not quiet:
        rows([("report", str(page), "")])
    if not found.verdict.proved:
        raise typer.Exit(1)


def _batch(directory: Path, *, as_json: bool, quiet: bool) -> None:
    from ckpt2hf.batch import Part, collected, state_of, write_report
    from ckpt2hf.cli.show_batch import show_batch
    from ckpt2hf.report import Status

    found = collected(directory)
    page = write_report(found, state_of(directory), Part())
    if as_json:
        show_json(found.as_json())
    else:
        show_batch(found, page, quiet=quiet)
    if any(job.status is not Status.PROVED for job in found.jobs):
        raise typer.Exit(1)
