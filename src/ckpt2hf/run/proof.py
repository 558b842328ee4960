"""The whole proof of a written directory: its weights, and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.run.sample_files import MOST_TEXT, beginning, is_text
from ckpt2hf.tokenizers import Policy
from ckpt2hf.verify import Level, Verdict, check_tokenizer, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.plan import Plan
    from ckpt2hf.run.request import Progress, Request
    from ckpt2hf.verify import Check


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about a directory."""

    verdict: Verdict
    """On all that has to hold."""
    tokenizer: tuple[Check, ...]
    """On the tokenizer; part of the verdict, unless the user only wants to be warned."""


def proof(
    directory: Path,
    plan: Plan,
    request: Request,
    formats: Sequence[WeightFormat],
    level: Level,
    *,
    threads: int,
    python: Path | None,
    progress: Progress,
) -> Proof:
    """The proof at a level. A model that failed is not asked about its tokenizer: there is something else to mend."""
    verdict = verify(
        directory,
        plan,
        formats,
        level,
        threads=threads,
        python=python,
        progress=progress.phase,
        advance=progress.advance,
    )
    if not verdict.proved or plan.tokenizer is None:
        return Proof(verdict, ())
    progress.phase("verify tokenizer", 0)
    checks = check_tokenizer(directory, plan.tokenizer, _own_texts(request), transformers=level is Level.LOGITS)
    if policy(request) is Policy.FAIL:
        verdict = Verdict(verdict.level, (*verdict.checks, *checks))
    return Proof(verdict, checks)


def policy(request: Request) -> Policy:
    """What becomes of a model whose tokenizer could not be proved."""
    return request.tokenizer.policy or Policy.FAIL


def _own_texts(request: Request) -> dict[str, str]:
    """The user's own text, where a sample is one."""
    if request.sample is None or not is_text(request.sample):
        return {}
    return {request.sample.name: beginning(request.sample, MOST_TEXT)[0]}
