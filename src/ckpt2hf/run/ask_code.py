"""`--reference model.py:Class`: the user's own code decides what the file does not say, by its logits."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.dialects import Candidate, candidates, detect
from ckpt2hf.errors import FactsError
from ckpt2hf.run.readings import asked_of_code, distinct, without_answers
from ckpt2hf.verify.decide import decide
from ckpt2hf.verify.oracle import run_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Dialect, Said
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array

_TIME = 24
"""Positions the code is asked about: enough for every part of the model to matter, cheap enough to try all readings."""
_MOST = 2000
"""Readings tried at most; beyond it something is wrong with the question."""


def ask_code(checkpoint: Checkpoint, named: Dialect | None, said: Said, target: str, args: Sequence[str]) -> Candidate:
    """The reading of the checkpoint that computes what the user's code computes. Raises FactsError if none does."""
    found = candidates(checkpoint, named, said.facts)
    if not found:
        return detect(checkpoint, named, said.facts)  # says what is wrong
    spaces = [asked_of_code(checkpoint, each, said.facts) for each in found]
    if unanswerable := without_answers(checkpoint, spaces, "your code"):
        raise unanswerable
    total = sum(space.size for space in spaces)
    every = distinct(chain.from_iterable(space.everything() for space in spaces)) if total <= _MOST else []
    if not every:
        raise FactsError(
            f"there are {total} ways to read this checkpoint, too many or too few to try",
            where=str(checkpoint.path),
            remedies=["--set heads=N   leaves fewer"],
        )
    readings = {f"{k}": reading for k, reading in enumerate(every)}
    tokens = _tokens(every[0].spec)
    logits = run_reference(target, args, checkpoint.tensors, tokens)
    decision = decide({key: (each.spec, each.slots) for key, each in readings.items()}, logits, tokens)
    if decision.winner is not None:
        return readings[decision.winner].candidate
    nearest = sorted(readings, key=lambda key: decision.fits[key].max_abs)[:3]
    what = (
        "more than one reading computes what your code computes"
        if decision.fitting
        else ("your code computes none of the functions these weights could be")
    )
    raise FactsError(
        what,
        details=[f"{decision.fits[key].max_abs:9.2e} off   {readings[key]}" for key in nearest],
        where=f"{checkpoint.path} against {target}",
        remedies=["check that the class and --reference-args are those of the training run"],
    )


def _tokens(spec: ModelSpec) -> Array:
    """Token ids `[2, time]` over the whole vocabulary."""
    drawn: Array = np.random.default_rng(0).integers(0, spec.vocab, (2, min(spec.context, _TIME)))
    return drawn
