"""A run that is killed at any moment leaves nothing under the name, and the next one cleans up after it."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import torch

from ckpt2hf.output import new_directory, partial_directory

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RUN = """
import sys
from pathlib import Path
import numpy as np
from ckpt2hf.output import WeightFormat, WeightOptions, new_directory, write_json, write_weights
from ckpt2hf.tensors import DType, Meta

class Filled:
    meta = Meta((1000, 1000), DType.F32)
    def __init__(self, value):
        self.value = value
    def read(self, box):
        return np.full(tuple(part.stop - part.start for part in box), self.value, "f4")

options = WeightOptions(formats=tuple(WeightFormat), max_shard_bytes=12_000_000, threads=2)
print("ready", flush=True)
with new_directory(Path(sys.argv[1]), force=True) as partial:
    write_weights({str(k): Filled(float(sys.argv[2])) for k in range(8)}, partial, options, lambda nbytes: None)
    write_json(partial / "config.json", {})
"""


def start(out: Path, value: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", RUN, str(out), str(value)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def complete(out: Path) -> set[float]:
    """The values of all the elements of a directory that must be whole."""
    assert (out / "config.json").exists()
    shards = [torch.load(path, weights_only=True) for path in out.glob("*.bin")]
    assert sum(len(shard) for shard in shards) == 8
    return {value for shard in shards for tensor in shard.values() for value in tensor.unique().tolist()}


def test_killed_at_any_moment(tmp_path: Path) -> None:
    out, moments, held = tmp_path / "out", random.Random(0), set()  # noqa: S311
    for value in range(12):
        process = start(out, value)
        time.sleep(moments.uniform(0, 0.12))
        process.kill()
        process.communicate()
        names = {path.name for path in tmp_path.iterdir()} - {"out"}
        assert all(name.startswith("out.partial-") for name in names)
        assert len(names) <= 2
        if out.exists():
            now = complete(out)
            assert now in (held, {value})
            held = now
        else:
            assert not held
    process = start(out, 99)
    process.communicate()
    assert process.returncode == 0
    assert complete(out) == {99}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.partial-dead").mkdir()
    (tmp_path / "out.partial-dead" / "file").write_text("x")
    (tmp_path / "out.partial-file").write_text("not a directory")
    (tmp_path / "other.partial-dead").mkdir()
    with new_directory(tmp_path / "out", force=False) as first:
        with new_directory(tmp_path / "out", force=False) as second:
            (second / "file").write_text("second")
            assert first.is_dir()
        assert (tmp_path / "out" / "file").read_text() == "second"
        (tmp_path / "out" / "file").unlink()
    assert {path.name for path in tmp_path.iterdir()} == {"out", "other.partial-dead", "out.partial-file"}


def test_a_directory_taken_for_stale_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].rmdir()
        real(descriptor, operation)

    monkeypatch.setattr(partial_directory.fcntl, "flock", late)
    with new_directory(tmp_path / "out", force=False) as partial:
        assert partial not in taken
    assert len(taken) == 1


def test_a_directory_taken_before_it_is_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = os.open, []

    def late(path: object, *args: object, **kwargs: object) -> int:
        if not taken and isinstance(path, os.PathLike) and ".partial-" in os.fspath(path):
            taken.append(path)
            path.rmdir()
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", late)
    with new_directory(tmp_path / "out", force=False) as partial:
        assert partial not in taken
    assert len(taken) == 1


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_descriptor: int, _operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(partial_directory.fcntl, "flock", unsupported)
    (tmp_path / "out.partial-whose").mkdir()
    with new_directory(tmp_path / "out", force=False):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.partial-whose"}
