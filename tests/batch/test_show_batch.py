"""The end of a batch and its dry run, on a terminal and in a pipe; and the words and groups they are made of."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ckpt2hf.cli import console, show_batch, show_dry_run
from ckpt2hf.report import JobReport, ReasonReport, SkippedReport, Status
from ckpt2hf.report.batch import Means, PlannedJob
from ckpt2hf.report.reasons import grouped, ways
from ckpt2hf.report.wording import duration, moment, natural, parameters, size, visible
from sample_batch import HOSTILE, batch, hostile, report

MEANS = Means(free_disk_bytes=10**13, memory_bytes=10**11, workers=4)
PAGE = Path("converted/batch.html")


class Streams:
    """Both streams, as a terminal of some width or as pipes."""

    def __init__(self, patch: pytest.MonkeyPatch, width: int | None) -> None:
        self.files = io.StringIO(), io.StringIO()
        out, err = (
            Console(
                file=file, soft_wrap=True, highlight=False, no_color=True, width=width or 80, force_terminal=bool(width)
            )
            for file in self.files
        )
        for module in (console, show_batch, show_dry_run):
            patch.setattr(module, "OUT", out)
        for module in (console, show_batch):
            patch.setattr(module, "ERR", err)
        patch.setattr(console.rows, "__defaults__", (out,))
        patch.setattr(console.room, "__defaults__", (out, 10))

    @property
    def out(self) -> list[str]:
        return (
            self.files[0].getvalue().replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()
        )

    @property
    def err(self) -> str:
        return self.files[1].getvalue()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Streams:
    return Streams(monkeypatch, None)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Streams:
    return Streams(monkeypatch, 80)


def planned(count: int = 40) -> list[PlannedJob]:
    return [
        PlannedJob(
            name=f"a/rather/long/way/to/{job.name}" if k % 3 else job.name,
            source=job.source,
            source_bytes=job.source_bytes,
            dialect=job.dialect,
            target=job.target,
            level="logits",
            output_bytes=job.output_bytes,
            memory_bytes=2 * job.source_bytes,
            problem=job.reason,
        )
        for k, job in enumerate(batch(count).jobs)
    ]


# --- the end of a batch


def test_the_summary_counts_and_explains(pipe: Streams) -> None:
    about = batch(1000, skipped=9)
    show_batch.show_batch(about, PAGE, quiet=False)
    for status in Status:
        line = next(line for line in pipe.out if line.startswith(f"{status.value:10}{about.counts[status.value]}"))
        assert line
    assert "report    converted/batch.html" in pipe.out
    assert "next      --dialect mingpt --set heads=6" in pipe.out
    assert "or        --dialect az-course --set 'attention_scale=d_model**-0.5'" in pipe.out
    counts = about.counts
    left = f"{counts['refused']} refused, {counts['failed']} failed, {counts['pending']} pending"
    assert pipe.err == f"error[batch]: {left} of 1,000 checkpoints\n"


def test_when_quiet_only_what_is_left_is_said(pipe: Streams) -> None:
    show_batch.show_batch(batch(1000), PAGE, quiet=True)
    assert pipe.out == []
    assert pipe.err.endswith("of 1,000 checkpoints; see converted/batch.html\n")
    assert pipe.err.count("\n") == 1


def test_a_proved_batch_says_nothing_on_stderr(pipe: Streams) -> None:
    proved = report(tuple(job for job in batch(30).jobs if job.status is Status.PROVED))
    show_batch.show_batch(proved, PAGE, quiet=False)
    assert pipe.err == ""
    assert not any(line.startswith(("refused", "failed", "pending")) for line in pipe.out)


def test_many_reasons_are_cut_and_that_is_said(pipe: Streams) -> None:
    jobs = [
        JobReport(
            name=f"j{k:02}", source=f"s{k}", source_bytes=1, status=Status.REFUSED, reason=ReasonReport("x", f"w{c}")
        )
        for k, c in enumerate("abcdefghijkl")
    ]
    show_batch.show_batch(report(tuple(jobs)), PAGE, quiet=False)
    assert sum(line.startswith("refused   1  x: w") for line in pipe.out) == 8
    assert "          and 4 more reasons" in pipe.out


@pytest.mark.parametrize("jobs", [batch(300, skipped=30).jobs, hostile()], ids=["usual", "hostile"])
def test_the_summary_fits_a_terminal(narrow: Streams, jobs: tuple[JobReport, ...]) -> None:
    skipped = (SkippedReport("x", "a reason of quite some length, and then some"),) * 3
    show_batch.show_batch(report(jobs, skipped), PAGE, quiet=False)
    long = [line for line in narrow.out if cell_len(line) > 80]
    assert all(len(max(line.split(), key=len)) > 60 for line in long)  # a word stays whole: it is a path or a flag
    assert not any(set(line) & set("\x1b\x07\u2028\u2029\u202e\udcff") for line in narrow.out)


# --- a dry run


def test_a_dry_run_lists_what_would_be_converted(pipe: Streams) -> None:
    plan = planned()
    show_dry_run.show_dry_run(plan, [], MEANS)
    good = [job for job in plan if job.problem is None]
    shown = [line.split()[0] for line in pipe.out[1 : len(good) + 1]]
    assert shown == [job.name for job in good]
    assert f"batch     {len(good)} of 40 checkpoints would be converted, {40 - len(good)} would be refused" in pipe.out
    assert f"disk      {size(sum(job.output_bytes for job in good))} to write, 10000.00 GB free" in pipe.out


def test_a_dry_run_fits_a_terminal(narrow: Streams) -> None:
    show_dry_run.show_dry_run(planned(), [], MEANS)
    table = narrow.out[: narrow.out.index("")]
    assert max(cell_len(line) for line in narrow.out) <= 80
    assert len(table) > 20
    assert len({line.index("  ", 60) > 0 for line in table[1:]}) == 1
    assert any("…" in line.split("  ")[0] for line in table)


def test_a_dry_run_says_what_there_is_too_little_of(pipe: Streams) -> None:
    show_dry_run.show_dry_run(planned(), [], Means(free_disk_bytes=1000, memory_bytes=1000, workers=1))
    assert any("are missing" in line for line in pipe.out)
    assert any("too little for" in line for line in pipe.out)


def test_a_dry_run_of_nothing_says_so(pipe: Streams) -> None:
    show_dry_run.show_dry_run([], [SkippedReport("a", "empty")], MEANS)
    assert "batch     0 of 0 checkpoints would be converted" in pipe.out
    assert "skipped   1 file: 1 empty" in pipe.out


def test_a_dry_run_as_data() -> None:
    plan = planned()
    tree = json.loads(json.dumps(show_dry_run.dry_run_json(plan, [SkippedReport("a", "empty")], MEANS)))
    assert [job["name"] for job in tree["jobs"]] == [job.name for job in plan]
    assert tree["counts"]["refused"] == sum(job.problem is not None for job in plan)
    assert tree["output_bytes"] == sum(job.output_bytes for job in plan)
    assert tree["means"] == {"free_disk_bytes": 10**13, "memory_bytes": 10**11, "workers": 4}
    assert tree["skipped"] == [{"path": "a", "why": "empty"}]


# --- groups


def test_jobs_that_need_the_same_answer_are_one_group() -> None:
    jobs = [
        JobReport(
            name=f"run-{k}",
            source=f"/data/run-{k}/ckpt.pt",
            source_bytes=1,
            status=Status.REFUSED,
            reason=ReasonReport(
                "facts",
                f"/data/run-{k}/ckpt.pt lacks {k} names",
                ("same", f"own {k}"),
                None,
                None,
                (f"--set h={k % 2}",),
            ),
        )
        for k in range(10)
    ]
    jobs.append(replace(jobs[0], name="other", status=Status.FAILED))
    first, second, third = grouped(jobs)
    assert [job.name for job in first.jobs] == ["run-0", "run-2", "run-4", "run-6", "run-8"]
    assert [job.name for job in second.jobs] == ["run-1", "run-3", "run-5", "run-7", "run-9"]
    assert third.status is Status.FAILED
    assert first.what == "… lacks 0 names"
    assert first.details == ("same",)
    assert len({group.id for group in (first, second, third)}) == 3
    assert {group.id for group in grouped(jobs[2:])} == {first.id, second.id, third.id}


def test_a_name_within_another_word_is_no_name() -> None:
    job = JobReport(
        name="a", source="b", source_bytes=1, status=Status.REFUSED, reason=ReasonReport("x", "a bad block of b, ab")
    )
    assert grouped([job, job])[0].what == "… bad block of …, ab"


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [
        ("--set heads=6", (("--set heads=6", ""),)),
        ("--reference m.py:C   (your own)", (("--reference m.py:C", "(your own)"),)),
        ("--a 1|--a 2 --b", (("--a 1 --b", ""), ("--a 2 --b", ""))),
        (
            "--a 1|--a 2 --b x|--b y",
            (("--a 1 --b x", ""), ("--a 1 --b y", ""), ("--a 2 --b x", ""), ("--a 2 --b y", "")),
        ),
        ("save it again, with torch.save --or so", (("save it again, with torch.save --or so", ""),)),
    ],
)
def test_alternatives_are_spelled_out(remedy: str, expected: tuple[tuple[str, str], ...]) -> None:
    assert ways(remedy) == expected


# --- words


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (9.44, "9.4 s"), (9.6, "10 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (90061, "1 d 01 h")],
)
def test_times_have_two_units(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_other_words() -> None:
    assert [parameters(n) for n in (12, 1500, 124_439_808, 1.5e9)] == ["12", "1.5 k", "124 M", "1.50 B"]
    assert moment("2025-11-23T08:01:30+00:00") == "2025-11-23 08:01:30 UTC"
    assert sorted(["b2", "b10", "B1", "a", "10", "9"], key=natural) == ["9", "10", "a", "B1", "b2", "b10"]


@given(st.text())
def test_what_is_visible_stays_and_nothing_else_is_left(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable() or not any(c < " " or c in "\u2028\u2029\u202e\x7f" for c in shown)
    shown.encode()
    if text.isascii() and text.isprintable():
        assert shown == text


@given(st.lists(st.text()))
def test_natural_order_compares_anything(texts: list[str]) -> None:
    assert all(natural(one) <= natural(other) for one, other in pairwise(sorted(texts, key=natural)))


def test_hostile_names_become_one_visible_line() -> None:
    assert all(visible(name).isprintable() for name in HOSTILE)
