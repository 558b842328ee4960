"""What `scripts/simulate_batch.py` assumes is what happens, and the coordinator's work for a job stays the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from batch.fake import job
from ckpt2hf.batch import Part
from ckpt2hf.batch.admission import Room
from ckpt2hf.batch.child import converted
from ckpt2hf.batch.coordinator import Coordinator
from ckpt2hf.batch.events import Advanced, Converted, Phase, Planned, Raised
from ckpt2hf.batch.job import Job
from ckpt2hf.batch.journal import Past
from ckpt2hf.batch.state import LocalState
from ckpt2hf.report import ReasonReport, Status
from ckpt2hf.run import Request, Writing
from module_file import load_module

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
EXAMPLE = SCRIPTS.parent / "examples" / "az-mini" / "az_llm_mini_final.pt"


@pytest.fixture(scope="module")
def simulation() -> Any:
    return load_module(SCRIPTS / "simulate_batch.py", "simulate_batch")


class Line:
    """A job's line to the coordinator, which lets it in at once."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def send(self, event: Any) -> None:
        self.said.append(event)

    def recv(self) -> None:
        return None


def calls(simulation: Any, out: Path, count: int, workers: int) -> Any:
    """What a simulated batch of so many jobs asked of its executor and of the disk."""
    state = LocalState(out)
    state.folder.mkdir(parents=True)
    executor = simulation.Pretended(workers, 0.2)
    with state.record(Part()) as record, patch("os.fsync") as fsync:
        coordinator = Coordinator(executor, record, Past(), simulation.Silent(), Room(None, None), 8.0)
        coordinator.run([job(f"m{k:04}", out) for k in range(count)])
    assert {result.status for result in coordinator.results.values()} == {Status.PROVED}
    assert len(coordinator.results) == count
    return {**executor.calls, "fsync": fsync.call_count}


def test_the_simulated_job_says_what_a_real_one_says(
    simulation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpt2hf.batch.child.limit_memory", lambda _needs: None)
    facts = ("attention_scale=head_dim**-0.5",)
    real = Job(
        name="m",
        request=Request(source=EXAMPLE, dialect="az-course", facts=facts),
        writing=Writing(out=tmp_path / "m"),
        files=(EXAMPLE,),
        nbytes=EXAMPLE.stat().st_size,
    )
    line = Line()
    last = converted(real, line)  # type: ignore[arg-type]
    phases = [event.name for event in line.said if isinstance(event, Phase)]
    assert [name.partition(":")[0] for name in phases] == [name.partition(":")[0] for name in simulation.PHASES]
    assert [type(event) for event in line.said if not isinstance(event, Phase | Advanced)] == [Planned]
    assert sorted(last.files) == sorted(simulation.FILES)
    pretended = simulation.proved("m")
    assert last.report.checks is not None
    assert set(last.report.checks) == set(pretended.checks)
    lengths = [len(json.dumps(each.checks)) for each in (last.report, pretended)]
    assert max(lengths) < 1.2 * min(lengths)


def test_all_jobs_run_on_the_clock_and_end_as_said(simulation: Any, tmp_path: Path) -> None:
    executor = simulation.Pretended(2, 1.0)
    number = executor.start(job("m", tmp_path))
    heard = []
    while not heard or not isinstance(heard[-1], Converted):
        for said, event in executor.wait(0.5):
            assert said == number
            heard.append(event)
            if isinstance(event, Planned):
                executor.let_in(number, event.needs)
    assert [event.name for event in heard if isinstance(event, Phase)] == list(simulation.PHASES)
    assert 0.5 < executor.now() - 1.0 < 3.0
    assert executor.busy == pytest.approx(1.0, rel=0.6)


def test_what_the_coordinator_does_for_a_job_does_not_grow_with_their_number(simulation: Any, tmp_path: Path) -> None:
    few = calls(simulation, tmp_path / "few", 100, 8)
    many = calls(simulation, tmp_path / "many", 1000, 8)
    for what in ("start", "let_in", "fsync", "events"):
        assert many[what] / 1000 == pytest.approx(few[what] / 100, rel=0.05), what
    assert many["start"] == many["let_in"] == 1000
    # Once as it is begun, once as it is done, and a few for the journal itself.
    assert 2000 <= many["fsync"] <= 2005


def test_a_refused_job_does_not_make_the_coordinator_look_through_all_results(simulation: Any, tmp_path: Path) -> None:
    refused = Raised(ReasonReport("checkpoint", "corrupt"), lasting=True, passing=False)
    executor = simulation.Pretended(4, 0.2)
    executor.let_in = lambda number, _needs: executor._tell(0.1, number, refused)
    state = LocalState(tmp_path)
    state.folder.mkdir()
    with (
        state.record(Part()) as record,
        patch("ckpt2hf.batch.coordinator.remove_stale", side_effect=AssertionError),
    ):
        coordinator = Coordinator(executor, record, Past(), simulation.Silent(), Room(None, None), 8.0)
        coordinator.run([job(f"m{k}", tmp_path) for k in range(8)])
    assert {result.status for result in coordinator.results.values()} == {Status.REFUSED}


def test_every_part_of_the_simulation_runs() -> None:
    small = ["--jobs", "20", "--workers", "2", "--seconds", "0.2"]
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "simulate_batch.py"), *small], check=True, capture_output=True, text=True
    )
    titles = ["more jobs", "more workers", "everything done before", "discovery"]
    assert [title for title in titles if title in done.stdout] == titles
