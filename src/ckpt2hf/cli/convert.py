"""The command over one checkpoint."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt2hf.cli import backwards
from ckpt2hf.cli import options as o
from ckpt2hf.cli.console import show_json
from ckpt2hf.cli.form_options import FormWords, with_forms
from ckpt2hf.cli.options import LevelName
from ckpt2hf.cli.tokenizer_options import TokenizerWords, with_tokenizer
from ckpt2hf.errors import UsageError
from ckpt2hf.sources import watched

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.api import FormsRequest, Report

FORMATS = "safetensors,bin"
"""Every kind of weight file."""


@with_forms
@with_tokenizer
def convert(
    path: o.Source,
    *,
    out: o.Out,
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
    formats: Annotated[str, typer.Option("--formats", help="Which weight files to write.")] = FORMATS,
    max_shard_size: Annotated[
        str | None, typer.Option("--max-shard-size", metavar="SIZE", help="Split above, e.g. 5GB.", show_default=False)
    ] = None,
    verify_: o.LevelOption = LevelName.LOGITS,
    python_5x: o.Python5x = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORM,...",
            help="Add other forms of the model, as export and quantize do, e.g. onnx,onnx-q8,onnx-q4.",
            show_default=False,
        ),
    ] = None,
    words: FormWords,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing model directory, atomically.")] = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Convert weights that hold NaN or infinity.")
    ] = False,
    license_: o.License = None,
    languages: o.Languages = None,
    model_name: o.ModelName = None,
    threads: o.Threads = 0,
    scratch: o.Scratch = None,
    to_dialect: o.ToDialect = None,
    to_layout: o.ToLayout = None,
    report_file: o.ReportFile = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Convert a checkpoint and prove the result. Nothing is left behind unless the proof holds."""
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
        "--formats": formats != FORMATS,
        "--max-shard-size": max_shard_size,
        "--scratch": scratch,
        "--license": license_,
        "--language": languages,
        "--model-name": model_name,
        "--to": to,
        **words.by_option(),
    }
    if back := backwards.request(path, to_dialect, to_layout, facts, others):
        from ckpt2hf.api import BackWriting, Level

        making = BackWriting(
            out=out,
            report=report_file,
            level=Level(verify_.value),
            force=force,
            allow_nonfinite=allow_nonfinite,
            workers=o.workers(threads),
        )
        if not backwards.convert(back, making, as_json=as_json, quiet=quiet):
            raise typer.Exit(1)
        return
    if report_file:
        raise UsageError("--report needs --to-dialect; a directory holds its own report, conversion.json")
    with watched(path) as sources:  # hashing begins while everything else is still being imported
        from ckpt2hf.api import Level, Writing, convert, require_forms
        from ckpt2hf.cli.progress import shown
        from ckpt2hf.cli.show_report import show_report

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
        writing = Writing(
            out=out,
            formats=o.formats(formats),
            max_shard_bytes=o.byte_count(max_shard_size),
            level=Level(verify_.value),
            force=force,
            allow_nonfinite=allow_nonfinite,
            card=o.card(license_, languages, model_name),
            python_5x=python_5x,
            threads=threads,
            scratch=scratch,
        )
        forms = _forms(out, to, words)
        before = functools.partial(require_forms, forms, writing.level) if forms else None
        with shown(quiet=quiet or as_json) as progress:
            report = convert(asked, writing, progress, sources, before=before)
    if forms and report.verdict.proved:
        _add(report, forms, as_json=as_json, quiet=quiet)
        return
    if as_json:
        show_json(report.as_json())
    else:
        show_report(report, quiet=quiet)
    if not report.verdict.proved:
        raise typer.Exit(1)


def _forms(out: Path, to: str | None, words: FormWords) -> FormsRequest | None:
    """What else is to be made of the directory. Raises UsageError."""
    from ckpt2hf.api import Command

    if to is None:
        if words:
            raise UsageError("what is said about other forms of the model needs --to", remedies=["--to onnx,onnx-q8"])
        return None
    return words.asked(out, Command.CONVERT, to)


def _add(report: Report, asked: FormsRequest, *, as_json: bool, quiet: bool) -> None:
    """Makes the forms of a directory that is there, and shows everything. Exits with 1 where a form was rejected."""
    from ckpt2hf.api import make_forms
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_forms import show_forms
    from ckpt2hf.cli.show_report import show_report
    from ckpt2hf.report import plain_tree

    if not as_json:
        show_report(report, quiet=quiet)
    with shown(quiet=quiet or as_json) as progress:
        forms = make_forms(asked, progress)
    if as_json:
        show_json({**report.as_json(), "forms": plain_tree(forms)})
    else:
        show_forms(forms, asked.directory, quiet=quiet)
    if any(form.problems for form in forms):
        raise typer.Exit(1)
