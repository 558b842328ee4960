"""The command over many checkpoints."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt2hf.cli import options as o
from ckpt2hf.cli.console import show_json
from ckpt2hf.cli.options import LevelName
from ckpt2hf.cli.tokenizer_options import TokenizerWords, with_tokenizer
from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from ckpt2hf.batch import Batch, Gathered, Part

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Where the checkpoints are: directories, patterns such as 'runs/**/*.pt', files, or a manifest (*.toml).",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="The directory for all of them; also a URL.",
        show_default=False,
        parser=o.path_or_url,
    ),
]
Verify = Annotated[
    LevelName | None,
    typer.Option("--verify", help="How much is proved of each; logits unless something says less.", show_default=False),
]
Formats = Annotated[
    str | None, typer.Option("--formats", help="Which weight files to write; safetensors,bin.", show_default=False)
]
MaxShardSize = Annotated[
    str | None, typer.Option("--max-shard-size", metavar="SIZE", help="Split above, e.g. 5GB.", show_default=False)
]
AllowNonfinite = Annotated[bool, typer.Option("--allow-nonfinite", help="Convert weights that hold NaN or infinity.")]
Force = Annotated[bool, typer.Option("--force", help="Replace model directories that no batch has made here.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="What not to look at. Repeatable.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and what it needs; write nothing.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Conversions at the same time; one per core.", show_default=False),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="What all of them may use together; what machine and container allow.",
        show_default=False,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="TIME", help="What each attempt may take, e.g. 30m.", show_default=False),
]
Retries = Annotated[
    int | None,
    typer.Option("--retries", min=0, help="Further attempts after faults that can pass; 2.", show_default=False),
]
Grace = Annotated[
    str | None,
    typer.Option(
        "--grace", metavar="TIME", help="What running ones get when the batch is told to stop; 8s.", show_default=False
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Do only part I of N; auto: what the array job around says.", show_default=False
    ),
]
ExecutorName = Annotated[
    str, typer.Option("--executor", metavar="WHERE", help="Where they run: local, ray or ray://HOST:PORT.")
]
Wait = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="TIME",
        help="How long to wait for another batch on this output.",
        show_default=False,
    ),
]
Metrics = Annotated[
    Path | None, typer.Option("--metrics", metavar="FILE", help="Write a Prometheus textfile.", show_default=False)
]
LogJson = Annotated[bool, typer.Option("--log-json", help="One JSON object per event on stderr.")]


@with_tokenizer
def batch(
    inputs: Inputs,
    *,
    out: Out,
    dialect: o.DialectName = None,
    facts: o.Facts = None,
    weights_key: o.WeightsKey = None,
    dtype: o.DTypeName = None,
    allow: o.Allow = None,
    tokenizer: TokenizerWords,
    formats: Formats = None,
    max_shard_size: MaxShardSize = None,
    verify: Verify = None,
    python_5x: o.Python5x = None,
    allow_nonfinite: AllowNonfinite = False,
    license_: o.License = None,
    languages: o.Languages = None,
    model_name: o.ModelName = None,
    force: Force = False,
    exclude: Exclude = None,
    dry_run: DryRun = False,
    workers: Workers = None,
    threads: o.Threads = 0,
    memory: Memory = None,
    timeout: Timeout = None,
    retries: Retries = None,
    grace: Grace = None,
    shard: Shard = None,
    executor: ExecutorName = "local",
    wait: Wait = None,
    scratch: o.Scratch = None,
    metrics: Metrics = None,
    log_json: LogJson = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Convert and prove every checkpoint there is. Said again, it goes on where it was and does nothing twice."""
    from ckpt2hf.batch import Batch, Said, gather, parsed
    from ckpt2hf.batch.executors import executor as executor_of
    from ckpt2hf.cli.batch_progress import observing
    from ckpt2hf.cli.show_batch import show_batch
    from ckpt2hf.report import Status
    from ckpt2hf.run import units
    from ckpt2hf.run.settings import Settings
    from ckpt2hf.verify import Level

    words = o.card(license_, languages, model_name)
    settings = Settings(
        dialect=dialect,
        facts=_facts(facts or ()),
        weights_key=weights_key,
        dtype=o.value("--dtype", units.number_type, dtype),
        allow=units.allowed(allow) if allow else None,
        tokenizer=tokenizer.asked(),
        level=Level(verify.value) if verify else None,
        formats=o.formats(formats) if formats else None,
        max_shard_bytes=o.value("--max-shard-size", units.byte_count, max_shard_size),
        allow_nonfinite=allow_nonfinite or None,
        license=words.license,
        languages=words.languages,
        model_name=words.model_name,
        python_5x=python_5x,
        timeout=o.value("--timeout", units.seconds, timeout),
        retries=retries,
    )
    said = Said(
        settings=settings,
        threads=threads,
        workers=workers,
        memory=o.value("--memory", units.byte_count, memory),
        grace=o.value("--grace", units.seconds, grace),
    )
    part = parsed(shard)
    found = gather(inputs, out, said, tuple(exclude or ()))
    if dry_run:
        _show_plan(found, out, part, as_json=as_json)
        return
    with observing(quiet=quiet or as_json, log_json=log_json) as observer:
        work = Batch(
            gathered=found,
            inputs=inputs,
            out=out,
            observer=observer,
            part=part,
            force=force,
            wait=o.value("--wait", units.seconds, wait),
            executor=executor_of(executor, found.options.workers),
            metrics=metrics,
            scratch=scratch,
        )
        with _stoppable(work) as signals:
            report = work.run()
    if as_json:
        show_json(report.as_json())
    else:
        show_batch(report, work.page or out, quiet=quiet)
    if signals:
        raise typer.Exit(128 + signals[0])
    if any(job.status is not Status.PROVED for job in report.jobs):
        raise typer.Exit(1)


def _show_plan(found: Gathered, out: Path, part: Part, *, as_json: bool) -> None:
    """What would be done. Exits with 1 when not all of it could be."""
    from ckpt2hf.batch import means, planned
    from ckpt2hf.cli.show_dry_run import dry_run_json, show_dry_run

    jobs = list(planned(found, out, part))
    if as_json:
        show_json(dry_run_json(jobs, found.skipped, means(found, out)))
    else:
        show_dry_run(jobs, found.skipped, means(found, out))
    if any(job.problem for job in jobs):
        raise typer.Exit(1)


@contextmanager
def _stoppable(work: Batch) -> Iterator[list[int]]:
    """Inside, SIGINT and SIGTERM let the batch come to a good end; gives the signals that came."""
    came: list[int] = []

    def told(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        work.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _facts(pairs: Sequence[str]) -> dict[str, str]:
    """The values of `--set field=value`. Raises UsageError."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UsageError(f"--set does not know {wrong[0]!r}", remedies=["--set heads=12"])
    return dict(pair.split("=", 1) for pair in pairs)
