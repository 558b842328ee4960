"""Proving an existing directory again, against the checkpoint it was made from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.output import WeightFormat
from ckpt2hf.report import verdict_report
from ckpt2hf.run import units
from ckpt2hf.run.convert import REPORT
from ckpt2hf.run.request import Silence
from ckpt2hf.run.understand import plan as make_plan
from ckpt2hf.tensors import DType
from ckpt2hf.verify import Level, prove_left_out, require, verify, warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.report import VerdictReport
    from ckpt2hf.run.request import Progress, Request


def prove(
    directory: Path, request: Request, level: Level, *, threads: int, progress: Progress | None = None
) -> VerdictReport:
    """The verdict on a directory, whoever wrote it. What the request leaves open is taken from its conversion.json."""
    told = progress or Silence()
    require(level)
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {directory}")
    formats = tuple(
        kind
        for kind in WeightFormat
        if any((directory / f"{kind.stem}{kind.suffix}{end}").exists() for end in ("", ".index.json"))
    )
    if not formats:
        raise UsageError(
            f"{directory} holds neither model.safetensors nor pytorch_model.bin", remedies=["ckpt2hf convert"]
        )
    told.phase("read", 0)
    plan = make_plan(_completed(request, directory / REPORT))
    prove_left_out(plan)
    if level is Level.LOGITS:
        warm_up()
    verdict = verify(directory, plan, formats, level, threads=threads, progress=told.phase, advance=told.advance)
    return verdict_report(verdict)


def _completed(request: Request, report: Path) -> Request:
    """The request with the options of the conversion, where the user says nothing else. Raises UsageError."""
    if not report.exists():
        return request
    try:
        options: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["options"]
        said = {pair.partition("=")[0] for pair in request.facts}
        facts = tuple(f"{name}={value}" for name, value in options["set"].items() if name not in said)
        dtype = DType.from_torch(options["dtype"]) if options["dtype"] else None
        return replace(
            request,
            dialect=request.dialect or options["dialect"],
            facts=(*request.facts, *facts),
            weights_key=request.weights_key or options["weights_key"],
            dtype=request.dtype or dtype,
            allow=request.allow or units.allowed(options.get("allow", [])),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{report} is not a report of ckpt2hf",
            details=[f"{type(error).__name__}: {error}"],
            remedies=["give --dialect and --set, and move the file away"],
        ) from error
