"""Level `structure`: every planned tensor is there with its shape and type, nothing else is, the config says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import VerificationError
from ckpt2hf.naming import collapse
from ckpt2hf.verify.readback import read_json, read_weights
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.plan import Plan


def check_structure(directory: Path, plan: Plan, formats: Sequence[WeightFormat]) -> tuple[Check, ...]:
    """One check for the configuration and one for each kind of weight file."""
    return (*_configs(directory, plan), *(_weights(directory, plan, kind) for kind in formats))


def _configs(directory: Path, plan: Plan) -> Iterator[Check]:
    for file, wanted in (("config.json", plan.config), ("generation_config.json", plan.generation_config)):
        try:
            found = read_json(directory / file)
        except VerificationError as error:
            yield Check(file, passed=False, summary=error.what)
            continue
        wrong = [key for key, value in wanted.items() if key not in found or found[key] != value]
        said = f"{len(wanted)} settings as planned" if not wrong else f"not as planned: {', '.join(wrong)}"
        yield Check(file, passed=not wrong, summary=said, numbers={"settings": len(wanted)})


def _weights(directory: Path, plan: Plan, kind: WeightFormat) -> Check:
    name = f"{kind.value} structure"
    try:
        found = read_weights(directory, kind)
    except VerificationError as error:
        return Check(name, passed=False, summary=" ".join([error.what, *error.details]))
    wanted = plan.tensors
    problems = [f"{n} is missing" for n in collapse(n for n in wanted if n not in found)]
    problems += [f"{n} is not planned" for n in collapse(n for n in found if n not in wanted)]
    problems += [
        f"{n} is {found[n].meta}, planned {t.meta}" for n, t in wanted.items() if n in found and found[n].meta != t.meta
    ]
    said = "; ".join(problems[:5]) or f"{len(wanted)} tensors, names, shapes and types as planned"
    return Check(name, passed=not problems, summary=said, numbers={"tensors": len(found)})
