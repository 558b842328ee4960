"""The records of a zip archive as spans of a mapped file: the directory is read here and every entry is checked.

The archive may lie anywhere in the file; offsets count from where it begins.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (zip64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from ckpt2hf.files import Span

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_FIELD = 1
_ENCRYPTED = 1
MAX_COMMENT = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Directory:
    start: int
    nbytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    header: int
    nbytes: int
    is_compressed: bool


@dataclass(frozen=True, slots=True)
class Archive:
    """Records by name, in directory order, as they lie in the file; the names of those that are compressed."""

    records: dict[str, Span]
    compressed: tuple[str, ...]


def read(zipped: Span) -> Archive:
    """The archive that a run of bytes is. Raises CheckpointError for anything out of order."""
    try:
        directory = _find_directory(zipped)
        entries = _entries(zipped, directory)
        return Archive(_spans(zipped, directory, entries), tuple(e.name for e in entries if e.is_compressed))
    except (struct.error, UnicodeDecodeError) as error:
        _refuse(zipped, "its directory is damaged", str(error), error)


def _refuse(zipped: Span, what: str, detail: str = "", cause: BaseException | None = None) -> NoReturn:
    raise CheckpointError(
        f"the zip archive cannot be read: {what}",
        details=[detail] if detail else [],
        where=str(zipped.file.path),
        remedies=["copy or download the file again", "save it again with torch.save"],
    ) from cause


def _find_directory(zipped: Span) -> _Directory:
    tail_start = max(0, zipped.nbytes - MAX_COMMENT - _END.size)
    tail = bytes(zipped.part(tail_start, zipped.nbytes))
    found = tail.rfind(b"PK\x05\x06")
    if found < 0:
        _refuse(zipped, "it has no end", "the directory at the end of the file is missing: the file is truncated")
    at = tail_start + found
    _, disk, first_disk, here, total, nbytes, start, _ = _END.unpack(zipped.part(at, _END.size))
    if _FULL16 in (here, total) or _FULL32 in (nbytes, start):
        wide = _zip64(zipped, at)
        if wide:
            return wide
    if disk or first_disk or here != total:
        _refuse(zipped, "it is split over several files")
    return _checked(zipped, _Directory(start, nbytes, total), at)


def _zip64(zipped: Span, end: int) -> _Directory | None:
    locator = end - _END64_LOCATOR.size
    if locator < 0 or bytes(zipped.part(locator, 4)) != b"PK\x06\x07":
        return None
    _, _, at, _ = _END64_LOCATOR.unpack(zipped.part(locator, _END64_LOCATOR.size))
    if at > locator or bytes(zipped.part(at, 4)) != b"PK\x06\x06":
        _refuse(zipped, "its zip64 directory is not where it should be")
    _, _, _, _, disk, first_disk, here, total, nbytes, start = _END64.unpack(zipped.part(at, _END64.size))
    if disk or first_disk or here != total:
        _refuse(zipped, "it is split over several files")
    return _checked(zipped, _Directory(start, nbytes, total), at)


def _checked(zipped: Span, directory: _Directory, end: int) -> _Directory:
    if directory.start + directory.nbytes > end:
        _refuse(zipped, "its directory reaches past its end", f"{directory} in a file of {zipped.nbytes} bytes")
    if directory.entries * _ENTRY.size > directory.nbytes:
        _refuse(zipped, "it declares more records than its directory can hold", f"{directory.entries} records")
    return directory


def _entries(zipped: Span, directory: _Directory) -> list[_Entry]:
    entries, at, end = [], 0, directory.nbytes
    view = zipped.part(directory.start, directory.nbytes)
    for _ in range(directory.entries):
        if at + _ENTRY.size > end:
            _refuse(zipped, "its directory ends early")
        fields = _ENTRY.unpack_from(view, at)
        signature, flags, method = fields[0], fields[3], fields[4]
        packed, nbytes, name_length, extra_length, comment_length = fields[8:13]
        header = fields[16]
        at += _ENTRY.size
        if signature != b"PK\x01\x02" or at + name_length + extra_length + comment_length > end:
            _refuse(zipped, "its directory is damaged")
        name = bytes(view[at : at + name_length]).decode("utf-8")
        extra = view[at + name_length : at + name_length + extra_length]
        nbytes, packed, header = _widened(extra, (nbytes, packed, header))
        at += name_length + extra_length + comment_length
        if flags & _ENCRYPTED:
            _refuse(zipped, "a record is encrypted", name)
        entries.append(_Entry(name, header, packed, method != 0 or packed != nbytes))
    return entries


def _widened(extra: memoryview, values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Sizes and offset with those that did not fit 32 bits taken from the zip64 field, in its fixed order."""
    if _FULL32 not in values:
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64_FIELD:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            nbytes, packed, header = (next(wide, v) if v == _FULL32 else v for v in values)
            return nbytes, packed, header
        at += 4 + length
    return values


def _spans(zipped: Span, directory: _Directory, entries: list[_Entry]) -> dict[str, Span]:
    placed: dict[str, Span] = {}
    zipped.file.prefetch((zipped.start + entry.header, _LOCAL.size) for entry in entries)
    for entry in entries:
        _check_name(zipped, entry.name)
        if entry.name in placed:
            _refuse(zipped, "two records have the same name", entry.name)
        if entry.header + _LOCAL.size > directory.start:
            _refuse(zipped, "a record lies outside the archive", entry.name)
        local = _LOCAL.unpack(zipped.part(entry.header, _LOCAL.size))
        start = entry.header + _LOCAL.size + local[9] + local[10]
        if local[0] != b"PK\x03\x04":
            _refuse(zipped, "a record does not begin where the directory says", entry.name)
        if start + entry.nbytes > directory.start:
            _refuse(zipped, "a record reaches past the end of the archive", entry.name)
        placed[entry.name] = zipped.within(start, entry.nbytes)
    previous_end = 0
    for entry in sorted(entries, key=lambda e: e.header):
        if entry.header < previous_end:
            _refuse(zipped, "two records overlap", entry.name)
        previous_end = placed[entry.name].start - zipped.start + entry.nbytes
    return placed


def _check_name(zipped: Span, name: str) -> None:
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or ":" in name or "\0" in name or ".." in parts:
        _refuse(zipped, "a record has a name that is a path to somewhere else", repr(name)[:200])
