"""`conversion.json` read back: exactly the tree that was written, or an error."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.ir import FIELDS, parse_field, plain
from ckpt2hf.report.report import SCHEMA, Report
from ckpt2hf.report.stages import KINDS
from ckpt2hf.stages import BY_ID
from ckpt2hf.tensors import DType
from ckpt2hf.verify import Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSED: dict[str, Any] = {"created": "", "seconds": {}, "peak_memory_bytes": 0}
"""What stands for the fields that are not in the file."""
_SHOWN = 5


def read_report(path: Path) -> Report:
    """The report in a file. Raises NotFoundError, and UsageError for one of another schema or with other fields."""
    try:
        tree = json.loads(path.read_bytes())
    except OSError as error:
        raise NotFoundError(f"cannot read {path.name}", details=[str(error)], where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise _refused(path, None, [f"{type(error).__name__}: {error}"]) from error
    said = tree.get("schema") if isinstance(tree, dict) else None
    if said != SCHEMA:
        raise _refused(path, said, [])
    try:
        report: Report = _reader().validate_python({**tree, **_PASSED})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise _refused(path, said, problems) from error
    # Reading forgives a field that it does not know, and 1 for "1"; writing it again does not.
    if differing := list(_differences(tree, json.loads(json.dumps(report.lasting())))):
        raise _refused(path, said, [f"{place}: not as ckpt2hf writes it" for place in differing])
    if senseless := list(_senseless(report)):
        raise _refused(path, said, senseless)
    return report


def _senseless(report: Report) -> Iterator[str]:
    """Values of the right kind that no conversion gives, and that others count on."""
    levels = [level.value for level in Level]
    if report.verdict.level not in levels:
        yield f"verdict.level: {report.verdict.level!r} is none of {', '.join(levels)}"
    known = {dtype.torch_name for dtype in DType}
    for number, tensor in enumerate(report.tensors):
        if tensor.dtype not in known:
            yield f"tensors.{number}.dtype: there is no type {tensor.dtype!r}"
    yield from _strange_forms(report)
    if set(report.spec) != set(FIELDS):
        yield "spec: not the fields of this version"
        return
    for name, value in report.spec.items():
        try:
            if plain(parse_field(name, value)) != value:
                yield f"spec.{name}: not as ckpt2hf writes it"
        except ValueError as error:
            yield f"spec.{name}: {error}"


def _strange_forms(report: Report) -> Iterator[str]:
    """Forms of the model that no stage makes."""
    for number, form in enumerate(report.stages):
        if form.id not in BY_ID or not form.files or not BY_ID[form.id].is_path(form.files[0].name):
            yield f"stages.{number}: no form that this version makes"
        if form.tokens.kind not in KINDS:
            yield f"stages.{number}.tokens.kind: {form.tokens.kind!r} is none of {', '.join(KINDS)}"


@cache
def _reader() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def _differences(found: Any, known: Any, at: str = "") -> Iterator[str]:  # noqa: ANN401 - two trees of JSON values
    """The places where the trees are not the same."""
    if isinstance(found, dict) and isinstance(known, dict):
        for key in dict.fromkeys([*found, *known]):
            place = f"{at}.{key}" if at else key
            if key in found and key in known:
                yield from _differences(found[key], known[key], place)
            else:
                yield place
    elif isinstance(found, list) and isinstance(known, list) and len(found) == len(known):
        for k, (one, other) in enumerate(zip(found, known, strict=True)):
            yield from _differences(one, other, f"{at}.{k}")
    elif found != known:
        yield at


def _refused(path: Path, schema: object, problems: list[str]) -> UsageError:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    said = "no schema" if schema is None else f"schema {schema!r}"
    return UsageError(
        f"{path.name} is not a report of ckpt2hf that this version reads",
        details=[f"it has {said}, and this version reads schema {SCHEMA}", *problems[:_SHOWN], *more],
        where=str(path),
        remedies=["ckpt2hf convert   makes the directory again", "the version of ckpt2hf that wrote it"],
    )
