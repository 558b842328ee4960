"""One kind of store: what is in it, parts of its files, files to put into it. Every request is made again if it must.

This is what any file system of fsspec can do; `S3Store` does some of it better.
"""

from __future__ import annotations

import datetime as dt
import email.utils
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import NotFoundError, OutputError
from ckpt2hf.remote.faults import GarbledError, is_missing, retried
from ckpt2hf.remote.path import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_ETAGS = ("ETag", "etag", "generation", "content_md5", "blob_id", "md5Hash")
_TIMES = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created", "last_commit")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of a store, as it is at a moment. Two unequal ones of a file mean that it was written again."""

    name: str
    is_folder: bool
    nbytes: int
    etag: str | None
    """What the store calls this version of the file, if it has a word for it."""
    mtime_ns: int
    """When it was written; 0 where the store does not say."""


class Store:
    """A file system of fsspec, by URL."""

    def __init__(self, fs: Any) -> None:  # noqa: ANN401 - fsspec has no types
        """Use this file system. It must not remember listings."""
        self.fs = fs

    def look(self, url: str) -> Entry | None:
        """What is there now; None if nothing is. Raises NotFoundError, UnreachableError."""

        def info() -> Entry | None:
            try:
                self.fs.invalidate_cache()
                return _entry(self.fs.info(self.key(url)))
            except Exception as error:
                if is_missing(error):
                    return None
                raise

        return retried(info, "look at", shown(url))

    def entries(self, url: str) -> list[Entry]:
        """What is directly in a folder, by name; nothing if it is not there. Raises NotFoundError, UnreachableError."""

        def listed() -> list[Entry]:
            try:
                found = [_entry(info) for info in self.fs.ls(self.key(url), detail=True, **self.fresh)]
            except Exception as error:
                if is_missing(error):
                    return []
                raise
            own = self.key(url).rstrip("/").rpartition("/")[2]
            return sorted((e for e in found if e.name and not (e.name == own and not e.nbytes)), key=lambda e: e.name)

        return retried(listed, "list", shown(url))

    fresh: Mapping[str, object] = {}
    """What a listing is asked with, so that it is of now."""

    def read(self, url: str, start: int, nbytes: int, entry: Entry) -> bytes:
        """A part of the file that `entry` is. Raises NotFoundError, CheckpointError, UnreachableError."""

        def part() -> bytes:
            data = self.read_once(url, start, start + nbytes, entry) if nbytes else b""
            if len(data) != nbytes:
                if nbytes < entry.nbytes == len(data):
                    raise NotFoundError(
                        "the server sends whole files only, and ckpt2hf reads parts of them",
                        where=shown(url),
                        remedies=["download the file, and name the local copy"],
                    )
                raise GarbledError(f"{nbytes} bytes were asked for, {len(data)} came")
            return data

        return retried(part, "read", shown(url))

    def read_once(self, url: str, start: int, stop: int, entry: Entry) -> bytes:
        """The bytes from `start` to before `stop`, in one request."""
        del entry
        data: bytes = self.fs.cat_file(self.key(url), start=start, end=stop)
        return data

    def put(self, source: Path, url: str, progress: Callable[[int], None]) -> None:
        """A local file under a URL, from its first byte to its last or not at all. Raises OutputError and the like."""
        nbytes = source.stat().st_size
        retried(lambda: self.fs.put_file(str(source), self.key(url)), "write", shown(url), OutputError)
        progress(nbytes)

    def write(self, url: str, data: bytes) -> None:
        """A small file. Raises OutputError and the like."""
        retried(lambda: self.fs.pipe_file(self.key(url), data), "write", shown(url), OutputError)

    def delete(self, urls: Iterable[str]) -> None:
        """These files are gone, also if they never were. Raises OutputError and the like."""
        for url in urls:

            def remove(key: str = self.key(url)) -> None:
                try:
                    self.fs.rm_file(key)
                except Exception as error:
                    if not is_missing(error):
                        raise

            retried(remove, "delete", shown(url), OutputError)

    def abandon(self, url: str) -> None:
        """Forget uploads directly below a URL that were never finished, where the store keeps such."""

    def key(self, url: str) -> str:
        """What the file system calls it."""
        found: str = self.fs._strip_protocol(url)  # noqa: SLF001 - every file system has it, under this name
        return found


def _entry(info: Mapping[str, Any]) -> Entry:
    etag = next((str(info[name]) for name in _ETAGS if info.get(name)), None)
    changed = next((info[name] for name in _TIMES if info.get(name)), None)
    name = str(info["name"]).rstrip("/").rpartition("/")[2]
    is_folder = info.get("type") == "directory"
    nbytes = info.get("size")
    if nbytes is None and not is_folder:
        raise NotFoundError(
            f"the server does not say how large {shown(name)} is",
            remedies=["download the file, and name the local copy"],
        )
    return Entry(name, is_folder, int(nbytes or 0), etag.strip('"') if etag else None, _nanoseconds(changed))


def _nanoseconds(moment: object) -> int:
    """A moment in one of the ways stores write it; 0 for any other."""
    if isinstance(moment, str):
        moment = _parsed(moment)
    if isinstance(moment, dt.datetime):
        moment = moment.timestamp()
    return int(moment * 10**9) if isinstance(moment, int | float) else 0


def _parsed(text: str) -> dt.datetime | None:
    for parse in (email.utils.parsedate_to_datetime, dt.datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    return None
