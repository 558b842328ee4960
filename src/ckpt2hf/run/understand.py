"""From a path to a plan: open, find out the dialect and the facts, plan. Nothing is written, torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects import Candidate, Fit, Said, candidates, detect, fits, merged, said_in_file, said_on_command_line
from ckpt2hf.errors import UsageError
from ckpt2hf.plan import Plan, PlanOptions, make_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.run.request import Request

_TOML_WORDS = frozenset({"dialect", "weights_key", "set"})


@dataclass(frozen=True, slots=True)
class Understanding:
    """A checkpoint, and every way in which it could be read."""

    checkpoint: Checkpoint
    fits: tuple[Fit, ...]
    candidates: tuple[Candidate, ...]


def inspect(request: Request) -> Understanding:
    """What is in the file and what is known about it, decided or not. Raises for unreadable files and bad flags."""
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    named, said = _settings(request, checkpoint)
    found = candidates(checkpoint, named, said.facts)
    return Understanding(checkpoint, tuple(fits(checkpoint, named)), tuple(found))


def plan(request: Request) -> Plan:
    """The plan for a request. Raises every reason why there is none."""
    checkpoint = open_checkpoint(request.source, weights_key=request.weights_key)
    named, said = _settings(request, checkpoint)
    if request.reference:
        from ckpt2hf.run.ask_code import ask_code  # noqa: PLC0415 - imports torch, only on this explicit request

        candidate = ask_code(checkpoint, named, said, request.reference, request.reference_args)
    else:
        candidate = detect(checkpoint, named, said.facts)
    side = _token_ids(checkpoint.side.get("config.json", {}))
    options = PlanOptions(dtype=request.dtype, token_ids={**side, **said.token_ids})
    return make_plan(checkpoint, candidate, options)


def _settings(request: Request, checkpoint: Checkpoint) -> tuple[str | None, Said]:
    """The dialect's name and the user's facts: the command line first, then `ckpt2hf.toml` beside the checkpoint."""
    file = checkpoint.side.get("ckpt2hf.toml", {})
    unknown = sorted(set(file) - _TOML_WORDS)
    if unknown:
        raise UsageError(
            f"ckpt2hf.toml does not know {', '.join(unknown)}",
            where=str(checkpoint.path.parent),
            remedies=[f"known words: {', '.join(sorted(_TOML_WORDS))}"],
        )
    named = request.dialect or file.get("dialect")
    if named is not None and not isinstance(named, str):
        raise UsageError("`dialect` in ckpt2hf.toml must be text", remedies=['dialect = "nanogpt"'])
    return named, merged(said_on_command_line(request.facts), said_in_file(file))


def _token_ids(config: Mapping[str, object]) -> dict[str, int | None]:
    found = {name: config.get(name) for name in ("bos_token_id", "eos_token_id")}
    return {name: value for name, value in found.items() if type(value) is int}
