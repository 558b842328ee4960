"""The command over one checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from ckpt2hf.cli import backwards
from ckpt2hf.cli import options as o
from ckpt2hf.cli.console import show_json
from ckpt2hf.cli.options import LevelName
from ckpt2hf.cli.tokenizer_options import TokenizerWords, with_tokenizer
from ckpt2hf.errors import UsageError
from ckpt2hf.sources import watched

FORMATS = "safetensors,bin"
"""Every kind of weight file."""


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
        from ckpt2hf.api import Level, Writing, convert
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
        with shown(quiet=quiet or as_json) as progress:
            report = convert(asked, writing, progress, sources)
    if as_json:
        show_json(report.as_json())
    else:
        show_report(report, quiet=quiet)
    if not report.verdict.proved:
        raise typer.Exit(1)
