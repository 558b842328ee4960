"""How far the coordinator of a batch goes: the real one, with its real journal, and jobs that only pretend.

Coordinator and journal are those of `ckpt2hf batch`, the journal on the disk and synced after every line. The jobs are
made up: one plans, tells its phases, tells its progress ten times a second, and ends after its time, but nothing of
that happens except on a clock. That clock stands still while the coordinator has nothing to do and goes on by the
seconds that the coordinator really takes, so a coordinator that cannot keep up shows as workers that wait for it.

Not in it: the processes of the jobs and the lines to them. Each figure comes from a process of its own.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import patch

from ckpt2hf.batch import Part, gather, write_report
from ckpt2hf.batch.admission import Room
from ckpt2hf.batch.coordinator import Coordinator
from ckpt2hf.batch.events import Advanced, Converted, Phase, Planned
from ckpt2hf.batch.job import Job
from ckpt2hf.batch.journal import PATTERN, Past
from ckpt2hf.batch.result import Circumstances, batch_report
from ckpt2hf.batch.state import LocalState
from ckpt2hf.limits import Memory
from ckpt2hf.report import JobReport, Status
from ckpt2hf.run import Needs, Request, Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt2hf.batch.events import Event
    from ckpt2hf.report import SkippedReport

Row: TypeAlias = dict[str, float]

PHASES = (
    *("read", "write", "verify structure", "verify bytes"),
    *(f"verify logits: step {k}" for k in range(5)),
    "verify tokenizer",
)
"""What a job on the level `logits` tells, as many as a real one does."""
PLANNING = 0.1
"""The share of a job's time after which it is planned."""
SPREAD = 0.15
"""Standard deviation of the logarithm of a job's time: about that of 60 alike checkpoints on a machine at work."""
TOLD_EVERY, TELLING = 0.1, 0.25
"""Seconds between two messages about progress, as in `ckpt2hf.batch.child`, and the share of a job's time in which
there are any: while it writes and compares bytes."""
FILES = (
    "README.md",
    "SHA256SUMS",
    "config.json",
    "conversion.json",
    "generation_config.json",
    "model.safetensors",
    "pytorch_model.bin",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
CHECKS = {
    "config.json": "23 settings as planned",
    "generation_config.json": "2 settings as planned",
    "safetensors structure": "53 tensors, names, shapes and types as planned",
    "bin structure": "53 tensors, names, shapes and types as planned",
    "safetensors equals bin": "53 tensors identical in both files, every bit",
    "back to the source": "90 source tensors came back from the output, every bit",
    "computed again": "15 written tensors computed again from the source, every bit",
    "loads model.safetensors": "no missing, unexpected or mismatched weights",
    "float32 logits": "agree to 7.2e-07 (tolerance 1.1e-05) on 160 tokens",
    "float64 logits": "agree to 3.0e-08 (tolerance 2.2e-07, algebraic)",
    "greedy generation": "16 greedy tokens agree with and without cache",
    "model(**tokenizer(text))": "agrees to 9.5e-06 (tolerance 1.7e-04) on 46 tokens of text",
    "loads pytorch_model.bin": "no missing, unexpected or mismatched weights",
    "model.safetensors and pytorch_model.bin agree": "both load into the same bits",
    "tokenizer files": "tokenizer.json, tokenizer_config.json, special_tokens_map.json as planned",
    "tokenizer loads": "PreTrainedTokenizerFast, 768 tokens, pad '[PAD]' (3), unk '[UNK]' (0)",
    "tokenizer encodes": "26 texts as tokenizers 0.22.2 does, 2067 ids",
    "tokenizer decodes": "26 texts as tokenizers 0.22.2 does",
    "tokenizer keeps text": (
        "this tokenizer does not keep spaces, every character: 'The quick brown fox does not jump over the…' comes "
        "back as 'The qu ic k br ow n f o x do es no t j u m…', as it did in training"
    ),
}
NEEDS = Needs(memory=80 << 20, libraries=320 << 20, disk=10 << 20)


def proved(name: str) -> JobReport:
    """The result of a small checkpoint, as long as a real one."""
    return JobReport(
        name=name,
        source=f"/data/runs/{name}.pt",
        source_bytes=4_516_243,
        status=Status.PROVED,
        peak_memory_bytes=345_718_784,
        output_bytes=8_477_953,
        report=f"{name}/conversion.json",
        dialect="az-course",
        target="GPT2LMHeadModel",
        parameters=1_057_536,
        level="logits",
        exactness="algebraic",
        checks=dict(CHECKS),
        sha256="".join(random.choices("0123456789abcdef", k=64)),  # noqa: S311 - a made-up digest
    )


class Silent:
    """An observer that nobody listens to."""

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """Nothing."""

    def started(self, name: str, attempt: int) -> None:
        """Nothing."""

    def waiting(self, name: str, why: str) -> None:
        """Nothing."""

    def phase(self, name: str, phase: str, total: int) -> None:
        """Nothing."""

    def advanced(self, name: str, nbytes: int) -> None:
        """Nothing."""

    def again(self, name: str, why: str, delay: float) -> None:
        """Nothing."""

    def finished(self, job: JobReport) -> None:
        """Nothing."""

    def stopping(self, why: str, grace: float) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


@dataclass
class Pretended:
    """Jobs on a clock that goes on by what the coordinator takes, and jumps over the rest."""

    slots: int
    seconds: float
    """What a job takes, in the middle."""
    name: str = "simulation"
    schedules: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    busy: float = 0.0
    """Seconds of work that all workers together have done."""
    coordinating: float = 0.0
    """Seconds that the coordinator took, real ones."""
    _clock: float = 1.0
    _handed_over: float = field(default_factory=time.perf_counter)
    _jobs: dict[int, tuple[Job, float]] = field(default_factory=dict)
    _events: list[tuple[float, int, int, Event]] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - a repeatable draw

    def start(self, job: Job) -> int:
        """Begin: after a tenth of its time it will be planned."""
        self.calls["start"] += 1
        number, took = next(self._count), self.seconds * self._random.lognormvariate(0.0, SPREAD)
        self._jobs[number] = (job, took)
        self._tell(0.0, number, Phase(PHASES[0], 0))
        self._tell(took * PLANNING, number, Planned(NEEDS))
        return number

    def let_in(self, number: int, _needs: Needs) -> None:
        """The rest of its time: phases, progress, the end."""
        self.calls["let_in"] += 1
        job, took = self._jobs[number]
        rest = took * (1 - PLANNING)
        for k, phase in enumerate(PHASES[1:]):
            self._tell(rest * k / len(PHASES), number, Phase(phase, 1))
        for k in range(1, int(rest * TELLING / TOLD_EVERY)):
            self._tell(k * TOLD_EVERY, number, Advanced(1 << 20))
        self._tell(rest, number, Converted(proved(job.name), dict.fromkeys(FILES, 1_000_000)))

    def stop(self, number: int, *, kill: bool) -> None:
        """Never: jobs here have no limit of time."""
        raise NotImplementedError

    def wait(self, timeout: float) -> Sequence[tuple[int, Event]]:
        """Everything that was said meanwhile; else the clock jumps to what is said next."""
        self.calls["wait"] += 1
        took = time.perf_counter() - self._handed_over
        self.coordinating += took
        self._clock += took
        if self._events and self._events[0][0] > self._clock:
            self._clock = min(self._events[0][0], self._clock + timeout)
        said: list[tuple[int, Event]] = []
        while self._events and self._events[0][0] <= self._clock:
            _, _, number, event = heapq.heappop(self._events)
            said.append((number, event))
            if isinstance(event, Converted):
                self.busy += self._jobs.pop(number)[1]
        self.calls["events"] += len(said)
        self._handed_over = time.perf_counter()
        return said

    def now(self) -> float:
        """The clock."""
        return self._clock + time.perf_counter() - self._handed_over

    def close(self) -> None:
        """Nothing is open."""

    def _tell(self, after: float, number: int, event: Event) -> None:
        heapq.heappush(self._events, (self.now() + after, next(self._count), number, event))


def jobs_of(sources: Path, out: Path, count: int) -> list[Job]:
    """So many jobs; their sources are empty files, made if they are not there."""
    made = []
    for k in range(count):
        source = sources / f"{k // 100:04}" / f"model-{k:06}.pt"
        if not k % 100:
            source.parent.mkdir(parents=True, exist_ok=True)
        source.touch()
        name = f"{k // 100:04}/model-{k:06}"
        writing = Writing(out=out / name)
        made.append(Job(name=name, request=Request(source=source), writing=writing, files=(source,), nbytes=4_516_243))
    return made


def coordinate(folder: Path, count: int, workers: int, seconds: float) -> Row:
    """A batch from nothing: what the coordinator takes for each job, and how busy it keeps the workers."""
    before = _resident()
    jobs = jobs_of(folder / "sources", folder / "out", count)
    executor = Pretended(workers, seconds)
    state = _state(folder)
    room = Room(Memory(1 << 60, 1 << 60, "the machine"), state.free)
    syncs = _Syncs()
    with state.record(Part()) as record, patch("os.fsync", syncs):
        coordinator = Coordinator(executor, record, Past(), Silent(), room, 8.0)
        cpu, executor._handed_over = time.process_time(), time.perf_counter()  # noqa: SLF001 - the clock starts here
        coordinator.run(jobs)
        cpu = time.process_time() - cpu
    return {
        "jobs": count,
        "workers": workers,
        "seconds": seconds,
        "cpu_ms": cpu / count * 1e3,
        "wall_ms": executor.coordinating / count * 1e3,
        "sync_ms": syncs.seconds / count * 1e3,
        "syncs": syncs.count / count,
        "rate": count / executor.coordinating,
        "busy": executor.busy / (workers * (executor.now() - 1.0)),
        "journal": _journal_bytes(state) / count,
        "kib": (_resident() - before) / count,
        "loops": executor.calls["wait"] / count,
        "events": executor.calls["events"] / count,
    }


def resume(folder: Path, count: int) -> Row:
    """A batch of which everything is done: what it takes to find that out, and to report on it."""
    jobs = jobs_of(folder / "sources", folder / "out", count)
    state = _state(folder)
    with state.record(Part()) as record, patch("os.fsync"):  # writing the past is not what is measured
        Coordinator(Pretended(64, 0.2), record, Past(), Silent(), Room(None, None), 8.0).run(jobs)
    for job in jobs:
        job.writing.out.mkdir(parents=True)
        for name in FILES:
            with (job.writing.out / name).open("wb") as file:
                file.truncate(1_000_000)
    took: Row = {"jobs": count, "journal_mb": _journal_bytes(state) / 1e6}
    began = time.perf_counter()
    past = state.past() or Past()
    took["read_s"] = time.perf_counter() - began
    began = time.perf_counter()
    executor = Pretended(64, 0.2)
    with state.record(Part()) as record:
        coordinator = Coordinator(executor, record, past, Silent(), Room(None, None), 8.0)
        coordinator.run(jobs)
    took["consider_s"] = time.perf_counter() - began
    took["begun"] = executor.calls["start"]
    return took | _reported(state, coordinator)


def _reported(state: LocalState, coordinator: Coordinator) -> Row:
    """Seconds and sizes of the report."""
    around = Circumstances(
        inputs=("runs",), skipped=(), part=Part(), executor="local", workers=2, seconds=1.0, interrupted=False
    )
    began = time.perf_counter()
    page = write_report(batch_report(coordinator.results.values(), state.out, around), state, Part())
    took = time.perf_counter() - began
    sizes = {"json_mb": page.with_suffix(".json").stat().st_size / 1e6, "html_mb": page.stat().st_size / 1e6}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"report_s": took, **sizes, "peak_mib": peak}


