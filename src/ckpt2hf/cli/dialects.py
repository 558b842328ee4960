"""The commands about dialects themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from ckpt2hf.cli import options as o  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.console import OUT, show_json

dialects_app = typer.Typer(
    help="List the codebases whose checkpoints are known, or show one.", invoke_without_command=True
)


@dialects_app.callback()
def dialects(context: typer.Context, *, as_json: o.Json = False) -> None:
    """List the codebases whose checkpoints are known."""
    from ckpt2hf.cli.show_dialects import dialects_json, show_dialects

    if context.invoked_subcommand is None:
        if as_json:
            show_json(dialects_json())
        else:
            show_dialects()


@dialects_app.command("show")
def show_dialect(name: Annotated[str, typer.Argument(metavar="ID|FILE", show_default=False)]) -> None:
    """Print the file of one dialect: every rule, every fact, every reason. A file of your own is checked first."""
    from ckpt2hf.api import dialect_text

    OUT.print(dialect_text(name), end="", markup=False)
