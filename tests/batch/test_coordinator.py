"""The coordinator against an executor whose jobs do as a script says, on a clock that costs nothing."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.fake import FakeExecutor, Script, Seen, job
from ckpt2hf import limits
from ckpt2hf.batch import journal
from ckpt2hf.batch.admission import Room
from ckpt2hf.batch.coordinator import Coordinator
from ckpt2hf.batch.events import Abandoned, Event, Lost, Raised
from ckpt2hf.errors import OutputError
from ckpt2hf.report import ReasonReport, Status
from ckpt2hf.run import Needs

NO_LIMITS = Room(None, None)
REFUSED = Raised(ReasonReport("checkpoint", "corrupt"), lasting=True, passing=False)
FULL = Raised(ReasonReport("output", "the disk is full"), lasting=False, passing=False)
PASSING = Raised(ReasonReport("unreachable", "try later"), lasting=False, passing=True)


def coordinator(out: Path, executor: FakeExecutor, **words: Any) -> Coordinator:
    state = out / "state"
    state.mkdir(parents=True, exist_ok=True)
    path = state / "journal-1-of-1.jsonl"
    past = journal.read([path] if path.exists() else [])
    given: dict[str, Any] = {"room": NO_LIMITS, "grace": 10.0, **words}
    return Coordinator(executor, journal.Journal(path), past, given.pop("observer", Seen()), **given)


def always(script: Script) -> Any:
    return lambda _job, _attempt: script


def test_every_job_comes_to_its_end_and_places_are_used(tmp_path: Path) -> None:
    executor = FakeExecutor(3, always(Script()))
    made = coordinator(tmp_path, executor)
    made.run([job(f"m{i}", tmp_path) for i in range(10)])
    assert {result.status for result in made.results.values()} == {Status.PROVED}
    assert len(made.results) == 10
    assert executor.most_working == 3


def test_the_largest_begins_first(tmp_path: Path) -> None:
    executor = FakeExecutor(1, always(Script()))
    sizes = {"a": 5, "b": 50, "c": 20}
    coordinator(tmp_path, executor).run([job(name, tmp_path, nbytes=n) for name, n in sizes.items()])
    assert executor.started == ["b", "c", "a"]


def test_a_refusal_is_a_result_and_is_not_tried_again(tmp_path: Path) -> None:
    executor = FakeExecutor(2, lambda job, _attempt: Script(last=REFUSED) if job.name == "bad" else Script())
    made = coordinator(tmp_path, executor)
    made.run([job("bad", tmp_path), job("good", tmp_path)])
    assert made.results["bad"].status is Status.REFUSED
    assert made.results["bad"].reason == REFUSED.reason
    assert made.results["good"].status is Status.PROVED
    assert executor.started.count("bad") == 1


@pytest.mark.parametrize("fault", [Lost("killed"), PASSING, Abandoned()])
def test_a_fault_that_can_pass_is_tried_again_after_a_pause(tmp_path: Path, fault: Event) -> None:
    executor = FakeExecutor(1, lambda _job, attempt: Script(last=fault if attempt < 3 else None))
    seen = Seen()
    made = coordinator(tmp_path, executor, observer=seen)
    made.run([job("m", tmp_path, retries=2)])
    assert made.results["m"].status is Status.PROVED
    assert made.results["m"].attempts == 3
    delays = [delay for _, _, delay in seen.of("again")]
    assert len(delays) == 2
    assert 0.5 <= delays[0] <= 1.0 <= delays[1] <= 2.0


def test_retries_come_to_an_end(tmp_path: Path) -> None:
    executor = FakeExecutor(1, always(Script(last=Lost("killed by SIGSEGV"))))
    made = coordinator(tmp_path, executor)
    made.run([job("m", tmp_path, retries=4)])
    assert executor.started == ["m"] * 5
    assert made.results["m"].status is Status.FAILED
    assert made.results["m"].reason == ReasonReport("lost", "killed by SIGSEGV")


def test_a_full_disk_is_not_tried_again_at_once_but_in_the_next_run(tmp_path: Path) -> None:
    made = coordinator(tmp_path, FakeExecutor(1, always(Script(last=FULL))))
    made.run([job("m", tmp_path)])
    assert made.results["m"].status is Status.FAILED
    executor = FakeExecutor(1, always(Script()))
    again = coordinator(tmp_path, executor)
    again.run([job("m", tmp_path)])
    assert again.results["m"].status is Status.PROVED
    assert again.results["m"].attempts == 2


def test_what_was_killed_runs_alone_the_next_time(tmp_path: Path) -> None:
    def script(job: Any, attempt: int) -> Script:
        return Script(last=Lost("SIGKILL"), work=1) if (job.name, attempt) == ("big", 1) else Script(work=3)

    beside: list[int] = []

    def look(executor: FakeExecutor) -> None:
        if executor.started.count("big") == 2 and any(executor.running[n][0].name == "big" for n in executor.working):
            beside.append(len(executor.working))

    executor = FakeExecutor(3, script, look)
    made = coordinator(tmp_path, executor)
    made.run([job("big", tmp_path, nbytes=9), *(job(f"m{i}", tmp_path) for i in range(9))])
    assert made.results["big"].status is Status.PROVED
    assert beside
    assert set(beside) == {1}


def test_jobs_that_do_not_fit_together_wait_for_each_other(tmp_path: Path) -> None:
    room = Room(limits.Memory(1 << 30, 1 << 30, "the container"), None)
    needs = Needs(memory=400 << 20, libraries=40 << 20, disk=0)
    executor = FakeExecutor(4, always(Script(needs=needs)))
    seen = Seen()
    made = coordinator(tmp_path, executor, room=room, observer=seen)
    made.run([job(f"m{i}", tmp_path) for i in range(6)])
    assert {result.status for result in made.results.values()} == {Status.PROVED}
    assert executor.most_working == 2
    assert ("m2", "memory") in seen.of("waiting")


def test_a_job_that_can_never_fit_is_stopped_before_it_begins(tmp_path: Path) -> None:
    room = Room(limits.Memory(256 << 20, 256 << 20, "the container"), None)
    large = Needs(memory=1 << 30, libraries=320 << 20, disk=0)
    executor = FakeExecutor(2, lambda job, _attempt: Script(needs=large) if job.name == "large" else Script())
    made = coordinator(tmp_path, executor, room=room)
    made.run([job("large", tmp_path), job("small", tmp_path)])
    reason = made.results["large"].reason
    assert made.results["large"].status is Status.FAILED
    assert reason is not None
    assert reason.code == "resources"
    assert "the container" in reason.what
    assert "--verify bytes" in reason.remedies[0]
    assert made.results["small"].status is Status.PROVED


def test_the_disk_is_shared_out_and_a_full_one_is_said(tmp_path: Path) -> None:
    needs = Needs(memory=1, libraries=0, disk=60)
    executor = FakeExecutor(3, always(Script(needs=needs)))
    made = coordinator(tmp_path, executor, room=Room(None, lambda: 100))
    made.run([job(f"m{i}", tmp_path) for i in range(3)])
    assert executor.most_working == 1
    made = coordinator(tmp_path / "full", FakeExecutor(3, always(Script(needs=needs))), room=Room(None, lambda: 59))
    made.run([job("m", tmp_path / "full")])
    reason = made.results["m"].reason
    assert made.results["m"].status is Status.FAILED
    assert reason is not None
    assert reason.code == "output"


@pytest.mark.parametrize("deaf", [False, True])
def test_a_job_that_takes_too_long_is_ended(tmp_path: Path, deaf: bool) -> None:
    executor = FakeExecutor(1, always(Script(work=1000, deaf=deaf)))
    made = coordinator(tmp_path, executor)
    made.run([job("slow", tmp_path, timeout=30.0)])
    reason = made.results["slow"].reason
    assert made.results["slow"].status is Status.FAILED
    assert reason is not None
    assert reason.code == "timeout"
    assert executor.started == ["slow"]
    assert executor.killed == (["slow"] if deaf else [])
    assert 30 < executor.clock < 40


def test_waiting_for_memory_takes_no_time_of_the_job(tmp_path: Path) -> None:
    room = Room(limits.Memory(1 << 30, 1 << 30, "the container"), None)
    needs = Needs(memory=800 << 20, libraries=40 << 20, disk=0)
    made = coordinator(tmp_path, FakeExecutor(2, always(Script(needs=needs, work=20))), room=room)
    made.run([job("a", tmp_path, timeout=25.0), job("b", tmp_path, timeout=25.0)])
    assert {result.status for result in made.results.values()} == {Status.PROVED}


def test_told_to_stop_what_is_nearly_done_finishes_and_the_rest_is_pending(tmp_path: Path) -> None:
    stops: list[str] = []

    def look(executor: FakeExecutor) -> None:
        if executor.clock > 5 and not stops:
            stops.append("SIGTERM")

    work = {"quick": 6.0, "slow": 500.0, "deaf": 500.0}
    executor = FakeExecutor(3, lambda job, _attempt: Script(work=work.get(job.name, 1), deaf=job.name == "deaf"), look)
    made = coordinator(tmp_path, executor, stops=stops)
    made.run([*(job(name, tmp_path, nbytes=9) for name in work), job("later", tmp_path)])
    found = {name: result.status for name, result in made.results.items()}
    assert found == {
        "quick": Status.PROVED,
        "slow": Status.PENDING,
        "deaf": Status.PENDING,
        "later": Status.PENDING,
    }
    assert executor.clock < 5 + 10
    again = FakeExecutor(3, always(Script()))
    rerun = coordinator(tmp_path, again)
    rerun.run([*(job(name, tmp_path) for name in work), job("later", tmp_path)])
    assert sorted(again.started) == ["deaf", "later", "slow"]
    assert {result.status for result in rerun.results.values()} == {Status.PROVED}
    assert rerun.results["quick"].earlier


def test_told_twice_nothing_gets_any_grace(tmp_path: Path) -> None:
    stops: list[str] = []

    def look(executor: FakeExecutor) -> None:
        if len(stops) < 2 and executor.clock > 5 + len(stops):
            stops.append("SIGINT")

    executor = FakeExecutor(1, always(Script(work=9)), look)
    made = coordinator(tmp_path, executor, stops=stops, grace=100.0)
    made.run([job("m", tmp_path)])
    assert made.results["m"].status is Status.PENDING
    assert executor.clock < 10


def test_a_changed_source_redoes_just_that_one(tmp_path: Path) -> None:
    sources = {name: tmp_path / f"{name}.pt" for name in "abc"}
    for path in sources.values():
        path.write_bytes(b"1")
    jobs = [job(name, tmp_path, source=path) for name, path in sources.items()]
    coordinator(tmp_path, FakeExecutor(2, always(Script()))).run(jobs)
    nothing = FakeExecutor(2, always(Script()))
    coordinator(tmp_path, nothing).run(jobs)
    assert nothing.started == []
    sources["b"].write_bytes(b"22")
    one = FakeExecutor(2, always(Script()))
    coordinator(tmp_path, one).run(jobs)
    assert one.started == ["b"]


def test_a_changed_option_redoes_it_and_another_thread_count_does_not(tmp_path: Path) -> None:
    first = job("m", tmp_path)
    coordinator(tmp_path, FakeExecutor(1, always(Script()))).run([first])
    for words, redone in (({"threads": 7}, []), ({"allow_nonfinite": True}, ["m"])):
        changed = dataclasses.replace(first, writing=dataclasses.replace(first.writing, **words))
        executor = FakeExecutor(1, always(Script()))
        coordinator(tmp_path, executor).run([changed])
        assert executor.started == redone


@pytest.mark.parametrize("harm", ["gone", "shorter", "another file"])
def test_a_result_that_is_not_as_it_was_left_is_made_again(tmp_path: Path, harm: str) -> None:
    coordinator(tmp_path, FakeExecutor(1, always(Script()))).run([job("m", tmp_path)])
    file = tmp_path / "m" / "config.json"
    if harm == "another file":
        (tmp_path / "m" / "stranger").touch()
    elif harm == "shorter":
        file.write_text("", encoding="utf-8")
    else:
        file.unlink()
    executor = FakeExecutor(1, always(Script()))
    coordinator(tmp_path, executor).run([job("m", tmp_path)])
    assert executor.started == ["m"]


def test_a_refusal_stands_until_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator(tmp_path, FakeExecutor(1, always(Script(last=REFUSED)))).run([job("m", tmp_path)])
    same = FakeExecutor(1, always(Script()))
    made = coordinator(tmp_path, same)
    made.run([job("m", tmp_path)])
    assert same.started == []
    assert made.results["m"].earlier
    assert made.results["m"].reason == REFUSED.reason
    monkeypatch.setattr(journal, "__version__", "99")
    newer = FakeExecutor(1, always(Script()))
    coordinator(tmp_path, newer).run([job("m", tmp_path)])
    assert newer.started == ["m"]


def test_a_journal_that_cannot_be_written_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = coordinator(tmp_path, FakeExecutor(1, always(Script())))

    def refuse(*_arguments: object) -> None:
        raise OutputError("cannot write journal")

    monkeypatch.setattr(made.journal, "finished", refuse)
    with pytest.raises(OutputError):
        made.run([job("m", tmp_path), job("n", tmp_path)])


def test_a_source_that_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    lost = job("m", tmp_path, source=tmp_path / "m.pt")
    for _ in range(2):
        executor = FakeExecutor(1, always(Script(last=REFUSED)))
        coordinator(tmp_path, executor).run([lost])
        assert executor.started == ["m"]


OUTCOMES = st.sampled_from([None, None, None, REFUSED, FULL, PASSING, Lost("killed"), Abandoned()])
SCRIPTS = st.builds(
    Script,
    plan_after=st.sampled_from([0.1, 1.0, -0.5]),
    needs=st.builds(Needs, memory=st.integers(0, 500 << 20), libraries=st.just(40 << 20), disk=st.integers(0, 100)),
    work=st.floats(0.1, 50),
    last=OUTCOMES,
    deaf=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(
    scripts=st.lists(st.lists(SCRIPTS, min_size=1, max_size=4), min_size=1, max_size=8),
    slots=st.integers(1, 4),
    stop_at=st.one_of(st.none(), st.floats(0, 60)),
)
def test_whatever_happens_each_job_has_one_result_and_the_journal_knows_it(
    scripts: list[list[Script]], slots: int, stop_at: float | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        stops: list[str] = []

        def script(job: Any, attempt: int) -> Script:
            mine = scripts[int(job.name)]
            return mine[min(attempt, len(mine)) - 1]

        def look(executor: FakeExecutor) -> None:
            if stop_at is not None and executor.clock >= stop_at and not stops:
                stops.append("SIGTERM")

        memory = 700 << 20
        executor = FakeExecutor(slots, script, look)
        seen = Seen()
        room = Room(limits.Memory(memory, memory, "the container"), lambda: 150)
        made = coordinator(out, executor, observer=seen, room=room, stops=stops)
        jobs = [job(f"{i}", out, timeout=40.0) for i in range(len(scripts))]
        made.run(jobs)
        assert sorted(made.results) == sorted(job.name for job in jobs)
        assert sorted(done.name for (done,) in seen.of("finished")) == sorted(made.results)
        assert executor.most_memory <= memory
        assert not executor.running
        past = journal.read([out / "state" / "journal-1-of-1.jsonl"])
        for name, result in made.results.items():
            if result.status is Status.PENDING:
                assert stops
                assert name not in past.done
            else:
                assert past.done[name].job == result
            if result.status is Status.PROVED:
                assert (out / name / "config.json").exists()
        finished = coordinator(out, FakeExecutor(slots, always(Script())))
        finished.run(jobs)
        assert {result.status for result in finished.results.values()} <= {Status.PROVED, Status.REFUSED}
