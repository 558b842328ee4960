"""From what a user types after `ckpt2hf batch` to searches: directories, patterns, files and manifests."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.batch.discovery import Search
from ckpt2hf.batch.listing import Kind, listing, status
from ckpt2hf.errors import Ckpt2hfError, NotFoundError, UsageError
from ckpt2hf.remote import joined
from ckpt2hf.run.patterns import Parts, Pattern, is_pattern, parts_of, split
from ckpt2hf.run.settings_file import SettingsFile, read_settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HERE = Path()
_MANIFEST = ".toml"


@dataclass(frozen=True, slots=True)
class Input:
    """A search, and what the user gave that led to it."""

    text: str
    """As it was given."""
    search: Search
    manifest: SettingsFile | None
    """The manifest that asks for it."""
    anchor: Parts
    """The directory that names are relative to, if this is the only input."""


def read_inputs(texts: Sequence[str], exclude: Sequence[str]) -> list[Input]:
    """The searches that inputs stand for. Raises NotFoundError, UsageError with everything that is wrong with them."""
    if not texts:
        raise UsageError("nothing is given to convert", remedies=["ckpt2hf batch runs/ -o converted"])
    found: list[Input] = []
    files: dict[Path, list[str]] = {}
    problems: list[Ckpt2hfError] = []
    for text in texts:
        try:
            found += _of_text(text, exclude, files)
        except Ckpt2hfError as problem:
            problems.append(problem)
    found += _of_files(files, (exclude, _HERE), None)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise UsageError(
            f"{len(problems)} inputs cannot be used",
            details=[line for problem in problems for line in (problem.what, *(f"  {d}" for d in problem.details))],
            remedies=dict.fromkeys(remedy for problem in problems for remedy in problem.remedies),
        )
    return found


def _of_text(text: str, exclude: Sequence[str], files: dict[Path, list[str]]) -> list[Input]:
    path = joined(_HERE, text)
    kind = _kind(path) if text else None
    if kind is Kind.FILE and path.suffix.lower() == _MANIFEST:
        return _of_manifest(text, read_settings(path), exclude)
    if kind is Kind.FOLDER:
        # Without a word about other directories it speaks of the checkpoints beside it, as it does for `convert`.
        settings = settings_of(path)
        if settings is not None and settings.is_manifest:
            return _of_manifest(text, settings, exclude)
    return _plain(text, _HERE, (exclude, _HERE), files)


def _plain(text: str, folder: Path, exclude: tuple[Sequence[str], Path], files: dict[Path, list[str]]) -> list[Input]:
    """The search of a directory or a pattern; a file is added to `files` instead."""
    path = joined(folder, text)
    kind = _kind(path) if text else None
    if kind is Kind.FOLDER:
        return [Input(text, Search(path, None, _excluded(exclude, path)), None, parts_of(path))]
    if kind is not None:
        files.setdefault(path.parent, []).append(path.name)
        return []
    fixed, rest = split(text)
    base = joined(folder, fixed)
    if not is_pattern(text) or not rest:
        raise NotFoundError(f"there is no {path}", remedies=_similar(path)) if text else UsageError("an input is empty")
    if _kind(base) is None:
        raise _nothing(text, [f"there is no directory {base}"])
    return [Input(text, Search(base, Pattern.of(text, folder), _excluded(exclude, base)), None, parts_of(base))]


def _of_files(
    files: dict[Path, list[str]], exclude: tuple[Sequence[str], Path], manifest: SettingsFile | None
) -> list[Input]:
    return [
        Input(
            str(folder / names[0]),
            Search(folder, frozenset(names), _excluded(exclude, folder)),
            manifest,
            parts_of(folder),
        )
        for folder, names in files.items()
    ]


def _of_manifest(text: str, manifest: SettingsFile, exclude: Sequence[str]) -> list[Input]:
    """The searches that a manifest asks for; everything beside it if it names none."""
    folder, batch = manifest.path.parent, manifest.batch
    files: dict[Path, list[str]] = {}
    own = ((batch.exclude if batch else None) or (), folder)
    found: list[Input] = []
    problems: list[str] = []
    for each in (batch.inputs if batch else None) or (".",):
        try:
            if each.lower().endswith(_MANIFEST):
                raise UsageError(f"{each} is a manifest itself")
            found += _plain(each, folder, own, files)
        except Ckpt2hfError as problem:
            problems += [problem.what, *(f"  {line}" for line in (*problem.details, *problem.remedies))]
    if problems:
        raise UsageError(f"inputs of {manifest.path.name} cannot be used", details=problems, where=str(manifest.path))
    home = parts_of(folder)
    return [
        Input(
            text,
            Search(
                each.search.root,
                each.search.only,
                (*each.search.exclude, *_excluded((exclude, _HERE), each.search.root)),
                frozenset(manifest.exact),
            ),
            manifest,
            home if each.anchor[: len(home)] == home else each.anchor,
        )
        for each in (*found, *_of_files(files, own, manifest))
    ]


def nothing_found(unmet: Iterable[Input]) -> None:
    """Refuses patterns that fit no file. Raises UsageError."""
    patterns = [each.search.only.text for each in unmet if isinstance(each.search.only, Pattern)]
    if patterns:
        raise _nothing(", ".join(patterns), [])


def _nothing(text: str, details: list[str]) -> UsageError:
    return UsageError(
        f"nothing fits {text}",
        details=details,
        remedies=["`*` stands for part of a name, `**` for any directories: 'runs/**/*.pt', in quotes"],
    )


def _excluded(exclude: tuple[Sequence[str], Path], root: Path) -> tuple[Pattern, ...]:
    texts, folder = exclude
    return tuple(Pattern.anywhere(text, folder, root) for text in texts)


def _kind(path: Path) -> Kind | None:
    try:
        return status(path).kind
    except (OSError, ValueError):
        return None


def _similar(path: Path) -> list[str]:
    """Siblings whose names are close to the one that is not there."""
    try:
        close = difflib.get_close_matches(path.name, [entry.name for entry in listing(path.parent)], n=3, cutoff=0.5)
    except (OSError, ValueError):
        return [f"the directory {path.parent} is not there either"]
    return [f"did you mean {path.parent / name} ?" for name in close]
