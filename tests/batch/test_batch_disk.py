"""A disk that is full or read-only from some moment on: what is there is whole, and the next run does the rest."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch.fake import FakeExecutor, Script, Seen, job
from ckpt2hf.batch import Batch, journal
from ckpt2hf.batch.job import BatchOptions, Gathered
from ckpt2hf.errors import OutputError
from ckpt2hf.output import write_whole
from ckpt2hf.report import Status

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "disturb_batch.py"


@pytest.mark.mount
@pytest.mark.slow
def test_a_real_disk_at_random_moments(tmp_path: Path) -> None:
    kinds = ("full", "read-only")
    words = [sys.executable, str(SCRIPT), "--count", "2", "--checkpoints", "4", "--work", str(tmp_path), *kinds]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert tuple(name for name, *_ in rows) == kinds
    for _, moments, met, complaints, *_ in rows:
        assert int(complaints) == 0
        assert int(moments) >= int(met) >= 1


def batch(out: Path, count: int = 3) -> Batch:
    jobs = tuple(job(f"m{k}", out) for k in range(count))
    gathered = Gathered(jobs=jobs, skipped=(), options=BatchOptions())
    executor = FakeExecutor(2, lambda _job, _attempt: Script())
    return Batch(gathered=gathered, inputs=(), out=out, observer=Seen(), executor=lambda _jobs: executor)


def raised(work: Batch) -> OutputError | None:
    try:
        work.run()
    except OutputError as error:
        return error
    return None


class FailsAt:
    """A function that works `at` times, then fails once, or ever after."""

    def __init__(self, real: Callable[..., Any], at: int, number: int, *, ever: bool) -> None:
        self.real, self.at, self.number, self.ever, self.calls = real, at, number, ever, 0

    def __call__(self, *words: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls > self.at and (self.ever or self.calls == self.at + 1):
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*words, **named)


@pytest.mark.parametrize("ever", [False, True], ids=["once", "ever after"])
@pytest.mark.parametrize(("call", "number"), [("write", errno.ENOSPC), ("fsync", errno.EIO), ("open", errno.EROFS)])
def test_every_call_of_the_batch_itself_refused_in_turn(tmp_path: Path, call: str, number: int, ever: bool) -> None:
    at, refused = 0, 0
    while True:
        out = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, call, failing := FailsAt(getattr(os, call), at, number, ever=ever))
            error = raised(batch(out))
        if error is not None:
            assert os.strerror(number) in str(error)
            assert error.remedies
            refused += 1
        if failing.calls <= at:
            break
        past = journal.read(sorted((out / ".ckpt2hf").glob(journal.PATTERN)))
        assert all(done.stands(done.key, out / name) for name, done in past.done.items())
        again = batch(out)
        assert {result.status for result in again.run().jobs} == {Status.PROVED}
        assert {job["status"] for job in json.loads((out / "batch.json").read_bytes())["jobs"]} == {"proved"}
        at += 1
    assert refused >= at - 1 >= 5  # the one that may fail unseen tells what lies where nothing does


def test_a_small_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, hidden = tmp_path / "batch.json", tmp_path / "hidden"
    write_whole(path, "old", hidden)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FailsAt(os.fsync, 0, errno.ENOSPC, ever=True))
        with pytest.raises(OutputError, match="No space left"):
            write_whole(path, "new", hidden)
    assert path.read_text(encoding="utf-8") == "old"
    write_whole(path, "undecodable \udcff", hidden)
    assert [each.name for each in tmp_path.iterdir()] == ["batch.json"]
    assert path.read_bytes() == b"undecodable \\udcff"


TWO_WRITERS = """
import sys
from pathlib import Path
from ckpt2hf.output import write_whole
folder, sign = Path(sys.argv[1]), sys.argv[2]
for _ in range(40):
    write_whole(folder / "batch.json", sign * 200_000, folder / "hidden")
"""


def test_two_who_write_the_same_file_take_turns(tmp_path: Path) -> None:
    """A batch, and `ckpt2hf report` over it meanwhile."""
    writers = [subprocess.Popen([sys.executable, "-c", TWO_WRITERS, str(tmp_path), sign]) for sign in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "batch.json").exists():
            text = (tmp_path / "batch.json").read_text(encoding="utf-8")
            assert (len(text), len(set(text))) == (200_000, 1)
            seen.add(text[0])
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {"a", "b"}
