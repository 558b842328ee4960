"""Which files are checkpoints, which belong together, and why every other file is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.batch.listing import Entry, Identity, Kind, identity_of, is_within, listing
from ckpt2hf.batch.naming import natural
from ckpt2hf.batch.source import Source, source_of
from ckpt2hf.checkpoints import Found, above, belonging, is_settings, survey
from ckpt2hf.report import SkippedReport
from ckpt2hf.run import REPORT
from ckpt2hf.run.patterns import Parts, Pattern, parts_of
from ckpt2hf.tokenizers import is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_NOT_SEARCHED = {"__pycache__": "compiled code", "node_modules": "code"}
_TELLING = {REPORT: "made by ckpt2hf", "pyvenv.cfg": "Python environment"}
"""Files that say what the directory around them is."""


@dataclass(frozen=True, slots=True)
class Search:
    """A directory to look through, and what counts there."""

    root: Path
    only: Pattern | frozenset[str] | None = None
    """A pattern of paths, or names in this very directory; None for everything below."""
    exclude: tuple[Pattern, ...] = ()
    forced: AbstractSet[Parts] = frozenset()
    """Files that are checkpoints because the user says so."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What some searches found, in natural order."""

    sources: tuple[Source, ...]
    skipped: tuple[SkippedReport, ...]
    touched: frozenset[int]
    """The searches that met anything they were looking for."""


def discover(searches: Sequence[Search], out: Path) -> Discovery:
    """What the searches find. The output directory is never searched."""
    walk = _Walk(out, identity_of(out))
    for number, search in enumerate(searches):
        walk.begin(number, search)
    while walk.links:
        links, walk.links = sorted(walk.links, key=lambda link: natural(link[1].parts)), []
        for number, folder in links:
            walk.enter(number, searches[number], folder)
    sources = sorted(walk.distinct(), key=lambda source: natural(source.parts))
    opened = {str(source.path) for source in sources}
    left = [item for item in walk.skipped.items() if item[0] not in opened]
    skipped = sorted(left, key=lambda item: natural(tuple(item[0].split("/"))))
    return Discovery(tuple(sources), tuple(SkippedReport(*item) for item in skipped), frozenset(walk.touched))


@dataclass(slots=True)
class _Folder:
    """A directory about to be searched."""

    path: Path
    parts: Parts


