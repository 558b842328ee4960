"""From a path to a plan: open, find out the dialect and the facts, plan. Nothing is written.

torch is imported only where the user's own code, or a sample of text, is to decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects import (
    TOKEN_IDS,
    Candidate,
    Fit,
    Said,
    candidates,
    detect,
    fits,
    merged,
    said_in_file,
    said_on_command_line,
)
from ckpt2hf.errors import UsageError
from ckpt2hf.plan import Plan, PlanOptions, make_plan
from ckpt2hf.run.dialect_file import named
from ckpt2hf.run.request import Silence
from ckpt2hf.run.settings_file import beside
from ckpt2hf.tokenizers import tokenizer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Dialect
    from ckpt2hf.run.ask_sample import Judgement
    from ckpt2hf.run.request import Progress, Request


@dataclass(frozen=True, slots=True)
class Understanding:
    """A checkpoint, and every way in which it could be read."""

    checkpoint: Checkpoint
    fits: tuple[Fit, ...]
    candidates: tuple[Candidate, ...]
    judgement: Judgement | None = None
    """What a sample of text says, where one was given."""


def inspect(request: Request, progress: Progress | None = None) -> Understanding:
    """What is in the file and what is known about it, decided or not. Raises for unreadable files and bad flags."""
    request, said = _settings(request)
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    with named(request.dialect) as dialect:
        found = candidates(checkpoint, dialect, said.facts)
        asked = _asked_sample(checkpoint, request, (dialect, said), progress) if request.sample and found else None
        return Understanding(checkpoint, tuple(fits(checkpoint, dialect)), tuple(found), asked)


def plan(request: Request, progress: Progress | None = None, *, with_sample: bool = True) -> Plan:
    """The plan for a request. Raises every reason why there is none."""
    request, said = _settings(request)
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    side = _token_ids(checkpoint.settings("config.json")[1])
    options = PlanOptions(
        dtype=request.dtype,
        token_ids={**side, **said.token_ids},
        allow=request.allow,
        tokenizer=tokenizer_of(checkpoint.path, request.tokenizer),
        tokens=request.tokenizer.roles,
    )
    with named(request.dialect) as dialect:
        if request.reference:
            from ckpt2hf.run.ask_code import ask_code  # noqa: PLC0415 - imports torch, only on this explicit request

            candidate = ask_code(checkpoint, dialect, said, request.reference, request.reference_args)
        elif request.sample and with_sample:
            candidate = _asked_sample(checkpoint, request, (dialect, said), progress).require()
        else:
            candidate = detect(checkpoint, dialect, said.facts)
        return make_plan(checkpoint, candidate, options)


def settled(request: Request) -> Request:
    """The request with what `ckpt2hf.toml` beside the checkpoint says, facts apart: those keep their origin."""
    file = beside(request.source, request.weights_key)
    return replace(
        request,
        dialect=request.dialect or file.dialect,
        weights_key=request.weights_key or file.weights_key,
        dtype=request.dtype or file.dtype,
        sample=request.sample or (None if request.reference else file.sample),
        sample_dtype=request.sample_dtype or file.sample_dtype,
        allow=request.allow or file.allow or (),
        tokenizer=request.tokenizer.over(file.tokenizer),
    )


def _asked_sample(
    checkpoint: Checkpoint, request: Request, known: tuple[Dialect | None, Said], progress: Progress | None
) -> Judgement:
    """What the sample says. Raises UsageError, NotFoundError."""
    if request.reference:
        raise UsageError("--reference and --sample both decide", remedies=["one of them"])
    if find_spec("torch") is None:
        raise UsageError("--sample needs torch", remedies=["pip install 'ckpt2hf[verify]'"])
    from ckpt2hf.run.ask_sample import Asked, ask_sample  # noqa: PLC0415 - imports torch, only on this explicit request
    from ckpt2hf.run.sample_windows import Sample  # noqa: PLC0415 - the same

    told = progress or Silence()
    assert request.sample is not None  # noqa: S101 - who calls this has looked
    sample = Sample(request.sample, request.tokenizer, request.sample_dtype)
    asked = Asked(checkpoint, *known)
    return ask_sample(asked, sample, lambda what: told.phase(f"sample: {what}", 0))


def _settings(request: Request) -> tuple[Request, Said]:
    """The request and the user's facts: the command line first, then the file beside the checkpoint."""
    file = beside(request.source, request.weights_key)
    said = merged(said_on_command_line(request.facts), said_in_file({"set": file.facts}))
    return settled(request), said


def _token_ids(config: Mapping[str, object]) -> dict[str, int | None]:
    found = {name: config.get(name) for name in TOKEN_IDS}
    return {name: value for name, value in found.items() if type(value) is int}
