"""A URL with the methods of a path that reading a checkpoint needs, and no others.

`universal_pathlib` has such a class, with every method of a path. Here each answer has to come from one place that
asks again when a store falters, that says what went wrong in our words, and that remembers which version of the file
it saw first. So the few methods are ours, and what fsspec does is done by `Store`.
"""

from __future__ import annotations

import io
import os
import re
import stat
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeGuard

from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.remote.fetched import Fetched
    from ckpt2hf.remote.store import Entry, Store

    # To the type checker it is a path, so that functions that take one can be given a URL. When it runs it is not,
    # so that a method it does not have is an error, and never a question to the local disk.
    _Base = Path
else:
    _Base = object

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SECRET = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@|\?[^\s'\")]*")
"""A user with a password, and a query, which may be a signature."""
MAX_SMALL = 64 << 20
"""Bytes of the largest file that is read as a whole: settings and indexes."""


def path_or_url(text: str, scratch: Path | None = None) -> Path:
    """What the user means: a URL (`s3://bucket/run/ckpt.pt`), or a local path, also as `file://`. Raises UsageError."""
    if "::" in text and "://" in text:
        raise UsageError(f"{shown(text)} is a chain of URLs", remedies=["name the file itself by one URL"])
    found = _URL.fullmatch(text)
    if found is None:
        return Path(text)
    if found[1].lower() in {"file", "local"}:
        return Path(found[2])
    return RemotePath(text, scratch)


def joined(folder: Path, text: str) -> Path:
    """What a text means to somebody who is in a folder: a URL is whole by itself. Raises UsageError."""
    found = _URL.fullmatch(text)
    return path_or_url(text) if found else folder / text


def is_remote(path: Path) -> TypeGuard[RemotePath]:
    """Whether a path is a URL."""
    return isinstance(path, RemotePath)


def shown(text: str) -> str:
    """A text with URLs in it, without what may be secret in them."""
    return _SECRET.sub(lambda found: "?…" if found[0].startswith("?") else "…@", text)


class RemotePath(_Base):
    """A file or a folder behind a URL. What is known of it is asked for once and kept: see `look_again`."""

    def __init__(self, url: str, scratch: Path | None = None) -> None:
        """Nothing is asked yet. What is fetched of a file is kept in the directory `scratch`, or where TMPDIR says."""
        found = _URL.fullmatch(url)
        if found is None:
            raise UsageError(f"{shown(url)} is no URL", remedies=["scheme://place/name"])
        self.scheme = found[1].lower()
        rest, mark, query = str(found[2]).partition("?") if self.scheme in {"http", "https"} else (found[2], "", "")
        self._rest: str = rest.rstrip("/")
        self._query: str = mark + query
        self._listed: dict[str, Entry] = {}
        self.scratch = scratch

    def afresh(self) -> RemotePath:
        """The same, of which nothing is known yet."""
        return RemotePath(self.url, self.scratch)

    def kept_in(self, scratch: Path) -> RemotePath:
        """The same, with what is fetched of it kept in another directory."""
        return RemotePath(self.url, scratch)

    # --- what the text says

    @property
    def url(self) -> str:
        """The whole URL. Not for people: it may hold a signature."""
        return self.without_query + self._query

    @property
    def without_query(self) -> str:
        """The URL of the place, whatever the version or the signature."""
        return f"{self.scheme}://{self._rest}"

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __hash__(self) -> int:
        return hash(self.url)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url == other.url

    def __lt__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url < other.url

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str, Path | None]]:
        return RemotePath, (self.url, self.scratch)

    @property
    def name(self) -> str:
        """The last part."""
        return self._rest.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Such as `.pt`."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> RemotePath:
        """The folder it is in. A query belongs to one file, so the folder has none."""
        return RemotePath(f"{self.scheme}://{self._rest.rpartition('/')[0]}", self.scratch)

    def __truediv__(self, name: str | os.PathLike[str]) -> RemotePath:
        made = RemotePath(f"{self.without_query}/{os.fspath(name)}", self.scratch)
        entry = self._listed.get(os.fspath(name))
        if entry is not None:
            made.__dict__["_first_look"] = entry
        return made

    def joinpath(self, *names: str | os.PathLike[str]) -> RemotePath:
        """Something below it."""
        return self / "/".join(os.fspath(name) for name in names) if names else self

    @property
    def is_top(self) -> bool:
        """Whether it is a whole bucket, host or repository rather than something in one."""
        return "/" not in self._rest and self.scheme != "memory"

    def resolve(self, strict: bool = False) -> RemotePath:  # noqa: FBT001, FBT002 - as pathlib has it
        """Itself: a URL is absolute and there are no links."""
        del strict
        return self

    def is_relative_to(self, other: object, *_: object) -> bool:
        """Whether it is the other one or lies below it."""
        return isinstance(other, RemotePath) and f"{self.without_query}/".startswith(f"{other.without_query}/")

    def relative_to(self, other: object, *_: object) -> PurePosixPath:  # type: ignore[override]
        """Its place below another. Raises ValueError."""
        if not isinstance(other, RemotePath) or not self.is_relative_to(other):
            raise ValueError(f"{self} is not below {other}")
        return PurePosixPath(self.without_query[len(other.without_query) :].lstrip("/"))

    # --- what the store says

    @property
    def store(self) -> Store:
        """What answers for it. Raises UsageError where nothing does."""
        from ckpt2hf.remote.open_store import store_for  # noqa: PLC0415 - imports fsspec, which local work never needs

        return store_for(self.scheme)

    @cached_property
    def _first_look(self) -> Entry | None:
        return self.store.look(self.url)

    @property
    def entry(self) -> Entry:
        """What was there when somebody first looked. Raises NotFoundError, UnreachableError."""
        if self._first_look is None:
            raise NotFoundError(f"there is no {self}", where=str(self))
        return self._first_look

    def look_again(self) -> Entry | None:
        """What is there now. Raises NotFoundError, UnreachableError."""
        return self.store.look(self.url)

    def exists(self, **_: bool) -> bool:
        """Whether a file or a folder is there."""
        return self._first_look is not None

    def is_file(self) -> bool:
        """Whether a file is there."""
        return self._first_look is not None and not self._first_look.is_folder

    def is_dir(self) -> bool:
        """Whether a folder is there: something whose name goes on behind a slash."""
        return self._first_look is not None and self._first_look.is_folder

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def stat(self, **_: bool) -> os.stat_result:
        """Its kind, its size, and when it was changed where the store tells. Raises NotFoundError."""
        entry = self.entry
        mode = stat.S_IFDIR if entry.is_folder else stat.S_IFREG
        seconds = entry.mtime_ns // 10**9
        return os.stat_result((mode, 0, 0, 1, 0, 0, entry.nbytes, seconds, seconds, seconds))

    def iterdir(self) -> Iterator[RemotePath]:  # type: ignore[override]
        """What is in a folder. Raises NotFoundError, UnreachableError."""
        self._listed = {entry.name: entry for entry in self.store.entries(self.url)}
        for name in self._listed:
            yield self / name

    def open(self, mode: str = "rb", **_: object) -> IO[Any]:  # type: ignore[override]
        """A small file, fetched as a whole. Raises CheckpointError for one that is not small."""
        data = io.BytesIO(self.read_bytes())
        return data if "b" in mode else io.TextIOWrapper(data, "utf-8")

    def read_bytes(self) -> bytes:
        """All of a small file. Raises CheckpointError for one that is not small."""
        entry = self.entry
        if entry.nbytes > MAX_SMALL:
            raise CheckpointError(f"{self.name} is larger than {MAX_SMALL} bytes", where=str(self))
        return self.store.read(self.url, 0, entry.nbytes, entry)

    def fetched(self) -> Fetched:
        """The file as a local one that fills up where somebody looks. Raises NotFoundError, OutputError."""
        from ckpt2hf.remote.fetched import Fetched  # noqa: PLC0415 - not for local work

        return Fetched(self)

    def read_text(self, encoding: str | None = None, *_: object, **__: object) -> str:
        """All of a small file as text."""
        return self.read_bytes().decode(encoding or "utf-8")
