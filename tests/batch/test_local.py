"""Real processes: one job's misfortune is its own, and every batch comes to its end."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch.fake import Seen
from batch.stand_in import Strange
from ckpt2hf.batch import Batch, local
from ckpt2hf.batch.events import Abandoned, Lost, Phase, Planned, Raised
from ckpt2hf.batch.forkserver import Ended, _Server, receive, send
from ckpt2hf.batch.job import BatchOptions, Gathered, Job
from ckpt2hf.batch.local import LocalExecutor
from ckpt2hf.report import BatchReport, JobReport, Status
from ckpt2hf.run import Request
from ckpt2hf.verify import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.batch.events import Event
    from conftest import GoldenCase

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _stand_in_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the processes of jobs as well."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def job(tmp_path: Path, golden: Callable[[str], GoldenCase]) -> Callable[..., Job]:
    """A job over a small checkpoint, with a deed."""
    source = golden("build_nanogpt").path

    def made(name: str, deed: str = "", once: Path | None = None, **words: Any) -> Job:
        writing = Strange(out=tmp_path / "out" / name, level=Level.BYTES, deed=deed, once=once)
        return Job(
            name=name,
            request=Request(source=source),
            writing=writing,
            files=(source,),
            nbytes=1,
            **{"retries": 0, **words},
        )

    return made


def batch(out: Path, *jobs: Job, grace: float = 4.0, observer: Any = None) -> Batch:
    options = BatchOptions(workers=2, grace=grace)
    gathered = Gathered(jobs=jobs, skipped=(), options=options)
    return Batch(gathered=gathered, inputs=(), out=out, observer=observer or Seen())


def found(report: BatchReport) -> dict[str, JobReport]:
    return {job.name: job for job in report.jobs}


def reason(job: JobReport) -> str:
    assert job.reason
    return f"{job.reason.code}: {job.reason.what}"


def partial(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if ".partial-" in path.name]


def test_the_misfortune_of_one_is_no_misfortune_of_the_others(tmp_path: Path, job: Callable[..., Job]) -> None:
    deeds = ["be greedy", "be slowly greedy", "be killed", "crash", "exit", "leave", "err", "be told"]
    jobs = [job(deed, deed) for deed in deeds]
    jobs += [job("sleep", "sleep", timeout=1.0), job("be deaf", "be deaf", timeout=1.0), job("fine"), job("a/b/c")]
    results = found(batch(tmp_path / "out", *jobs).run())
    assert {name for name, result in results.items() if result.status is Status.PROVED} == {"fine", "a/b/c"}
    assert {result.status for name, result in results.items() if name not in {"fine", "a/b/c"}} == {Status.FAILED}
    for greedy in deeds[:2]:
        assert reason(results[greedy]) == "resources: the conversion needed more memory than was planned for it"
    assert "SIGKILL" in reason(results["be killed"])
    assert "SIGSEGV" in reason(results["crash"])
    assert "exit code 3" in reason(results["exit"])
    assert "exit code" in reason(results["leave"])
    assert reason(results["err"]).startswith("bug")
    assert results["err"].reason
    assert "nobody thought of this" in results["err"].reason.details[-1]
    assert "by somebody else" in reason(results["be told"])
    for slow in ("sleep", "be deaf"):
        assert reason(results[slow]) == "timeout: it took longer than 1 s"
        assert 1.0 <= results[slow].seconds < 10.0
    assert not partial(tmp_path)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"fine", "a", "batch.json", "batch.html"}
    assert not any((tmp_path / "out" / name).exists() for name in (*deeds, "sleep", "be deaf"))


def test_faults_that_pass_are_tried_again(tmp_path: Path, job: Callable[..., Job]) -> None:
    deeds = ["be killed", "exit", "be told"]
    jobs = [job(deed, deed, once=tmp_path / deed, retries=1) for deed in deeds]
    results = found(batch(tmp_path / "out", *jobs).run())
    assert {(result.status, result.attempts) for result in results.values()} == {(Status.PROVED, 2)}
    assert not partial(tmp_path)


def test_told_to_stop_it_keeps_what_is_done_and_the_next_one_does_the_rest(
    tmp_path: Path, job: Callable[..., Job]
) -> None:
    seen = Seen()
    jobs = [job("quick"), job("slow", "sleep"), job("slower", "be deaf")]
    work = batch(tmp_path / "out", *jobs, grace=2.0, observer=seen)
    stopped: list[float] = []

    def stop() -> None:
        while len(seen.of("started")) < 3:
            time.sleep(0.01)
        time.sleep(0.3)
        stopped.append(time.monotonic())
        work.stop("SIGTERM")

    threading.Thread(target=stop).start()
    report = work.run()
    assert time.monotonic() - stopped[0] < 2.0 + 3.0
    assert report.interrupted
    results = found(report)
    assert {name: result.status for name, result in results.items()} == {
        "quick": Status.PROVED,
        "slow": Status.PENDING,
        "slower": Status.PENDING,
    }
    assert not partial(tmp_path)
    again = found(batch(tmp_path / "out", job("quick"), job("slow"), job("slower")).run())
    assert {result.status for result in again.values()} == {Status.PROVED}


def test_told_twice_it_ends_at_once(tmp_path: Path, job: Callable[..., Job]) -> None:
    seen = Seen()
    work = batch(tmp_path / "out", job("m", "sleep"), grace=60.0, observer=seen)

    def stop() -> None:
        while not seen.of("phase"):
            time.sleep(0.01)
        work.stop("SIGINT")
        work.stop("SIGINT")

    threading.Thread(target=stop).start()
    began = time.monotonic()
    report = work.run()
    assert time.monotonic() - began < 15
    assert [job.status for job in report.jobs] == [Status.PENDING]
    assert [grace for _, grace in seen.of("stopping")] == [0.0]


def events(executor: LocalExecutor, until: Callable[[list[tuple[int, Event]]], object]) -> list[tuple[int, Event]]:
    """What is heard until something is, at most for half a minute."""
    heard: list[tuple[int, Event]] = []
    deadline = time.monotonic() + 30
    while not until(heard):
        assert time.monotonic() < deadline, heard
        new = executor.wait(0.2)
        heard += new
        for number, event in new:
            if isinstance(event, Planned):
                executor.let_in(number, event.needs)
    return heard


def last(heard: list[tuple[int, Event]]) -> dict[int, Event]:
    return {number: event for number, event in heard if isinstance(event, Lost | Abandoned | Raised)}


def test_a_forkserver_that_dies_takes_its_jobs_with_it_and_is_made_anew(job: Callable[..., Job]) -> None:
    executor = LocalExecutor(2, 1, frozenset({Level.BYTES}))
    try:
        numbers = [executor.start(job(name, "sleep")) for name in "ab"]
        events(executor, lambda heard: sum(isinstance(event, Planned) for _, event in heard) == 2)
        assert executor._server
        server = executor._server.process.pid
        children = [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
        assert len(children) == 2
        os.kill(server, signal.SIGKILL)
        heard = events(executor, lambda heard: len(last(heard)) == 2)
        assert set(last(heard)) == set(numbers)
        assert all(isinstance(event, Lost) and "SIGKILL" in event.why for event in last(heard).values())
        deadline = time.monotonic() + 5
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        number = executor.start(job("c", "exit"))
        assert number in last(events(executor, lambda heard: number in last(heard)))
    finally:
        executor.close()


def test_a_job_that_is_stopped_cleans_up_and_says_so(tmp_path: Path, job: Callable[..., Job]) -> None:
    executor = LocalExecutor(1, 1, frozenset({Level.BYTES}))
    try:
        number = executor.start(job("m", "sleep"))
        events(executor, lambda _heard: partial(tmp_path))
        executor.stop(number, kill=False)
        assert last(events(executor, last)) == {number: Abandoned()}
        assert not partial(tmp_path)
        executor.stop(number, kill=True)  # it is gone: nothing happens
    finally:
        executor.close()
    executor.close()


def test_a_process_that_cannot_be_started_is_a_fault_that_passes(
    tmp_path: Path, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = subprocess.Popen, []

    def popen(*words: Any, **named: Any) -> subprocess.Popen[bytes]:
        if not refused:
            refused.append(words)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return real(*words, **named)

    monkeypatch.setattr(local.subprocess, "Popen", popen)
    results = found(batch(tmp_path / "out", job("m", retries=1)).run())
    assert refused
    assert (results["m"].status, results["m"].attempts) == (Status.PROVED, 2)


def test_a_process_that_cannot_be_copied_is_the_end_of_one_job_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, Path("/dev/null").open("rb") as line:
        server = _Server(theirs)
        with server.wake, server.woken:
            server._fork(7, os.dup(line.fileno()))
        message, _ = receive(ours)
    assert isinstance(message, Ended)
    assert message.number == 7
    assert os.waitstatus_to_exitcode(message.status) == 1
    assert not server.children


def test_the_other_side_is_gone() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        theirs.close()
        assert receive(ours) == (None, [])
        with pytest.raises(OSError, match="pipe"):
            send(ours, Ended(1, 0))
    executor = LocalExecutor(1, 1, frozenset())
    assert executor.wait(0.01) == []
    executor.stop(3, kill=True)
    executor.close()


def test_every_process_of_a_batch_holds_its_lock(tmp_path: Path, job: Callable[..., Job]) -> None:
    """So that a batch that is started again at once does not meet the jobs of the one that was killed."""
    with (tmp_path / "lock").open("w") as lock:
        executor = LocalExecutor(1, 1, frozenset({Level.BYTES}), keep_open=(lock.fileno(),))
        try:
            executor.start(job("m", "sleep"))
            events(executor, lambda heard: [event for _, event in heard if isinstance(event, Phase)])
            assert executor._server
            server = executor._server.process.pid
            (child,) = Path(f"/proc/{server}/task/{server}/children").read_text().split()
            for pid in (server, int(child)):
                held = {path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}
                assert tmp_path / "lock" in held
        finally:
            executor.close()
