"""A remote file that fills up: no byte is seen that was not fetched, none is fetched twice."""

from __future__ import annotations

import ast
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.api import open_checkpoint
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile, Span
from ckpt2hf.remote import fetched, path_or_url
from ckpt2hf.remote.extents import Extents, cut, joined
from ckpt2hf.remote.fetched import Fetched
from ckpt2hf.remote.store import Store
from ckpt2hf.tensors import DType, Meta, TensorRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
SIZE = 3_000_001
RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple), max_size=12)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """The content of `memory://test/file`: no byte of it is zero, as all are that were not fetched."""
    monkeypatch.setattr(fetched, "PIECE", 100_000)
    made = bytes(1 + (k * k + k // 251) % 255 for k in range(SIZE))
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/test/file", made)
    yield made
    memory.rm("/test", recursive=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every part that is asked of a store, as `(start, stop)`."""
    parts: list[tuple[int, int]] = []
    real = Store.read_once

    def noted(store: Store, url: str, start: int, stop: int, entry: Any) -> bytes:
        parts.append((start, stop))
        return real(store, url, start, stop, entry)

    monkeypatch.setattr(Store, "read_once", noted)
    return parts


# --- extents


@given(RUNS, st.integers(0, 60), st.integers(0, 60))
def test_extents_are_a_set_of_bytes(runs: list[tuple[int, int]], start: int, stop: int) -> None:
    extents, there = Extents(), set()
    for run in runs:
        extents = extents.with_(*run)
        there |= set(range(*run))
    assert {at for run in zip(extents.starts, extents.stops, strict=True) for at in range(*run)} == there
    assert all(a < b for a, b in zip(extents.starts, extents.stops, strict=True))
    assert all(a < b for a, b in pairwise(sum(zip(extents.starts, extents.stops, strict=True), ())))
    wanted = set(range(start, stop))
    assert extents.has(start, stop) == (wanted <= there)
    assert {at for run in extents.missing(start, stop) for at in range(*run)} == wanted - there


@given(RUNS, st.integers(0, 5), st.integers(1, 9))
def test_joined_and_cut_ranges_cover_what_they_were_made_of(runs: list[tuple[int, int]], gap: int, most: int) -> None:
    made = joined(runs, gap)
    wanted = {at for run in runs for at in range(*run)}
    assert wanted <= {at for run in made for at in range(*run)}
    assert all(before[1] + gap < after[0] for before, after in pairwise(made))
    pieces = list(cut(made, most))
    assert all(0 < stop - start <= most for start, stop in pieces)
    assert [at for run in pieces for at in range(*run)] == [at for run in made for at in range(*run)]


# --- what is seen was fetched


def same(found: object, wanted: object) -> bool:
    """Whether both are equal. Asserted as `==`, a difference in a megabyte would be spelled out, for minutes."""
    return found == wanted


def look_everywhere(file: MappedFile, data: bytes) -> None:
    """Every way to the bytes, at random places."""
    chance = random.Random(1)  # noqa: S311
    for at in (500_000, 1_500_000):
        assert same(bytes(file.bytes_at(at, 10)), data[at : at + 10])
    assert same(bytes(file.bytes_at(400_000, 1_300_000)), data[400_000:1_700_000])
    for _ in range(40):
        start, nbytes = chance.randrange(SIZE + 10), chance.choice((1, 30, 70_000, 250_000))
        assert same(bytes(file.bytes_at(start, nbytes)), data[start : start + nbytes])
        seen = bytes(file.ahead(start, nbytes))
        assert len(seen) >= min(nbytes, max(SIZE - start, 0))
        assert same(seen, data[start : start + len(seen)])
        span = Span(file, start // 2, SIZE - start // 2)
        assert same(bytes(span.part(7, nbytes)), data[span.start + 7 : span.start + 7 + nbytes])
        ref = TensorRef(Meta((40, 50), DType.U8), Span(file, start // 2, 400_000), 3, (5000, 2))
        rows, columns = sorted(chance.sample(range(41), 2)), sorted(chance.sample(range(51), 2))
        block = ref.read((slice(*rows), slice(*columns)))
        wanted = [[data[start // 2 + 3 + 5000 * r + 2 * c] for c in range(*columns)] for r in range(*rows)]
        assert same(block.tolist(), wanted)
    assert same(bytes(Span(file, 10, SIZE - 20).view), data[10:-10])


def test_every_way_to_the_bytes_fetches_them_first(data: bytes, asked: list[tuple[int, int]]) -> None:
    look_everywhere(MappedFile(path_or_url("memory://test/file")), data)
    assert sum(stop - start for start, stop in asked) == SIZE
    assert all(stop - start <= fetched.PIECE for start, stop in asked)


def test_a_file_that_forgets_to_fetch_is_found(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fetched, "require", lambda *_: None)
    with pytest.raises(AssertionError):
        look_everywhere(MappedFile(path_or_url("memory://test/file")), data)


@pytest.mark.parametrize("lie", ["has", "missing"])
def test_wrong_books_are_found(data: bytes, lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lie == "has":
        monkeypatch.setattr(Extents, "has", lambda self, start, _stop: bool(self.starts) and start >= self.starts[0])
    else:
        real = Extents.missing
        monkeypatch.setattr(Extents, "missing", lambda self, start, stop: list(real(self, start, stop))[:1])
    with pytest.raises(AssertionError):
        look_everywhere(MappedFile(path_or_url("memory://test/file")), data)


def test_only_one_module_holds_the_mapping() -> None:
    """`MappedFile._view` and `Fetched.view` are used where the bytes are required first, and nowhere else."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"_view", "_fetched"}:
                found.add(path.name)
    assert found == {"files.py"}
    tree = ast.parse((ROOT / "src/ckpt2hf/files.py").read_text(encoding="utf-8"))
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "MappedFile")
    users = {
        function.name
        for function in kind.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "_view"
    }
    assert users == {"__init__", "of_bytes", "bytes_at", "offset_of"}  # the last compares addresses only


def test_many_threads_see_what_was_fetched_and_nothing_is_fetched_twice(
    data: bytes, asked: list[tuple[int, int]]
) -> None:
    file = MappedFile(path_or_url("memory://test/file"))
    places = random.Random(2).sample(range(SIZE - 5000), 400)  # noqa: S311
    start = threading.Barrier(8)

    def look(k: int) -> bool:
        start.wait()
        return all(bytes(file.bytes_at(at, 5000)) == data[at : at + 5000] for at in places[k::4])

    with ThreadPoolExecutor(9) as pool:
        ahead = pool.submit(file.prefetch, [(0, SIZE)])
        assert all(pool.map(look, range(8)))
        ahead.result()
    assert sum(stop - start for start, stop in asked) == SIZE


def test_prefetching_fetches_what_is_said_and_little_more(data: bytes, asked: list[tuple[int, int]]) -> None:
    file, told = MappedFile(path_or_url("memory://test/file")), []
    ranges = [(500_000, 300_000), (805_000, 1), (2_000_000, 10)]
    assert file.to_fetch(ranges) == 305_001 + 10
    file.prefetch(ranges, told.append)
    assert sum(told) == sum(stop - start for start, stop in asked) == 305_011
    assert file.to_fetch(ranges) == 0
    count = len(asked)
    assert bytes(file.bytes_at(500_000, 300_000)) == data[500_000:800_000]
    assert len(asked) == count


def test_the_extent_of_a_tensor_is_what_reading_it_takes(data: bytes, asked: list[tuple[int, int]]) -> None:
    file = MappedFile(path_or_url("memory://test/file"))
    ref = TensorRef(Meta((300, 50), DType.U16), Span(file, 100_000, 900_000), 200_000, (700, 2))
    (extent,) = ref.extents
    start, nbytes = extent.start, extent.nbytes
    assert (start, nbytes) == (500_000, (299 * 700 + 49 * 2 + 1) * 2)
    file.prefetch([(start, nbytes)])
    count = len(asked)
    assert ref.load().tobytes() == b"".join(
        data[start + (700 * r + 2 * c) * 2 :][:2] for r in range(300) for c in range(50)
    )
    assert len(asked) == count
    assert sum(stop - start for start, stop in asked) == nbytes


def test_a_failed_piece_does_not_count_as_there(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    file, real = MappedFile(path_or_url("memory://test/file")), Fetched._piece

    def broken(self: Fetched, start: int, stop: int) -> None:
        if start >= 1_000_000:
            raise CheckpointError("gone")
        real(self, start, stop)

    monkeypatch.setattr(Fetched, "_piece", broken)
    with pytest.raises(CheckpointError, match="gone"):
        file.prefetch([(0, SIZE)])
    monkeypatch.setattr(Fetched, "_piece", real)
    look_everywhere(file, data)


# --- checkpoints of every format


def test_golden_checkpoints_read_the_same(every_golden: Any) -> None:
    memory = fsspec.filesystem("memory")
    path = every_golden.path
    for file in [path] if path.is_file() else path.iterdir():
        memory.pipe_file(f"/golden/{file.name}", file.read_bytes())
    try:
        here = open_checkpoint(path).tensors
        url = "memory://golden" + (f"/{path.name}" if path.is_file() else "")
        there = open_checkpoint(path_or_url(url)).tensors
        assert list(here) == list(there)
        assert all(here[name].load().tobytes() == there[name].load().tobytes() for name in here)
    finally:
        memory.rm("/golden", recursive=True)


def test_the_old_format_is_read_in_parts(trained: Callable[..., Path], asked: list[tuple[int, int]]) -> None:
    local = trained(1, _use_new_zipfile_serialization=False)
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/old/ckpt.pt", local.read_bytes())
    try:
        there = open_checkpoint(path_or_url("memory://old/ckpt.pt")).tensors
        assert sum(stop - start for start, stop in asked) < 1_000_000
        here = open_checkpoint(local).tensors
        assert all(here[name].load().tobytes() == there[name].load().tobytes() for name in here)
    finally:
        memory.rm("/old", recursive=True)
