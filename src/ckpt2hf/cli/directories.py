"""The commands about a directory that is there: proved again, or given another model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ckpt2hf.cli import options as o
from ckpt2hf.cli.console import OUT, show_json
from ckpt2hf.cli.options import LevelName  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.tokenizer_options import TokenizerWords, with_tokenizer
from ckpt2hf.errors import UsageError

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A converted directory.", show_default=False)]


@with_tokenizer
def verify(
    directory: Directory,
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="PATH",
            help="The checkpoint it was made from; without it, only what the directory shows by itself is looked at.",
            show_default=False,
            parser=o.path_or_url,
        ),
    ] = None,
    level: Annotated[
        LevelName | None,
        typer.Option(
            "--level", metavar="structure|bytes|logits", help="How much is proved; logits.", show_default=False
        ),
    ] = None,
    dialect: o.DialectName = None,
    facts: o.Facts = None,
    weights_key: o.WeightsKey = None,
    reference: o.Reference = None,
    reference_args: o.ReferenceArgs = None,
    python_5x: o.Python5x = None,
    allow: o.Allow = None,
    tokenizer: TokenizerWords,
    threads: o.Threads = 0,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Prove an existing directory again, and compare its files with SHA256SUMS. The report says what you leave out."""
    from ckpt2hf.api import Level, look, prove
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_report import show_look, show_verdict
    from ckpt2hf.report import plain_tree

    needing = {
        "--level": level,
        "--dialect": dialect,
        "--set": facts,
        "--weights-key": weights_key,
        "--reference": reference,
        "--reference-args": reference_args,
        "--allow": allow,
        "--tokenizer": tokenizer,
    }
    if against is None and (given := [option for option, value in needing.items() if value]):
        raise UsageError(f"{given[0]} needs --against: without the checkpoint there is nothing to compare with")
    workers = o.workers(threads)
    with shown(quiet=quiet or as_json) as progress:
        if against is None:
            verdict = look(directory, threads=workers, progress=progress)
        else:
            code = (reference, reference_args)
            words = tokenizer.asked()
            asked = o.request(against, dialect, facts, weights_key, reference=code, allow=allow, tokenizer=words)
            wanted = Level(level.value) if level else Level.LOGITS
            verdict = prove(directory, asked, wanted, threads=workers, python_5x=python_5x, progress=progress)
    if as_json:
        show_json(plain_tree(verdict))
    elif against is None:
        show_look(verdict, directory, quiet=quiet)
    else:
        show_verdict(verdict, directory, quiet=quiet)
    if not verdict.proved:
        raise typer.Exit(1)


def card(
    directory: Directory,
    *,
    license_: o.License = None,
    languages: o.Languages = None,
    model_name: o.ModelName = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a README.md that was edited.")] = False,
    quiet: o.Quiet = False,
) -> None:
    """Write the model card, README.md, again. What you leave out is taken from the one that is there."""
    from ckpt2hf.api import write_card

    written = write_card(directory, o.card(license_, languages, model_name), force=force)
    if not quiet:
        OUT.print(str(written), markup=False)
