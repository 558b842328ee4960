"""Whatever call the disk refuses, the error says so and nothing is left behind."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.errors import OutputError
from ckpt2hf.output import linux, new_directory, shard_writer, sync, weights, write_json
from ckpt2hf.output.disk import explained
from faults import FailsAt

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ckpt2hf.output import WrittenWeights
    from ckpt2hf.tensors import Array

    Tmpfs = Callable[[str], AbstractContextManager[Path]]
    Write = Callable[..., WrittenWeights]

CALLS = [(os, "pwrite"), (os, "fsync"), (os, "open"), (os, "mkdir"), (os, "rename"), (os, "ftruncate"), (io, "open")]


def run(write: Write, out: Path, tensors: dict[str, Array]) -> None:
    with new_directory(out, force=False) as partial:
        write(tensors, partial, max_shard_bytes=8450)
        write_json(partial / "config.json", {})


@pytest.mark.parametrize(("module", "name"), CALLS, ids=[f"{module.__name__}.{name}" for module, name in CALLS])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
def test_every_call_refused_in_turn(
    write: Write, tmp_path: Path, some: dict[str, Array], module: Any, name: str, number: int
) -> None:
    real = getattr(module, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writer, "reserve", lambda _descriptor, _nbytes: name != "ftruncate")
        patch.setattr(module, name, counter := FailsAt(real, None, number))
        run(write, tmp_path / "a" / "out", some)
    assert counter.calls
    shutil.rmtree(tmp_path / "a")
    for k in range(counter.calls):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shard_writer, "reserve", lambda _descriptor, _nbytes: name != "ftruncate")
            patch.setattr(module, name, failing := FailsAt(real, k, number))
            if failed := _fails(write, tmp_path / "a" / "out", some):
                assert failed.remedies
                assert os.strerror(number) in str(failed)
                assert str(tmp_path) in str(failed.where)
        assert failing.calls > k
        if not failed:
            # The one call that may fail unseen tells stale directories and old content apart from nothing at all.
            assert (tmp_path / "a" / "out" / "config.json").exists()
            shutil.rmtree(tmp_path / "a")
        assert list(tmp_path.iterdir()) == []


def _fails(write: Write, out: Path, tensors: dict[str, Array]) -> OutputError | None:
    try:
        run(write, out, tensors)
    except OutputError as error:
        return error
    return None


def test_a_fault_met_while_writing_back_is_not_lost(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_PAUSE", 0.0)
    monkeypatch.setattr(os, "fsync", FailsAt(os.fsync, 0, errno.EIO))
    with pytest.raises(OutputError, match=os.strerror(errno.EIO)):
        run(write, tmp_path / "out", {str(k): np.zeros(1 << 18, "f4") for k in range(30)})
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_writes_little_at_a_time(
    write: Write, tmp_path: Path, some: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(write, tmp_path / "whole", some)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:777], offset))
    run(write, tmp_path / "bits", some)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "bits" / path.name).read_bytes()
    monkeypatch.setattr(os, "pwrite", lambda _descriptor, _data, _offset: 0)
    with pytest.raises(OutputError):
        run(write, tmp_path / "none", some)


def test_too_little_space_is_found_before_anything_is_written(
    write: Write, tmp_path: Path, some: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 8, 2))
    with pytest.raises(OutputError, match="not enough space") as caught:
        run(write, tmp_path / "out", some)
    assert "free 2 bytes" in caught.value.details[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mount
@pytest.mark.parametrize("unseen", [0, 1, 2], ids=["before", "reserving", "writing"])
def test_a_disk_that_is_really_full(write: Write, tmpfs: Tmpfs, monkeypatch: pytest.MonkeyPatch, unseen: int) -> None:
    with tmpfs("size=1m") as disk:
        if unseen > 0:
            monkeypatch.setattr(weights, "require_space", lambda *_: None)
        if unseen > 1:
            monkeypatch.setattr(shard_writer, "reserve", lambda _descriptor, _nbytes: False)
        with pytest.raises(OutputError, match=r"not enough space|No space left") as caught:
            run(write, disk / "out", {"x": np.ones(400_000, "f4"), "y": np.ones(400_000, "f4")})
        assert "needed" in str(caught.value)
        assert list(disk.iterdir()) == []
        run(write, disk / "out", {"x": np.ones(4, "f4")})


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from ckpt2hf.errors import OutputError
from ckpt2hf.output import WeightFormat, WeightOptions, new_directory, shard_writer, write_weights
from ckpt2hf.tensors import DType, Meta

class Ones:
    meta = Meta((100_000,), DType.F32)
    def read(self, box):
        return np.ones(100_000, "f4")[box]

if sys.argv[2] == "late":
    shard_writer.reserve = lambda descriptor, nbytes: True
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
options = WeightOptions(formats=tuple(WeightFormat), max_shard_bytes=None, threads=2)
try:
    with new_directory(Path(sys.argv[1]), force=False) as partial:
        write_weights({"x": Ones()}, partial, options, lambda nbytes: None)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_limit_on_file_sizes(tmp_path: Path, when: str) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "out"), when]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert "--max-shard-size" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_c_library_without_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        def __init__(self, _name: None, *, use_errno: bool) -> None:
            assert use_errno

    monkeypatch.setattr(linux.ctypes, "CDLL", Bare)
    assert not linux.exchange(tmp_path, tmp_path)
    assert not linux.reserve(0, 1)


def test_a_file_system_that_cannot_reserve(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert not linux.reserve(file.fileno(), 0)  # which the system calls invalid


def test_a_file_system_that_cannot_sync_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unable)
    sync.sync(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Invalid argument"):
        sync.sync(tmp_path / "file")


def test_an_error_is_told_even_if_the_free_space_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"needed 1\.5 MB\n"), explained(tmp_path / "gone" / "file", 1_500_000):
        raise OSError(errno.ENOSPC, "full")


def test_a_system_call_that_fails_for_another_reason_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        linux.exchange(tmp_path / "not there", tmp_path)