def find(folder: Path, count: int) -> Row:
    """Discovery of so many files in directories of a hundred."""
    jobs_of(folder / "sources", folder / "out", count)
    for path in (folder / "sources").rglob("*.pt"):
        path.write_bytes(b"PK\x03\x04")
    began = time.perf_counter()
    found = gather([str(folder / "sources")], folder / "out")
    return {"jobs": len(found.jobs), "gather_s": time.perf_counter() - began}


def _state(folder: Path) -> LocalState:
    state = LocalState(folder / "out")
    state.folder.mkdir(parents=True)
    return state


def _journal_bytes(state: LocalState) -> int:
    return sum(path.stat().st_size for path in state.folder.glob(PATTERN))


@dataclass
class _Syncs:
    """In the place of `os.fsync`: counts, and adds up what it takes."""

    count: int = 0
    seconds: float = 0.0
    real: Callable[[int], None] = os.fsync

    def __call__(self, descriptor: int) -> None:
        began = time.perf_counter()
        self.real(descriptor)
        self.seconds += time.perf_counter() - began
        self.count += 1


def _resident() -> float:
    """KiB of anonymous memory of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("RssAnon"))


WORK = {"coordinate": coordinate, "resume": resume, "find": find}


def apart(where: Path | None, work: str, *sizes: float, rounds: int = 1) -> Row:
    """One figure, from processes of its own: the median of some rounds."""
    rows = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ckpt2hf-simulate-", dir=where) as folder:
            command = [sys.executable, __file__, "--one", work, folder, *(f"{size:g}" for size in sizes)]
            rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def one(work: str, folder: str, *sizes: str) -> None:
    """What `apart` asks a process of its own to do."""
    numbers = [float(size) if "." in size else int(size) for size in sizes]
    print(json.dumps(WORK[work](Path(folder), *numbers)))  # type: ignore[operator]


def show(title: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
    """A table; `columns` has a format for each key."""
    print(f"\n{title}\n" + "  ".join(f"{key:>10}" for key in columns))
    for row in rows:
        print("  ".join(f"{row[key]:>10{form}}" for key, form in columns.items()), flush=True)


def main() -> None:
    """Every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16, 64, 256, 1_000])
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.2, 5.0, 60.0], help="what a job takes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="where to make scratch directories: the disk to measure")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*given.one)
        return
    print(f"load {os.getloadavg()[0]:.1f}")
    again = {"rounds": given.rounds}
    costs = {"jobs": ".0f", "workers": ".0f", "cpu_ms": ".2f", "wall_ms": ".2f", "sync_ms": ".2f", "syncs": ".2f"}
    costs |= {"rate": ".0f", "journal": ".0f", "kib": ".1f"}
    rows = [apart(given.dir, "coordinate", count, 64, 0.2, **again) for count in given.jobs]
    show("more jobs (0.2 s each, 64 workers), for each job", costs, rows)
    kept = {"workers": ".0f", "seconds": ".1f", "cpu_ms": ".2f", "wall_ms": ".2f", "rate": ".0f", "busy": ".0%"}
    kept |= {"loops": ".1f", "events": ".0f"}
    for seconds in given.seconds:
        sizes = [(max(300, 3 * workers), workers) for workers in given.workers]
        rows = [apart(given.dir, "coordinate", count, workers, seconds, **again) for count, workers in sizes]
        show(f"more workers ({seconds:g} s each), for each job", kept, rows)
    rows = [apart(given.dir, "resume", count, **again) for count in given.jobs]
    done = {"jobs": ".0f", "begun": ".0f", "journal_mb": ".1f", "read_s": ".2f", "consider_s": ".2f", "report_s": ".2f"}
    show("everything done before", {**done, "json_mb": ".1f", "html_mb": ".1f", "peak_mib": ".0f"}, rows)
    rows = [apart(given.dir, "find", count, **again) for count in given.jobs]
    show("discovery", {"jobs": ".0f", "gather_s": ".2f"}, rows)


if __name__ == "__main__":
    main()
