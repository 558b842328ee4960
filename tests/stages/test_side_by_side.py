"""Forms that need nothing of each other are made at the same time, where memory and processors allow."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt2hf import limits
from ckpt2hf.api import Command, FormsRequest, make_forms
from ckpt2hf.errors import ResourceError, VerificationError
from ckpt2hf.stages import STAGES, Apart, Size, require_room, side_by_side
from stages.command import COMMAND
from stages.processes import children

if TYPE_CHECKING:
    from ckpt2hf.stages import Job, Made

BY_ID = {stage.id: stage for stage in STAGES}
COURSE = Size(134_000_000, 134_000_000, 256 * 32_000)
GIB = 1 << 30


def allowed(monkeypatch: pytest.MonkeyPatch, nbytes: int | None) -> None:
    room = None if nbytes is None else limits.Memory(nbytes, nbytes, "the container")
    monkeypatch.setattr(limits, "memory", lambda: room)
    # What the tests before this one left in this process is no part of what a run needs.
    monkeypatch.setattr(limits, "own_memory", lambda: 300 << 20)


def test_as_many_run_as_memory_and_processors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    three = [BY_ID[name] for name in ("onnx-q8", "onnx-q4", "onnx-q4f16")]
    for nbytes, processors, wanted in (
        (None, 8, 3),
        (None, 2, 2),
        (64 * GIB, 8, 3),
        (64 * GIB, 1, 1),
        (5 * GIB, 8, 2),
        (3 * GIB, 8, 1),
        (1 * GIB, 8, 1),
    ):
        allowed(monkeypatch, nbytes)
        assert side_by_side(three, COURSE, processors) == wanted, (nbytes, processors)


def test_what_the_kernel_would_kill_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [BY_ID[name] for name in ("onnx", "onnx-q8", "onnx-q4")]
    allowed(monkeypatch, 2 * GIB)
    with pytest.raises(
        ResourceError, match=r"onnx-q8 takes up to [23]\d\d\d MiB of memory, and the container"
    ) as refused:
        require_room(stages, COURSE)
    assert "enough for onnx-q4" in refused.value.details
    allowed(monkeypatch, 3 * GIB)
    require_room(stages, COURSE)
    with pytest.raises(ResourceError, match=r"onnx-q8 takes up to [34]\d\d\d"):
        require_room(stages, COURSE, beside=GIB // 2)
    allowed(monkeypatch, 4 * GIB)
    require_room(stages, COURSE)
    allowed(monkeypatch, None)
    require_room(stages, COURSE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_too_little_memory_is_said_before_any_work(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed(monkeypatch, 100 << 20)
    with pytest.raises(ResourceError, match="onnx-q4 takes up to"):
        make_forms(FormsRequest(directory=exported, command=Command.QUANTIZE, forms=("onnx-q4",)))
    assert not exported.with_name("exported.quantize.log").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_processes_overlap_share_the_processors_and_come_out_in_order(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: dict[str, tuple[float, float, int]] = {}
    run = Apart.run

    def timed(self: Apart, job: Job, work: Path, threads: int) -> Made:
        begun = time.monotonic()
        made = run(self, job, work, threads)
        times[job.stage] = (begun, time.monotonic(), threads)
        return made

    monkeypatch.setattr(Apart, "run", timed)
    monkeypatch.setattr(limits, "processors", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    forms = make_forms(FormsRequest(directory=exported, command=Command.QUANTIZE, forms=("onnx-q4", "onnx-q8")))
    assert [form.report.id for form in forms] == ["onnx-q8", "onnx-q4"]
    assert max(begun for begun, _, _ in times.values()) < min(ended for _, ended, _ in times.values())
    assert {threads for _, _, threads in times.values()} == {3}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_that_breaks_down_ends_the_others_and_adds_nothing(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(path.name for path in (exported / "onnx").iterdir())
    monkeypatch.setattr(limits, "processors", lambda: 2)
    run = Apart.run

    def broken(self: Apart, job: Job, work: Path, threads: int) -> Made:
        if job.stage == "onnx-int8":
            job = replace(job, tokens=str(Path(job.tokens).with_name("none.npy")))
        return run(self, job, work, threads)

    monkeypatch.setattr(Apart, "run", broken)
    with pytest.raises(VerificationError, match="the process that makes onnx-int8 ended with status 1") as told:
        make_forms(FormsRequest(directory=exported, command=Command.QUANTIZE, forms=("onnx-q4", "onnx-int8")))
    assert any("none.npy" in line for line in told.value.details)
    assert sorted(path.name for path in (exported / "onnx").iterdir()) == files
    assert not list(exported.parent.glob("*partial*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_none_of_them_outlives_the_command(exported: Path, number: signal.Signals) -> None:
    log = exported.with_name("exported.quantize.log")
    words = [COMMAND, "quantize", exported, "--to", "onnx-q4,onnx-q8"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (log.exists() and log.read_text(encoding="utf-8").count("== ") == 2):
        assert process.poll() is None, "it finished before it could be disturbed"
        time.sleep(0.002)
    process.send_signal(number)
    assert process.wait() != 0
    until = time.monotonic() + 20
    while (left := children(exported)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
    assert not (exported / "onnx" / "model_q4.onnx").exists()
