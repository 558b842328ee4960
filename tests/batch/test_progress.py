"""What is said while a batch runs: on a terminal, in a log, as JSON."""

from __future__ import annotations

import io
import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from ckpt2hf.cli import batch_progress
from ckpt2hf.cli.batch_live import LiveView
from ckpt2hf.cli.batch_pace import Pace, Rate
from ckpt2hf.cli.batch_progress import JsonLines, Lines, Silent, observing
from ckpt2hf.cli.batch_words import middle
from ckpt2hf.report import JobReport, ReasonReport, SkippedReport, Status
from sample_batch import HOSTILE, batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.batch.observer import Observer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "batch-report.md"
PROVED = JobReport(name="a", source="a.pt", source_bytes=100, status=Status.PROVED, attempts=1, seconds=2.0)
REFUSED = replace(PROVED, name="b", status=Status.REFUSED, reason=ReasonReport("facts", "heads is missing"))


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to standard error, which is no terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(batch_progress, "ERR", Console(file=stream, soft_wrap=True, highlight=False, width=80))
    return stream


def terminal(clock: Clock, width: int = 80, height: int = 12) -> tuple[LiveView, Console]:
    """A view that is drawn when asked, and its console."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, _environ={})
    return LiveView(console, clock, animated=False), console


def seen(view: LiveView, console: Console) -> list[str]:
    """The lines of the view, without colours and without what keeps it in its place."""
    plain = Console(file=io.StringIO(), width=console.width)
    with plain.capture() as captured:
        plain.print(view.view())
    return captured.get().splitlines()


def drive(observer: Observer, pause: Callable[[float], object] = abs) -> None:
    """Every event there is."""
    observer.begin(["a", "b"], 300, [SkippedReport("x", "empty")], 2)
    observer.started("a", 1)
    observer.waiting("a", "memory")
    observer.phase("a", "write", 100)
    for _ in range(100):
        observer.advanced("a", 1)
        pause(0.05)
    observer.again("a", "no space left", 3.0)
    observer.started("a", 2)
    observer.finished(PROVED)
    observer.finished(REFUSED)
    observer.stopping("SIGTERM", 8.0)
    observer.end()


# --- how far it is


def test_no_estimate_before_anything_is_known(clock: Clock) -> None:
    pace = Pace(clock.now, jobs=10, nbytes=1000)
    assert pace.remaining(clock.now + 100) is None
    pace.over(replace(PROVED, earlier=True))
    assert pace.remaining(clock.now + 100) is None
    pace.over(PROVED)
    assert pace.remaining(clock.now + 1) is None
    assert pace.remaining(clock.now + 100) is not None


def test_equal_jobs_take_equal_times() -> None:
    pace = Pace(0.0, jobs=10, nbytes=10_000_000_000)
    for k in range(5):
        pace.over(replace(PROVED, name=str(k), source_bytes=1_000_000_000))
    assert pace.remaining(50.0) == pytest.approx(50.0)


def test_the_estimate_goes_by_bytes_where_sizes_differ() -> None:
    pace = Pace(0.0, jobs=2, nbytes=100_000_000_000)
    pace.over(replace(PROVED, source_bytes=10_000_000_000))
    assert pace.remaining(10.0) == pytest.approx(90.0, rel=0.01)


def test_tiny_files_are_not_taken_for_free() -> None:
    """A thousand files of a few bytes: the time is that of the processes."""
    pace = Pace(0.0, jobs=1000, nbytes=1000 + 500_000_000)
    for k in range(500):
        pace.over(replace(PROVED, name=str(k), source_bytes=1))
    left = pace.remaining(1000.0)
    assert left is not None
    assert 900 < left < 1100


def test_what_an_earlier_run_did_takes_no_time() -> None:
    pace = Pace(0.0, jobs=20, nbytes=20_000_000_000)
    for k in range(10):
        pace.over(replace(PROVED, name=str(k), source_bytes=1_000_000_000, earlier=True))
    for k in range(10, 15):
        pace.over(replace(PROVED, name=str(k), source_bytes=1_000_000_000))
    assert pace.remaining(50.0) == pytest.approx(50.0)


def test_running_jobs_count_as_half_done() -> None:
    pace = Pace(0.0, jobs=4, nbytes=4_000_000_000)
    pace.over(replace(PROVED, source_bytes=1_000_000_000))
    before = pace.remaining(10.0)
    pace.doing("x", "write", 10.0)
    after = pace.remaining(10.0)
    assert before == pytest.approx(30.0)
    assert after == pytest.approx(2.5 / 1.5 * 10)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(0.0)
    for second in range(30):
        rate.add(100 if second < 20 else 300, float(second))
    assert rate.at(29.5) == pytest.approx(300, rel=0.15)
    assert rate.at(100.0) == 0


def test_a_hundred_thousand_events_take_little_time(clock: Clock) -> None:
    """10,000 jobs, ten blocks each: a second or less, where a loop over all jobs at every event takes minutes."""
    view, _ = terminal(clock)
    jobs = [replace(PROVED, name=f"run-{k}", source_bytes=1000) for k in range(10_000)]
    begun = time.monotonic()
    view.begin([job.name for job in jobs], 10_000_000, [], 8)
    for job in jobs:
        view.started(job.name, 1)
        view.phase(job.name, "write", 1000)
        for _ in range(10):
            view.advanced(job.name, 100)
            clock.now += 0.001
        view.finished(job)
    view.end()
    assert time.monotonic() - begun < 10


# --- on a terminal


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 8), (40, 5)])
def test_the_view_stays_within_the_terminal(clock: Clock, width: int, height: int) -> None:
    view, console = terminal(clock, width, height)
    with view:
        view.begin([f"{k}" * 90 for k in range(64)], 10**12, [], 64)
        for k in range(64):
            view.started(f"{k}" * 90, 1)
            view.phase(f"{k}" * 90, "write", 10**10)
            view.advanced(f"{k}" * 90, 10**9 * (k % 10))
        clock.now += 3
        lines = seen(view, console)
        assert len(lines) < height
        assert max(map(cell_len, lines)) <= width
        assert re.search(r"and \d+ more", lines[-1])


def test_the_view_tells_counts_bytes_rate_and_time(clock: Clock) -> None:
    view, console = terminal(clock)
    with view:
        view.begin(["a", "b", "c", "d"], 4_000_000_000, [], 2)
        view.started("c", 1)
        view.phase("c", "write", 1_000_000_000)
        for _ in range(10):
            view.advanced("c", 50_000_000)
            clock.now += 1
        view.finished(replace(PROVED, source_bytes=1_000_000_000))
        view.finished(replace(REFUSED, source_bytes=1_000_000_000))
        view.started("d", 1)
        view.waiting("d", "memory")
        overall, counts, c, d = seen(view, console)
    assert re.search(r"━{12}─{12}  2/4  50\.0 MB/s  10 s  about \d\.\d s left", overall)
    assert counts == "1 proved  1 refused  2 running"
    assert re.search(r"^  c +write +50% of  1\.00 GB +50\.0 MB/s$", c)
    assert re.search(r"^  d +waits: memory", d)


def test_only_what_was_not_proved_stays_above(clock: Clock) -> None:
    view, console = terminal(clock)
    with console.capture() as captured, view:
        drive(view)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", captured.get())
    kept = [line.strip() for line in text.splitlines() if line.strip() and "running" not in line and "━" not in line]
    assert "no     b  facts: heads is missing" in kept
    assert any(line.startswith("again  a  no space left") for line in kept)
    assert any(line.startswith("stopping: SIGTERM; what runs has 8.0 s") for line in kept)
    assert not any(line.startswith("ok") for line in kept)


def test_the_view_goes_away_when_something_breaks(clock: Clock) -> None:
    view, _ = terminal(clock)

    def broken() -> None:
        with view:
            view.begin(["a"], 1, [], 1)
            assert view._live.is_started
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert not view._live.is_started


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_do_nothing_to_the_terminal(clock: Clock, said: io.StringIO, name: str) -> None:
    view, console = terminal(clock)
    job = replace(REFUSED, name=name, reason=ReasonReport("facts", name))
    with console.capture() as captured, view:
        view.begin([name], 1, [], 1)
        view.phase(name, "write", 10)
        assert len(seen(view, console)) == 3
        view.finished(job)
    lines = Lines(clock)
    lines.begin([name], 1, [], 1)
    lines.again(name, name, 1)
    lines.finished(job)
    left = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", captured.get()) + said.getvalue()
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\u2028\u2029\u202e\udcff]", left)
    assert len(said.getvalue().splitlines()) == 3


# --- in a log


def test_a_log_has_a_line_for_each_job(clock: Clock, said: io.StringIO) -> None:
    drive(Lines(clock))
    assert said.getvalue().splitlines() == [
        "ckpt2hf: 2 checkpoints, 300 B, 1 other file, 2 workers",
        "ckpt2hf: a: again in 3.0 s: no space left",
        "ckpt2hf: [1/2] a  proved (2.0 s)",
        "ckpt2hf: [2/2] b  refused (2.0 s): facts: heads is missing",
        "ckpt2hf: stopping: SIGTERM; what runs has 8.0 s",
    ]


def test_a_log_announces_only_large_jobs_and_once(clock: Clock, said: io.StringIO) -> None:
    lines = Lines(clock)
    lines.begin(["small", "large"], 10**10, [], 1)
    lines.phase("small", "write", 10**6)
    for phase in ("write", "bytes"):
        lines.phase("large", phase, 5 * 10**9)
    assert said.getvalue().splitlines()[1:] == ["ckpt2hf: large: write, 5.00 GB"]


def test_numbers_in_a_log_line_up_and_the_rest_is_estimated(clock: Clock, said: io.StringIO) -> None:
    lines = Lines(clock)
    lines.begin([str(k) for k in range(12)], 1200, [], 1)
    clock.now += 60
    for k in range(12):
        lines.finished(replace(PROVED, name=str(k), earlier=k == 1))
    told = said.getvalue().splitlines()[1:]
    assert told[0] == "ckpt2hf: [ 1/12] 0  proved (2.0 s)  (11 min 00 s left)"
    assert told[1] == "ckpt2hf: [ 2/12] 1  proved (by an earlier run)"
    assert told[11] == "ckpt2hf: [12/12] 11  proved (2.0 s)"


# --- as JSON


def events(clock: Clock, play: Callable[[JsonLines], object]) -> list[dict[str, Any]]:
    written: list[str] = []
    play(JsonLines(clock, lambda: datetime(2025, 11, 23, 8, tzinfo=UTC), written.append))
    assert all("\n" not in line and line.isascii() for line in written)
    return [json.loads(line) for line in written]


def test_every_event_is_an_object_as_documented(clock: Clock) -> None:
    def pause(seconds: float) -> None:
        clock.now += seconds

    found = events(clock, lambda observer: drive(observer, pause))
    assert {each["time"] for each in found} == {"2025-11-23T08:00:00.000+00:00"}
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {event: set(re.findall(r"`(\w+)`", fields)) - {"JobReport"} for event, fields in table}
    shown = {each["event"]: set(each) - {"time", "event"} for each in found}
    assert {event: documented[event] for event in shown} == shown
    assert {name for name in vars(Silent) if not name.startswith("_")} == set(shown)


def test_blocks_are_told_once_a_second(clock: Clock) -> None:
    def play(observer: JsonLines) -> None:
        observer.phase("a", "write", 10_000)
        for _ in range(1000):
            clock.now += 0.01
            observer.advanced("a", 10)

    told = [each for each in events(clock, play) if each["event"] == "advanced"]
    assert 9 <= len(told) <= 10
    assert told[-1]["phase"] == "write"
    assert told[-1]["total"] == 10_000
    assert [each["done"] for each in told] == sorted({each["done"] for each in told})


def test_a_finished_job_is_told_as_in_the_report(clock: Clock) -> None:
    about = batch(30)
    found = events(clock, lambda observer: [observer.finished(job) for job in about.jobs])
    assert [each["job"] for each in found] == about.as_json()["jobs"]


# --- which of them


@pytest.mark.parametrize(
    ("quiet", "log_json", "kind"), [(True, False, Silent), (False, True, JsonLines), (True, True, JsonLines)]
)
def test_the_observer_is_as_asked(quiet: bool, log_json: bool, kind: type, said: io.StringIO) -> None:
    with observing(quiet=quiet, log_json=log_json) as observer:
        assert type(observer) is kind
        drive(observer)
    assert bool(said.getvalue()) == log_json or kind is JsonLines


def test_elsewhere_than_on_a_terminal_there_are_lines(said: io.StringIO) -> None:
    with observing(quiet=False, log_json=False) as observer:
        assert type(observer) is Lines
        drive(observer)
    assert said.getvalue()


def test_on_a_terminal_there_is_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    monkeypatch.setattr(batch_progress, "ERR", console)
    with observing(quiet=False, log_json=False) as observer:
        assert type(observer) is LiveView
        drive(observer)


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("text", ["abcdefghijklmnop", "模型模型模型模型模型", "short", ""])
def test_long_names_lose_their_middle(text: str, width: int) -> None:
    shown = middle(text, width)
    assert cell_len(shown) <= width
    assert shown == text if cell_len(text) <= width else "…" in shown or not width
    if width >= 5 and cell_len(text) > width:
        assert shown[0] == text[0]
        assert shown[-1] == text[-1]