@dataclass(slots=True)
class _Walk:
    out: Path
    out_identity: Identity | None
    skipped: dict[str, str] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    links: list[tuple[int, _Folder]] = field(default_factory=list)
    """Linked directories: searched last, so that every file is known by its own path if it has one."""
    _been: dict[tuple[int, Identity], Path] = field(default_factory=dict)
    _found: list[tuple[tuple[object, ...], Source]] = field(default_factory=list)
    _paths: set[str] = field(default_factory=set)

    def begin(self, number: int, search: Search) -> None:
        """Searches a directory that the user named."""
        if is_within(search.root, self.out):
            self.touched.add(number)
            self.skipped[str(search.root)] = "in the output directory of this batch"
        else:
            self.enter(number, search, _Folder(search.root, parts_of(search.root)))

    def enter(self, number: int, search: Search, start: _Folder) -> None:
        """Searches a directory and all below it; the linked ones are noted."""
        stack = [start]
        while stack:
            folder = stack.pop()
            identity = identity_of(folder.path)
            if identity is not None and identity == self.out_identity:
                self.skipped[str(folder.path)] = "the output directory of this batch"
                continue
            if identity is not None:
                # A directory of which only some files count may be met again by a search in which others do.
                before = self._been.setdefault((number if search.only else -1, identity), folder.path)
                if before != folder.path:
                    self.skipped[str(folder.path)] = f"the same directory as {before}"
                    continue
            stack += reversed(list(self._search(number, search, folder)))

    def _search(self, number: int, search: Search, folder: _Folder) -> Iterator[_Folder]:
        """Notes what is in one directory; the directories in it that are to be searched next."""
        try:
            entries = sorted(listing(folder.path), key=lambda entry: natural((entry.name,)))
        except OSError as error:
            self.touched.add(number)
            self.skipped[str(folder.path)] = f"cannot be listed: {error.strerror or error}"
            return
        telling = next((why for name, why in _TELLING.items() if any(entry.name == name for entry in entries)), None)
        if telling:
            self.touched.add(number)
            self.skipped[str(folder.path)] = telling
            return
        files, folders = [], []
        for entry in entries:
            if entry.kind is Kind.FOLDER:
                if self._is_searched(search, folder, entry):
                    folders.append(entry)
            elif self._is_file(search, folder, entry):
                files.append(entry)
        wanted = _wanted(search, folder, files)
        covered = self._note(number, search, folder, (files, folders, wanted))
        for entry in folders:
            below = _Folder(folder.path / entry.name, (*folder.parts, entry.name))
            if entry.name not in covered and not self._is_linked(number, entry, below):
                yield below

    def _is_linked(self, number: int, entry: Entry, below: _Folder) -> bool:
        if entry.link:
            self.links.append((number, below))
        return entry.link

    def _is_searched(self, search: Search, folder: _Folder, entry: Entry) -> bool:
        """Whether a directory is searched; if it would be but for what it is, that is noted."""
        parts = (*folder.parts, entry.name)
        if isinstance(search.only, frozenset) or (search.only and not _may_count(search.only, parts)):
            return False
        why = _excluded(search, parts) or _NOT_SEARCHED.get(entry.name)
        if ".partial-" in entry.name:
            why = why or "unfinished output of ckpt2hf"
        elif entry.name.startswith("."):
            why = why or "hidden directory"
        if why:
            self.skipped[str(folder.path / entry.name)] = why
        return not why

    def _is_file(self, search: Search, folder: _Folder, entry: Entry) -> bool:
        parts = (*folder.parts, entry.name)
        why = _excluded(search, parts)
        if entry.kind is not Kind.FILE:
            why = why or ("link that leads nowhere" if entry.kind is Kind.NOWHERE else "no regular file")
        if why and _counts(search.only, parts):
            self.skipped[str(folder.path / entry.name)] = why
        return not why

    def _note(
        self,
        number: int,
        search: Search,
        folder: _Folder,
        inside: tuple[list[Entry], list[Entry], frozenset[str] | None],
    ) -> set[str]:
        """Notes the checkpoints among the files of a directory and all that are none; the directories they cover."""
        files, folders, wanted = inside
        if wanted is None or wanted:
            self.touched.add(number)
        names = [entry.name for entry in files]
        tokenizers = [name for name in names if is_name(name)]
        seen = survey(folder.path, names, [entry.name for entry in folders], wanted=wanted)
        forced = [name for name in seen.left if (*folder.parts, name) in search.forced]
        for name, why in seen.left.items():
            if name not in forced:
                self.skipped[str(folder.path / name)] = why
        links = {entry.name for entry in files if entry.link}
        for found in (*seen.found, *(Found(name, (name,)) for name in forced)):
            path = folder.path / found.source if found.source else folder.path
            if str(path) not in self._paths:
                self._paths.add(str(path))
                side = [folder.path / name for name in (*belonging(found.source, names), *tokenizers)]
                side += above(folder.path) if found.source is None else []
                source = source_of(number, folder.parts, folder.path, found, side)
                rank = (not found.sure, found.source in links, natural(source.parts))
                self._found.append((rank, source))
        return {name for found in seen.found for name in found.folders}

    def distinct(self) -> Iterator[Source]:
        """The checkpoints, each once: a file with several names is known by the plainest of them."""
        known: dict[Identity, Path] = {}
        for _, source in sorted(self._found, key=lambda item: item[0]):
            mine = [
                (path, identity_of(path))
                for path in source.files
                if not is_settings(path.name) and not is_name(path.name)
            ]
            opened = next((identity for path, identity in mine if path == source.path), None)
            same = known.get(opened or (mine[0][1] if mine else None) or (-1, -1))
            if same is None:
                known.update({identity: source.path for _, identity in mine if identity})
                yield source
            else:
                self.skipped[str(source.path)] = f"the same file as {same}"


def _wanted(search: Search, folder: _Folder, files: Iterable[Entry]) -> frozenset[str] | None:
    """The names that count; None for all."""
    if not isinstance(search.only, Pattern):
        return search.only
    if search.only.matches(folder.parts):
        return None
    return frozenset(entry.name for entry in files if search.only.matches((*folder.parts, entry.name)))


def _counts(only: Pattern | frozenset[str] | None, parts: Parts) -> bool:
    return only is None or (parts[-1] in only if isinstance(only, frozenset) else only.matches(parts))


def _may_count(only: Pattern, folder: Parts) -> bool:
    return only.leads_to(folder) or only.matches(folder)


def _excluded(search: Search, parts: Parts) -> str | None:
    fits = next((pattern for pattern in search.exclude if pattern.matches(parts)), None)
    return f"excluded by {fits.text}" if fits else None
