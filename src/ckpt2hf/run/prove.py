"""Proving an existing directory again, against the checkpoint it was made from; or looking at what it shows alone."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects import read_file
from ckpt2hf.errors import Ckpt2hfError, NotFoundError, UsageError
from ckpt2hf.output import WeightFormat
from ckpt2hf.remote import path_or_url
from ckpt2hf.report import read_report, verdict_report
from ckpt2hf.run import units
from ckpt2hf.run.convert import REPORT
from ckpt2hf.run.proof import proof
from ckpt2hf.run.request import Silence
from ckpt2hf.run.understand import plan as make_plan
from ckpt2hf.run.understand import settled
from ckpt2hf.sources import watched
from ckpt2hf.tensors import DType, Meta
from ckpt2hf.tokenizers import NONE, AskedTokenizer, Policy
from ckpt2hf.verify import (
    ALONE,
    Level,
    Summed,
    Verdict,
    check_alone,
    prove_left_out,
    require,
    require_interpreter,
    warm_up,
)

if TYPE_CHECKING:
    from ckpt2hf.report import VerdictReport
    from ckpt2hf.run.request import Progress, Request


def prove(
    directory: Path,
    request: Request,
    level: Level,
    *,
    threads: int,
    python_5x: Path | None = None,
    progress: Progress | None = None,
) -> VerdictReport:
    """The verdict on a directory, whoever wrote it. What the request leaves open is taken from its conversion.json.

    Where there are sums, the files are compared with them meanwhile.
    """
    told = progress or Silence()
    require(level)
    formats = _formats(directory)
    told.phase("read", 0)
    report = directory / REPORT
    request = settled(_completed(request, report))
    plan = make_plan(request, told, with_sample=not report.exists())
    prove_left_out(plan)
    if level is Level.LOGITS:
        require_interpreter(plan.target, python_5x)
        warm_up()
    with watched(directory, threads) as files:
        sums = Summed(directory, files)
        found = proof(directory, plan, request, formats, level, threads=threads, python=python_5x, progress=told)
        return verdict_report(_with_sums(sums, found.verdict))


def look(directory: Path, *, threads: int, progress: Progress | None = None) -> VerdictReport:
    """The verdict on a directory by itself: whether it is as its sums and its report say, not where it came from."""
    told = progress or Silence()
    formats = _formats(directory)
    told.phase("read", 0)
    path = directory / REPORT
    report = read_report(path) if path.exists() else None
    hf_class = report.target if report else None
    metas = {each.name: Meta(each.shape, DType.from_torch(each.dtype)) for each in report.tensors} if report else None
    with watched(directory, threads) as files:
        sums = Summed(directory, files)
        checks = check_alone(directory, formats, hf_class, metas)
        return verdict_report(_with_sums(sums, Verdict(ALONE, checks)))


def _formats(directory: Path) -> tuple[WeightFormat, ...]:
    """The kinds of weight file that are there. Raises NotFoundError, UsageError."""
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
    return formats


def _with_sums(sums: Summed, verdict: Verdict) -> Verdict:
    check = sums.check()
    return verdict if check is None else replace(verdict, checks=(check, *verdict.checks))


def _completed(request: Request, path: Path) -> Request:
    """The request with the options of the conversion, where the user says nothing else. Raises UsageError."""
    if not path.exists():
        return request
    options = read_report(path).options
    try:
        said = {pair.partition("=")[0] for pair in request.facts}
        facts = tuple(f"{name}={value}" for name, value in options["set"].items() if name not in said)
        dtype = DType.from_torch(options["dtype"]) if options["dtype"] else None
        digest = options.get("dialect_sha256")
        if digest and not request.dialect:
            _require_unchanged(path_or_url(options["dialect"]), digest)
        return replace(
            request,
            dialect=request.dialect or (path_or_url(options["dialect"]) if digest else options["dialect"]),
            facts=(*request.facts, *facts),
            weights_key=request.weights_key or options["weights_key"],
            dtype=request.dtype or dtype,
            allow=request.allow or units.allowed(options.get("allow", [])),
            tokenizer=request.tokenizer.over(_asked_tokenizer(options.get("tokenizer"))),
        )
    except Ckpt2hfError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is not a report of ckpt2hf: its options make no sense",
            details=[f"{type(error).__name__}: {error}"],
            remedies=["give --dialect and --set, and move the file away"],
        ) from error


def _asked_tokenizer(options: dict[str, Any] | None) -> AskedTokenizer:
    """What the conversion was told about the tokenizer; it had none where it says nothing."""
    if options is None:
        return AskedTokenizer(path=Path(NONE))
    return AskedTokenizer(
        path=path_or_url(options["path"]),
        tokens=options["tokens"],
        pattern=options["pattern"],
        special_tokens=options["special_tokens"],
        policy=Policy(options["policy"]),
    )


def _require_unchanged(path: Path, digest: str) -> None:
    """Refuse to prove with another dialect file than the one of the conversion. Raises NotFoundError, UsageError."""
    told = f"the conversion was made with sha256 {digest}"
    try:
        found = read_file(path)
    except NotFoundError as error:
        remedies = ["--dialect FILE   (wherever that file is now)"]
        raise NotFoundError(error.what, details=[*error.details, told], where=error.where, remedies=remedies) from error
    if found.sha256 != digest:
        raise UsageError(
            f"the dialect file {path} is not the one of the conversion",
            details=[told, f"the file now has sha256 {found.sha256}"],
            where=str(path),
            remedies=[f"--dialect {shlex.quote(str(path))}   (as it is now)", "put the former file in its place"],
        )
