"""The layout of a zip file whose records are stored, not compressed: known before any byte of them is.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3 (zip64); pytorch/pytorch v2.6
`caffe2/serialize/inline_container.cc` (records start at multiples of 64 bytes, the gap is an extra field "FB").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGE = 0xFFFFFFFF
"""A size or an offset from here on is kept in a zip64 field, with `_ELSEWHERE` in its place."""
MANY = 0xFFFF
"""The same for the number of records."""
_ELSEWHERE, _ELSEWHERE_16 = 0xFFFFFFFF, 0xFFFF
ALIGNMENT = 64
_JANUARY_1980 = 0x21
_ZIP64, _PADDING = 0x0001, 0x4246


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its local header starts at `header`, its bytes at `start`."""

    name: bytes
    nbytes: int
    header: int
    start: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.nbytes

    def local_header(self, crc: int) -> bytes:
        """What stands between `header` and `start`."""
        large = self.nbytes >= LARGE
        shown = _shown(self.nbytes)
        extra = struct.pack("<HHQQ", _ZIP64, 16, self.nbytes, self.nbytes) if large else b""
        gap = self.start - self.header - 30 - len(self.name) - len(extra) - 4
        extra += struct.pack("<HH", _PADDING, gap) + b"Z" * gap
        fixed = (0x04034B50, 45 if large else 20, 0, 0, 0, _JANUARY_1980, crc, shown, shown, len(self.name), len(extra))
        return struct.pack("<IHHHHHIIIHH", *fixed) + self.name + extra

    def directory_entry(self, crc: int) -> bytes:
        """What the central directory says about it."""
        numbers = (self.nbytes, self.nbytes, self.header)
        beyond = [number for number in numbers if number >= LARGE]
        size, packed, header = map(_shown, numbers)
        extra = struct.pack(f"<HH{len(beyond)}Q", _ZIP64, 8 * len(beyond), *beyond) if beyond else b""
        version = 45 if beyond else 20
        fixed = (0x02014B50, version, version, 0, 0, 0, _JANUARY_1980, crc, packed, size)
        rest = (len(self.name), len(extra), 0, 0, 0, 0, header)
        return struct.pack("<IHHHHHHIII", *fixed) + struct.pack("<HHHHHII", *rest) + self.name + extra


def lay_out(sizes: Mapping[str, int]) -> tuple[Record, ...]:
    """A place for each record, given their bytes by name, in order from the start of the file."""
    records, end = [], 0
    for name, nbytes in sizes.items():
        least = end + 30 + len(name.encode()) + (20 if nbytes >= LARGE else 0) + 4
        start = -(-least // ALIGNMENT) * ALIGNMENT
        records.append(Record(name.encode(), nbytes, end, start))
        end = start + nbytes
    return tuple(records)


def directory(records: Sequence[Record], crcs: Sequence[int]) -> bytes:
    """The central directory and what follows it: the end of the file. Its length does not depend on the checksums."""
    entries = b"".join(record.directory_entry(crc) for record, crc in zip(records, crcs, strict=True))
    start, count, length = records[-1].end, len(records), len(entries)
    tail = b""
    if count >= MANY or length >= LARGE or start >= LARGE:
        tail = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, length, start)
        tail += struct.pack("<IIQI", 0x07064B50, 0, start + length, 1)
    shown = count if count < MANY else _ELSEWHERE_16
    end = (0x06054B50, 0, 0, shown, shown, _shown(length), _shown(start), 0)
    return entries + tail + struct.pack("<IHHHHIIH", *end)


def _shown(number: int) -> int:
    """A size or an offset as its 32-bit field holds it."""
    return number if number < LARGE else _ELSEWHERE
