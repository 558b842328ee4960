"""What a directory shows by itself, without the checkpoint: it can be read, and it is what its report says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import VerificationError
from ckpt2hf.naming import collapse
from ckpt2hf.verify.readback import read_json, read_weights
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.tensors import Meta

ALONE = "directory"
"""The level of such a verdict: below all others, because nothing is compared with the source."""


def check_alone(
    directory: Path, formats: Sequence[WeightFormat], hf_class: str | None, metas: Mapping[str, Meta] | None
) -> tuple[Check, ...]:
    """Checks of `config.json` and of each kind of weight file, whose tensors should be those of `metas`.

    Without a report, class and tensors are not known: then the kinds of file are compared with each other.
    """
    checks = [_config(directory, hf_class)]
    wanted, by = metas, "as in the report"
    for kind in formats:
        check, found = _weights(directory, kind, wanted, by)
        checks.append(check)
        if wanted is None and found is not None:
            wanted, by = found, f"as in the {kind.value} file"
    return tuple(checks)


def _config(directory: Path, hf_class: str | None) -> Check:
    name = "config.json"
    try:
        found = read_json(directory / name)
    except VerificationError as error:
        return Check(name, passed=False, summary=" ".join([error.what, *error.details]))
    named = found.get("architectures") if isinstance(found, dict) else None
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named) or not named:
        return Check(name, passed=False, summary="it names no class")
    if hf_class is not None and named != [hf_class]:
        return Check(name, passed=False, summary=f"it is for {', '.join(named)}, the report says {hf_class}")
    return Check(name, passed=True, summary=f"it is for {', '.join(named)}")


def _weights(
    directory: Path, kind: WeightFormat, wanted: Mapping[str, Meta] | None, by: str
) -> tuple[Check, Mapping[str, Meta] | None]:
    name = f"{kind.value} structure"
    try:
        found = {name: tensor.meta for name, tensor in read_weights(directory, kind).items()}
    except VerificationError as error:
        return Check(name, passed=False, summary=" ".join([error.what, *error.details])), None
    numbers = {"tensors": len(found)}
    if wanted is None:
        return Check(name, passed=True, summary=f"{len(found)} tensors can be read", numbers=numbers), found
    problems = list(_problems(found, wanted))
    said = "; ".join(problems[:5]) or f"{len(wanted)} tensors, names, shapes and types {by}"
    return Check(name, passed=not problems, summary=said, numbers=numbers), found


def _problems(found: Mapping[str, Meta], wanted: Mapping[str, Meta]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in collapse(name for name in wanted if name not in found))
    yield from (f"{name} does not belong there" for name in collapse(name for name in found if name not in wanted))
    for name, meta in wanted.items():
        if name in found and found[name] != meta:
            yield f"{name} is {found[name]}, and should be {meta}"
