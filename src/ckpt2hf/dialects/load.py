"""Dialect files read and checked: the built-in ones beside this module, and a user's own."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ckpt2hf.dialects import families
from ckpt2hf.dialects.open_questions import without_questions
from ckpt2hf.dialects.own_file import SUFFIX, own_file, read_file
from ckpt2hf.dialects.problem import Problem
from ckpt2hf.dialects.schema import Dialect
from ckpt2hf.dialects.shared_facts import where_written, with_shared_facts
from ckpt2hf.dialects.soundness import layout_problems
from ckpt2hf.dialects.toml_lines import toml_lines, written
from ckpt2hf.dialects.wording import as_written, schema_problems
from ckpt2hf.errors import BrokenPromiseError, UsageError
from ckpt2hf.naming import near

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from ckpt2hf.dialects.own_file import DialectFile
    from ckpt2hf.dialects.schema import Layout
    from ckpt2hf.naming import UnsoundRuleError

_FOLDER = resources.files("ckpt2hf.dialects")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SHOWN = 200
"""Problems that are told; whoever has more has them from one mistake."""


@cache
def dialects() -> tuple[Dialect, ...]:
    """Every built-in dialect, by id."""
    entries = (entry for entry in _FOLDER.iterdir() if entry.name.endswith(SUFFIX) and entry.name != families.FILE)
    return tuple(_built_in(name) for name in sorted(entry.name for entry in entries))


def dialect(named: str | Path, targets: Collection[str] = ()) -> Dialect:
    """The built-in dialect of that id, or the one in the user's own file.

    Raises UsageError that lists the known ones, or everything that is wrong with the file; NotFoundError. `targets` are
    the ones a file may name; without them it may name any.
    """
    if (path := own_file(named)) is not None:
        return _own(path, targets)
    file = f"{named}{SUFFIX}"
    if file != families.FILE and (_FOLDER / file).is_file():
        return _built_in(file)  # the others are left unread: that takes longer than the rest of the start
    raise UsageError(
        f"there is no dialect {named!r}{near(str(named), [known.id for known in dialects()])}",
        details=[f"{known.id:18} {known.title}" for known in dialects()],
        remedies=["ckpt2hf dialects", f"--dialect ./{named}.toml   (a file of your own)"],
    )


def dialect_text(known: Dialect) -> str:
    """The TOML file of a dialect, as written."""
    return known.file.text if known.file else (_FOLDER / f"{known.id}{SUFFIX}").read_text(encoding="utf-8")


def blamed(known: Dialect, error: UnsoundRuleError) -> UsageError | None:
    """The error about a rule as one about the user's own file; None if the rule is not from there."""
    if known.file is None:
        return None
    for n, layout in enumerate(known.layout):
        for path, rule in layout.placed_rules():
            if rule == error.rule:
                return _refused(known.file, [Problem(path, error.what).below("layout", n)])
    return None


def stated_at(known: Dialect, layout: Layout, fact: str) -> str | None:
    """Where the user's own file says where a fact of a layout comes from; None for a built-in dialect."""
    if known.file is None:
        return None
    line = toml_lines(known.file.text).nearest(("layout", known.layout.index(layout), "facts", fact))
    return f"{known.file.path.name}:{line}"


def _own(path: Path, targets: Collection[str]) -> Dialect:
    file = read_file(path)
    try:
        tree = _tree(file)
        problems, questions = without_questions(_problems(tree, targets), tree)
        if questions and not problems:
            raise _unfinished(file, questions)
        if problems:
            raise _refused(file, [*problems, *questions])
        return Dialect.model_validate(with_shared_facts(tree)).read_from(file)
    except RecursionError as error:
        raise UsageError(f"{path.name} is nested too deeply", where=str(path)) from error


def _tree(file: DialectFile) -> dict[str, Any]:
    """The file as TOML. Raises UsageError with line and column."""
    try:
        return tomllib.loads(file.text)
    except ValueError as error:  # TOMLDecodeError is one, and a number of thousands of digits is another
        at = _PLACE.search(str(error))
        what = str(error)[: at.start()] if at else str(error)
        line, column = (at[1], at[2]) if at and at[1] else (str(file.text.count("\n") + 1), "1")
        told = f"{file.path.name}:{line}:{column}: {what}"
        raise UsageError(f"{file.path.name} is not TOML", details=[told], where=str(file.path)) from error


def _problems(tree: dict[str, Any], targets: Collection[str]) -> list[Problem]:
    """Everything that is wrong with a dialect, each thing once."""
    whole = with_shared_facts(tree)
    found = schema_problems(Dialect, whole)
    target, layouts = whole.get("target"), whole.get("layout")
    if isinstance(target, str) and targets and target not in targets:
        found.append(Problem(("target",), f"there is no target {target}{near(target, targets)}"))
    if layouts == []:
        found.append(Problem(("layout",), "a dialect has at least one [[layout]]"))
    for n, layout in enumerate(layouts if isinstance(layouts, list) else [layouts]):
        if isinstance(layout, dict):
            place = ("layout", n) if isinstance(layouts, list) else ("layout",)
            found += (as_written(problem.below(*place), whole) for problem in layout_problems(layout))
    return list(dict.fromkeys(Problem(where_written(each.path, tree), each.what) for each in found))


def _refused(file: DialectFile, problems: Sequence[Problem]) -> UsageError:
    """Every problem with its line, in the order of the file."""
    return UsageError(
        f"{file.path.name} is no valid dialect: {len(problems)} problem{'s' if len(problems) > 1 else ''}",
        details=_told(file, problems),
        where=str(file.path),
        remedies=["ckpt2hf dialects show nanogpt   (a file that is valid)"],
    )


def _unfinished(file: DialectFile, questions: Sequence[Problem]) -> UsageError:
    """A draft, sound as far as it goes: every open question with its line."""
    return UsageError(
        f"{file.path.name} is a draft with {len(questions)} open question{'s' if len(questions) > 1 else ''}",
        details=_told(file, questions),
        where=str(file.path),
        remedies=["answer them in the file; docs/add-a-dialect.md shows how"],
    )


def _told(file: DialectFile, problems: Sequence[Problem]) -> list[str]:
    """Problems with their lines, in the order of the file."""
    lines = toml_lines(file.text)
    told = sorted((lines.nearest(problem.path), written(problem.path), problem.what) for problem in problems)
    details = [f"{file.path.name}:{line}: {path}{': ' if path else ''}{what}" for line, path, what in told]
    more = len(details) - _SHOWN
    return [*details[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


@cache
def _built_in(file: str) -> Dialect:
    tree = tomllib.loads((_FOLDER / file).read_text(encoding="utf-8"))
    try:
        parsed = Dialect.model_validate(with_shared_facts(tree))
    except ValidationError as error:
        raise BrokenPromiseError(f"the built-in dialect file {file} is wrong", details=[str(error)]) from error
    if file != f"{parsed.id}{SUFFIX}":
        raise BrokenPromiseError(f"{file} holds the dialect {parsed.id}")
    return parsed
