"""The commands. Each imports what it needs when it runs, so that `--help` is instant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt2hf import __version__
from ckpt2hf.cli import backwards
from ckpt2hf.cli import options as o
from ckpt2hf.cli.batch import batch
from ckpt2hf.cli.console import OUT, show_json
from ckpt2hf.cli.convert import convert
from ckpt2hf.cli.dialects import dialects_app
from ckpt2hf.cli.directories import card, verify
from ckpt2hf.cli.forms import export, quantize
from ckpt2hf.cli.look import evaluate, generate
from ckpt2hf.cli.report import report
from ckpt2hf.cli.tokenizer_options import TokenizerWords, with_tokenizer
from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from ckpt2hf.api import Request

app = typer.Typer(
    name="ckpt2hf",
    help="A from-scratch PyTorch checkpoint becomes a Hugging Face directory, proved to compute the same function.",
    epilog="Exit codes: 0 proved; 1 cannot be converted or proved; 2 another command line can help; 70 a bug of ours.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        OUT.print(f"ckpt2hf {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(convert)
app.command()(batch)
app.command()(report)
app.add_typer(dialects_app, name="dialects")


@app.command()
@with_tokenizer
def plan(
    path: o.Source,
    *,
    dialect: o.DialectName = None,
    facts: o.Facts = None,
    weights_key: o.WeightsKey = None,
    reference: o.Reference = None,
    reference_args: o.ReferenceArgs = None,
    sample: o.Sample = None,
    sample_dtype: o.SampleDType = None,
    dtype: o.DTypeName = None,
    allow: o.Allow = None,
    tokenizer: TokenizerWords,
    to_dialect: o.ToDialect = None,
    to_layout: o.ToLayout = None,
    as_json: o.Json = False,
) -> None:
    """Show what `convert` would do, tensor by tensor, without writing anything."""
    others = {
        "--dialect": dialect,
        "--weights-key": weights_key,
        "--reference": reference,
        "--reference-args": reference_args,
        "--sample": sample,
        "--sample-dtype": sample_dtype,
        "--dtype": dtype,
        "--allow": allow,
        "--tokenizer": tokenizer,
    }
    if back := backwards.request(path, to_dialect, to_layout, facts, others):
        backwards.plan(back, as_json=as_json)
        return
    from ckpt2hf.api import plan
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_plan import plan_json, show_plan

    text = (sample, sample_dtype)
    asked = o.request(
        path,
        dialect,
        facts,
        weights_key,
        reference=(reference, reference_args),
        dtype=dtype,
        sample=text,
        allow=allow,
        tokenizer=tokenizer.asked(),
    )
    with shown(quiet=as_json) as progress:
        made = plan(asked, progress)
    if as_json:
        show_json(plan_json(made))
    else:
        show_plan(made)


@app.command()
@with_tokenizer
def inspect(
    path: o.Source,
    *,
    dialect: o.DialectName = None,
    facts: o.Facts = None,
    weights_key: o.WeightsKey = None,
    sample: o.Sample = None,
    sample_dtype: o.SampleDType = None,
    tokenizer: TokenizerWords,
    names: Annotated[bool, typer.Option("--names", help="List every tensor.")] = False,
    draft: o.Draft = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file with the draft.")] = False,
    as_json: o.Json = False,
) -> None:
    """Show what is in a checkpoint, whose code may have saved it, and which facts are known or missing."""
    from ckpt2hf.api import inspect
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_checkpoint import show_understanding, understanding_json

    text = (sample, sample_dtype)
    asked = o.request(path, dialect, facts, weights_key, sample=text, tokenizer=tokenizer.asked())
    if draft is not None:
        _draft(asked, draft, force=force, as_json=as_json)
        return
    if force:
        raise UsageError("--force needs --draft")
    with shown(quiet=as_json) as progress:
        found = inspect(asked, progress)
    if as_json:
        show_json(understanding_json(found))
    else:
        show_understanding(found, names=names)


def _draft(asked: Request, out: Path, *, force: bool, as_json: bool) -> None:
    """Write a first dialect file for a checkpoint, and say what is in it."""
    from ckpt2hf.api import draft
    from ckpt2hf.cli.show_draft import draft_json, show_draft

    if asked.dialect is not None or asked.facts:
        raise UsageError("--draft takes neither --dialect nor --set: it says what the file shows by itself")
    drafted = draft(asked, out, force=force)
    if as_json:
        show_json(draft_json(drafted))
    else:
        show_draft(drafted)


app.command()(verify)
app.command()(card)
app.command()(generate)
app.command("eval")(evaluate)
app.command()(export)
app.command()(quantize)
