"""What the schema finds wrong, in our words and with the path in the file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from ckpt2hf.dialects.problem import Problem, ProblemsError
from ckpt2hf.naming import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

    from ckpt2hf.dialects.toml_lines import Path

_LONGEST = 60
"""Characters of a value that are shown."""
_TAKES = {
    "string_type": "text in quotes",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "greater_than_equal": "a whole number from 0 on",
    "tuple_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "too_long": "fewer items",
    "too_short": "at least one item",
}
"""What is accepted, by the beginning of pydantic's name of the error."""


def schema_problems(kind: type[BaseModel], tree: object) -> list[Problem]:
    """What a table of this kind may not hold; empty for a valid one."""
    try:
        kind.model_validate(tree)
    except ValidationError as error:
        found = (problem for each in error.errors() for problem in _problems(each, kind, tree))
        return _together(found)
    return []


def as_written(problem: Problem, tree: object) -> Problem:
    """The same, without the positions that a single value has only because it stands for a list of one."""
    there, rest = _divided(problem.path, tree)
    return Problem((*there, *rest), problem.what)


def shown(value: object) -> str:
    """A value as TOML writes it, not longer than part of a line."""
    try:
        text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, arrays in arrays without end
        return "that"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _problems(each: ErrorDetails, kind: type[BaseModel], tree: object) -> Iterator[Problem]:
    path, rest = _divided(each["loc"], tree)
    error = each.get("ctx", {}).get("error")
    if isinstance(error, ProblemsError):
        yield from (problem.below(*path) for problem in error.problems)
    elif each["type"] == "extra_forbidden":
        known = _words(kind, path[:-1])
        yield Problem(path, f"there is no word {path[-1]}{near(str(path[-1]), known)}")
    elif each["type"] == "missing":
        yield Problem(path, "takes one item more" if isinstance(rest[0], int) else f"{rest[0]} is missing")
    elif each["type"] == "value_error":
        yield Problem(path, str(error))
    elif each["type"] == "too_short" and each["input"]:
        pass  # its items are wrong, which is told
    elif each["type"] == "enum":
        yield Problem(path, f"takes {each['ctx']['expected']}, not {shown(each['input'])}")
    else:
        accepted = next((words for name, words in _TAKES.items() if each["type"].startswith(name)), "")
        taken = f"takes {accepted}, not {shown(each['input'])}"
        yield Problem(path, taken if accepted else f"{each['msg']}: {shown(each['input'])}")


def _divided(path: Path, tree: object) -> tuple[Path, Path]:
    """The part of a path that is really in the file, and the rest."""
    there: Path = ()
    for k, part in enumerate(path):
        inner = _part(tree, part)
        if inner is not None:
            tree = inner
            there = (*there, part)
        elif part != 0:  # a single value stands for a list of one
            return there, path[k:]
    return there, ()


def _part(tree: object, part: str | int) -> object:
    """What stands there; None if nothing does, which TOML has no word for."""
    if isinstance(tree, dict):
        return tree.get(part)
    return tree[part] if isinstance(tree, list) and isinstance(part, int) and part < len(tree) else None


def _together(found: Iterator[Problem]) -> list[Problem]:
    """Each problem once; what several kinds of values refuse at one place is one problem."""
    by_path: dict[Path, list[str]] = {}
    for problem in found:
        told = by_path.setdefault(problem.path, [])
        if problem.what not in told:
            told.append(problem.what)
    made = []
    for path, told in by_path.items():
        takes = [what for what in told if what.startswith("takes ") and ", not " in what]
        words = dict.fromkeys(what.removeprefix("takes ").partition(", not ")[0] for what in takes)
        one = [f"takes {' or '.join(words)}, not {takes[0].partition(', not ')[2]}"] if len(takes) > 1 else told
        made += [Problem(path, what) for what in one]
    return made


def _words(kind: type[BaseModel], path: Path) -> list[str]:
    """The words that the table at a path may hold."""
    table: Any = kind
    for part in path:
        if isinstance(part, str) and (fields := _fields(table)) and part in fields:
            table = _model_in(fields[part])
    return list(_fields(table))


def _fields(table: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever stands in an annotation
    if not (isinstance(table, type) and issubclass(table, BaseModel)):
        return {}
    return {each.alias or name: each.annotation for name, each in table.model_fields.items()}


def _model_in(annotation: Any) -> Any:  # noqa: ANN401 - whatever stands in an annotation
    """The table that an annotation is about, whatever is around it; None if there is none."""
    if isinstance(annotation, type):
        with suppress(TypeError):
            if issubclass(annotation, BaseModel):
                return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
