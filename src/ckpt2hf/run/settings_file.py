"""A `ckpt2hf.toml`: what it says about every checkpoint, about some of them, and about a batch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ckpt2hf.checkpoints import OWN_SETTINGS, own_settings, table
from ckpt2hf.checkpoints.directories import choose
from ckpt2hf.errors import Ckpt2hfError, UsageError
from ckpt2hf.run.patterns import Parts, Pattern, is_pattern, parts_of
from ckpt2hf.run.settings import Settings
from ckpt2hf.run.settings_words import KINDS, BatchTable, FileTable, misplaced, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class Entry:
    """A `[[checkpoint]]`."""

    number: int
    """Counted from 1."""
    pattern: Pattern
    name: str | None
    """The directory to make for it, below the batch's."""
    settings: Settings

    def __str__(self) -> str:
        """Such as `[[checkpoint]] 2, path = "a.pt"`."""
        return f'[[checkpoint]] {self.number}, path = "{self.pattern.text}"'


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One such file, valid."""

    path: Path
    settings: Settings
    """What it says at its top, about every checkpoint it speaks of."""
    entries: tuple[Entry, ...]
    batch: BatchTable | None
    exact: Mapping[Parts, tuple[Entry, ...]]
    """The entries by the path they spell out."""

    @property
    def is_manifest(self) -> bool:
        """Whether it speaks of more than the checkpoints beside it."""
        return self.batch is not None or bool(self.entries)

    def matching(self, paths: Iterable[Parts]) -> list[Entry]:
        """The entries that mean any of these files, in the order of the file."""
        every = tuple(paths)
        ways = {path[:k] for path in every for k in range(1, len(path) + 1)}
        found = {entry.number: entry for way in ways for entry in self.exact.get(way, ())}
        for entry in self.entries:
            if is_pattern(entry.pattern.text) and any(entry.pattern.matches(path) for path in every):
                found[entry.number] = entry
        return [found[number] for number in sorted(found)]


def together(entries: Iterable[Entry]) -> Settings:
    """What several entries say: of each word and each fact the last."""
    return reduce(lambda before, entry: entry.settings.over(before), entries, Settings())


def read_settings(path: Path) -> SettingsFile:
    """The settings in a file. Raises UsageError with everything that is wrong, NotFoundError."""
    return _valid(path, table(path, UsageError))


def settings_of(folder: Path) -> SettingsFile | None:
    """The `ckpt2hf.toml` of a folder; None if there is none. Raises UsageError, NotFoundError."""
    found = own_settings(folder)
    return None if found is None else _valid(folder / OWN_SETTINGS, found)


def beside(source: Path, weights_key: str | None = None) -> Settings:
    """What the `ckpt2hf.toml` beside a checkpoint says about it. Raises UsageError, NotFoundError."""
    try:
        folder = source if source.is_dir() else source.parent
    except (OSError, ValueError):  # no path at all: opening it says so
        return Settings()
    found = settings_of(folder)
    if found is None or not found.entries:
        return Settings() if found is None else found.settings
    paths = [parts_of(source)]
    if folder == source:
        with suppress(Ckpt2hfError):  # opening it says what is wrong
            paths.append(parts_of(choose(folder, weights_key).file))
    return together(found.matching(paths)).over(found.settings)


def _valid(path: Path, content: Mapping[str, Any]) -> SettingsFile:
    try:
        parsed = FileTable.model_validate(content)
    except ValidationError as error:
        raise _refused(path, content, error) from error
    entries = tuple(
        Entry(number, Pattern.of(each.path, path.parent), each.name, each.settings.placed(path.parent))
        for number, each in enumerate(parsed.checkpoint, 1)
    )
    exact: dict[Parts, tuple[Entry, ...]] = {}
    for entry in entries:
        exact[entry.pattern.exact] = (*exact.get(entry.pattern.exact, ()), entry)
    return SettingsFile(path, parsed.settings.placed(path.parent), entries, parsed.batch, exact)


def _refused(path: Path, content: Mapping[str, Any], error: ValidationError) -> UsageError:
    problems = [line for each in error.errors() for line in _problem(each, content)]
    unknown = any(each["type"] == "extra_forbidden" for each in error.errors())
    return UsageError(
        f"{path.name}: {problems[0]}" if len(problems) == 1 else f"{len(problems)} problems are in {path.name}",
        details=problems if len(problems) > 1 else (),
        where=str(path),
        remedies=[f"known words: {line}" for line in _vocabulary()] if unknown else [],
    )


def _problem(each: ErrorDetails, content: Mapping[str, Any]) -> Iterator[str]:
    """What pydantic found, in words: the place, then what is wrong."""
    *heading, word = each["loc"]
    place = ""
    if heading[:1] == ["checkpoint"] and len(heading) > 1:
        number = int(heading[1])
        told = content["checkpoint"][number]
        path = told.get("path") if isinstance(told, dict) else None
        place = f"[[checkpoint]] {number + 1}" + (f" ({path})" if isinstance(path, str) else "") + ": "
    elif heading:
        place = f"[{heading[0]}]: "
    kind = each["type"]
    if kind == "extra_forbidden":
        table_of = KINDS[str(heading[0]) if heading else ""]
        yield f"{place}there is no word {word}{misplaced(str(word), table_of)}"
    elif kind == "missing":
        yield f'{place}{word} is missing, such as path = "runs/*.pt"'
    elif kind == "value_error":
        for line in str(each["ctx"]["error"]).splitlines():
            yield f"{place}{word}: {line}"
    else:
        example = {"batch": "[batch]", "checkpoint": "[[checkpoint]]"}.get(str(each["loc"][0]), "a table")
        yield f"{each['loc'][0]} must be written as {example}, with its words below"


def _vocabulary() -> Iterator[str]:
    top = [word for word in words_of(FileTable) if word not in ("batch", "checkpoint")]
    yield f"at the top {' '.join(top)}"
    yield f"below [batch] {' '.join(words_of(BatchTable))}"
    yield "below [[checkpoint]] path name and those of the top"
