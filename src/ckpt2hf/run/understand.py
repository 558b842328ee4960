"""From a path to a plan: open, find out the dialect and the facts, plan. Nothing is written, torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects import Candidate, Fit, Said, candidates, detect, fits, merged, said_in_file, said_on_command_line
from ckpt2hf.plan import Plan, PlanOptions, make_plan
from ckpt2hf.run.settings_file import beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.run.request import Request


@dataclass(frozen=True, slots=True)
class Understanding:
    """A checkpoint, and every way in which it could be read."""

    checkpoint: Checkpoint
    fits: tuple[Fit, ...]
    candidates: tuple[Candidate, ...]


def inspect(request: Request) -> Understanding:
    """What is in the file and what is known about it, decided or not. Raises for unreadable files and bad flags."""
    request, said = _settings(request)
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    found = candidates(checkpoint, request.dialect, said.facts)
    return Understanding(checkpoint, tuple(fits(checkpoint, request.dialect)), tuple(found))


def plan(request: Request) -> Plan:
    """The plan for a request. Raises every reason why there is none."""
    request, said = _settings(request)
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    if request.reference:
        from ckpt2hf.run.ask_code import ask_code  # noqa: PLC0415 - imports torch, only on this explicit request

        candidate = ask_code(checkpoint, request.dialect, said, request.reference, request.reference_args)
    else:
        candidate = detect(checkpoint, request.dialect, said.facts)
    side = _token_ids(checkpoint.side.get("config.json", {}))
    options = PlanOptions(dtype=request.dtype, token_ids={**side, **said.token_ids}, allow=request.allow)
    return make_plan(checkpoint, candidate, options)


def settled(request: Request) -> Request:
    """The request with what `ckpt2hf.toml` beside the checkpoint says, facts apart: those keep their origin."""
    file = beside(request.source, request.weights_key)
    return replace(
        request,
        dialect=request.dialect or file.dialect,
        weights_key=request.weights_key or file.weights_key,
        dtype=request.dtype or file.dtype,
        allow=request.allow or file.allow or (),
    )


def _settings(request: Request) -> tuple[Request, Said]:
    """The request and the user's facts: the command line first, then the file beside the checkpoint."""
    file = beside(request.source, request.weights_key)
    said = merged(said_on_command_line(request.facts), said_in_file({"set": file.facts}))
    return settled(request), said


def _token_ids(config: Mapping[str, object]) -> dict[str, int | None]:
    found = {name: config.get(name) for name in ("bos_token_id", "eos_token_id")}
    return {name: value for name, value in found.items() if type(value) is int}
