"""`--reference model.py:Class`: the user's own code decides what the file does not say, by its logits."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.dialects import Candidate, Fact, Origin, candidates, detect, flag
from ckpt2hf.dialects.resolve import USUAL, resolve
from ckpt2hf.errors import FactsError
from ckpt2hf.ir import parse_field, plain
from ckpt2hf.naming import assign, to_slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.verify.decide import decide
from ckpt2hf.verify.oracle import run_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    readings = {f"{k}": reading for k, reading in enumerate(_readings(checkpoint, found, said))}
    if not readings or len(readings) > _MOST:
        raise FactsError(
            f"there are {len(readings)} ways to read this checkpoint, too many or too few to try",
            where=str(checkpoint.path),
            remedies=["--set heads=N   leaves fewer"],
        )
    specs = {key: reading.resolution.spec for key, reading in readings.items()}
    tokens = _tokens(next(iter(specs.values())))
    logits = run_reference(target, args, checkpoint.tensors, tokens)
    models = {}
    for key, reading in readings.items():
        metas = {name: ref.meta for name, ref in checkpoint.tensors.items()}
        assignment = assign(reading.fit.layout.naming, specs[key], metas)
        refs = {**checkpoint.tensors, **{k: checkpoint.tensors[v] for k, v in assignment.stand_ins.items()}}
        names = [name for made in assignment.links for name in made.names]
        models[key] = (specs[key], to_slots(assignment.links, {name: Mosaic.of(refs[name]) for name in names}))
    decision = decide(models, logits, tokens)
    if decision.winner is not None:
        return readings[decision.winner]
    nearest = sorted(readings, key=lambda key: decision.fits[key].max_abs)[:3]
    what = (
        "more than one reading computes what your code computes"
        if decision.fitting
        else ("your code computes none of the functions these weights could be")
    )
    raise FactsError(
        what,
        details=[f"{decision.fits[key].max_abs:9.2e} off   {_describe(readings[key])}" for key in nearest],
        where=f"{checkpoint.path} against {target}",
        remedies=["check that the class and --reference-args are those of the training run"],
    )


def _tokens(spec: ModelSpec) -> Array:
    """Token ids `[2, time]` over the whole vocabulary."""
    drawn: Array = np.random.default_rng(0).integers(0, spec.vocab, (2, min(spec.context, _TIME)))
    return drawn


def _readings(checkpoint: Checkpoint, found: Sequence[Candidate], said: Said) -> Iterator[Candidate]:
    """Every way to answer what the file leaves open, each as a complete candidate; equal functions once."""
    seen: set[ModelSpec] = set()
    for each in found:
        layout = each.fit.layout
        blank = resolve(layout, checkpoint, said.facts, asserted=False)
        free = {q.field: list(q.choices) for q in blank.questions}
        hidden = (name for name in layout.hidden if name not in free and _open(name, blank.facts))
        free |= {name: [str(plain(choice)) for choice in USUAL[name]] for name in hidden}
        if "heads" in free:
            width = blank.facts["d_model"].value
            free["heads"] = [str(n) for n in range(1, width + 1) if width % n == 0]
        if _open("norm_eps", blank.facts):
            free["norm_eps"] = [str(eps) for eps in USUAL["norm_eps"]]
        for answers in product(*free.values()):
            facts = {
                name: Fact(name, parse_field(name, answer), Origin.REFERENCE, "your code")
                for name, answer in zip(free, answers, strict=True)
            }
            resolution = resolve(layout, checkpoint, {**facts, **said.facts}, asserted=True)
            made = Candidate(each.fit, resolution, each.named)
            if made.complete and resolution.spec not in seen:
                seen.add(resolution.spec)
                yield made


def _open(name: str, facts: Mapping[str, Fact]) -> bool:
    """Whether only a dialect speaks for a field."""
    return name in facts and facts[name].origin.is_opinion


def _describe(reading: Candidate) -> str:
    asked = [f for f in reading.resolution.facts.values() if f.origin is Origin.REFERENCE]
    return " ".join(flag(f.field, f.value) for f in asked)
