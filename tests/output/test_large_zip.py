"""Files that need zip64, which small limits stand in for, and one that is really that large."""

from __future__ import annotations

import itertools
import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ckpt2hf.output import WeightFormat, stored_zip
from ckpt2hf.output.stored_zip import directory, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.output import WrittenWeights
    from ckpt2hf.tensors import Array

    Write = Callable[..., WrittenWeights]
    Same = Callable[[torch.Tensor, Array], bool]

GIGABYTE = 10**9


@pytest.mark.parametrize(("large", "many"), [(100, 0xFFFF), (2000, 0xFFFF), (0xFFFFFFFF, 4), (0, 0)])
def test_zip64_records_are_read_by_everybody(
    write: Write, same: Same, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int, many: int
) -> None:
    tensors = {str(k): np.arange(50 * k, dtype="f4") for k in range(20)}
    monkeypatch.setattr(stored_zip, "LARGE", large)
    monkeypatch.setattr(stored_zip, "MANY", many)
    (path,) = write(tensors, tmp_path, formats=(WeightFormat.BIN,)).files
    monkeypatch.undo()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(tensors) + 4
        assert archive.read("pytorch_model/data/7") == tensors["7"].tobytes()
    for mapped in (False, True):
        loaded = torch.load(path, weights_only=True, mmap=mapped)
        assert all(same(loaded[name], array) for name, array in tensors.items())


def test_more_records_than_an_old_zip_can_count(tmp_path: Path) -> None:
    records = lay_out({f"r/{k}": 0 for k in range(70_000)})
    path = tmp_path / "many.zip"
    with path.open("wb") as file:
        for record in records:
            file.write(record.local_header(0))
        file.write(directory(records, [0] * len(records)))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [record.name.decode() for record in records]


def test_a_header_reaches_exactly_to_its_data() -> None:
    records = lay_out({f"r/{'x' * k}": k * 37 for k in range(130)})
    for record in records:
        assert len(record.local_header(0)) == record.start - record.header
        assert record.start % stored_zip.ALIGNMENT == 0
    assert all(one.end == other.header for one, other in itertools.pairwise(records))


@pytest.mark.slow
def test_a_file_that_is_really_larger_than_four_gigabytes(write: Write, same: Same, tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 12 * GIGABYTE:
        pytest.fail("this needs 12 GB of disk: set TMPDIR to a place that has them, or leave it out: -m 'not slow'")
    tensors = {
        "broad": np.broadcast_to(np.arange(50_000, dtype="f4"), (22_000, 50_000)),
        "after": np.arange(9, dtype="f4"),
    }
    (path,) = write(tensors, tmp_path, formats=(WeightFormat.BIN,)).files
    assert path.stat().st_size > 4.4 * GIGABYTE
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    loaded = torch.load(path, weights_only=True, mmap=True)
    assert same(loaded["after"], tensors["after"])
    assert torch.equal(loaded["broad"][21_999], torch.arange(50_000, dtype=torch.float32))
    path.unlink()
