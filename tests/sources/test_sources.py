"""Digests and stamps of source files."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from ckpt2hf import sources
from ckpt2hf.errors import CheckpointError, NotFoundError
from ckpt2hf.sources import sha256_of, stamp, watched

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, 5000])
def test_digest_is_of_the_whole_file_in_chunks(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 1000)
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(k % 251 for k in range(size)))
    seen: list[int] = []
    assert sha256_of(path, seen.append) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sum(seen) == size
    assert all(n <= 1000 for n in seen)


def test_a_stamp_shows_that_a_file_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    before = stamp(path)
    assert before == stamp(path)
    shutil.copy(path, tmp_path / "b.bin")
    (tmp_path / "b.bin").replace(path)
    assert stamp(path) != before


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="missing"):
        sha256_of(tmp_path / "missing")
    with pytest.raises(NotFoundError, match="missing"):
        stamp(tmp_path / "missing")


def test_a_watched_file_is_hashed_and_held_against_its_first_stamp(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    path.write_bytes(b"weights")
    with watched(path) as files:
        files.watch([path])  # named again: not stamped anew
        assert files.sha256() == {path: hashlib.sha256(b"weights").hexdigest()}
        files.require_unchanged()
        path.write_bytes(b"other weights")
        with pytest.raises(CheckpointError, match="changed while"):
            files.require_unchanged()


def test_leaving_early_does_not_wait_for_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 1)
    path = tmp_path / "ckpt.pt"
    path.write_bytes(bytes(10**8 // 4))
    with watched(path) as files:
        (digest,) = files.digests.values()
    assert digest.exception() is not None


def test_a_path_that_cannot_be_looked_at_is_left_to_the_reader(tmp_path: Path) -> None:
    with watched(tmp_path / "nul\0byte") as files:
        assert files.sha256() == {}
