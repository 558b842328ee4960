"""How long a conversion takes beside the least it could take and beside a hand-written script.

Whole processes are timed, in pairs that alternate A B A B so that a noisy machine disturbs both alike, with the
checkpoint in the page cache, the outputs deleted and the disk quiet before every run. What is printed of a pair is the
ratio of the two times: the median, and the smallest and largest. The baselines: the bytes of the checkpoint read once
and written twice (`cat` twice, on the disk as ckpt2hf's own output is before it gets its name; and, for comparison,
left in the page cache), and `careful_script.py`. Limits are for the first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).resolve().parent
CKPT2HF = Path(sys.executable).with_name("ckpt2hf")
LARGE = {"layers": 32, "width": 1536, "heads": 12}
"""Sizes of a checkpoint of about 4 GB."""
SAMPLE = 0.005
"""Seconds between two looks at the memory of a running process."""
MIB = 1024


@dataclass(frozen=True)
class Run:
    """One process: seconds, peak resident and peak anonymous memory in MiB (of the process itself)."""

    seconds: float
    resident: float
    anonymous: float


@dataclass(frozen=True)
class Pair:
    """A command beside another, and the ratio of their times that must not be exceeded, or not fallen short of."""

    title: str
    command: list[str]
    baseline: list[str]
    most: float | None = None
    least: float | None = None


def timed(command: Sequence[str]) -> Run:
    """One run of a command. Raises SystemExit with what it said if it fails."""
    anonymous, done = [0.0], threading.Event()
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said)

        def watch() -> None:
            while not done.wait(SAMPLE):
                anonymous.append(_anonymous(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        watcher.join()
        if process.returncode:
            said.seek(0)
            sys.exit(f"exit {process.returncode}: {' '.join(command)}\n{said.read().decode(errors='replace')}")
    return Run(seconds, usage.ru_maxrss / MIB, max(anonymous))


def _anonymous(pid: int) -> float:
    """MiB of anonymous memory of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / MIB for line in lines if line.startswith("RssAnon")), 0.0)


class Bench:
    """Runs commands in a scratch directory, prints what they took, and remembers which limits were exceeded."""

    def __init__(self, scratch: Path, rounds: int) -> None:
        """`rounds`: how often each command runs."""
        self._scratch = scratch
        self._rounds = rounds
        self.exceeded: list[str] = []

    def pair(self, pair: Pair) -> list[Run]:
        """Prints the line of a pair; gives the runs of its command."""
        runs, baselines = [], []
        for _ in range(self._rounds):
            runs.append(self._fresh(pair.command))
            baselines.append(self._fresh(pair.baseline))
        ratios = [run.seconds / baseline.seconds for run, baseline in zip(runs, baselines, strict=True)]
        middle = statistics.median(ratios)
        self._line(pair.title, f"{middle:6.2f} ({min(ratios):.2f}..{max(ratios):.2f})", runs, baselines)
        if pair.most is not None:
            self._limit(f"{pair.title}: {middle:.2f}, at most {pair.most}", holds=middle <= pair.most)
        if pair.least is not None:
            self._limit(f"{pair.title}: {middle:.2f}, at least {pair.least}", holds=middle >= pair.least)
        return runs

    def alone(self, title: str, command: list[str], most: float) -> None:
        """Prints the line of a command that has to end within some seconds."""
        runs = [self._fresh(command) for _ in range(self._rounds)]
        seconds = statistics.median(run.seconds for run in runs)
        self._line(title, "", runs)
        self._limit(f"{title}: {seconds:.2f} s, less than {most} s", holds=seconds < most)

    def anonymous(self, title: str, runs: list[Run], most: float) -> None:
        """Limits the anonymous memory of runs already done, in MiB."""
        peak = max(run.anonymous for run in runs)
        self._limit(f"{title}: {peak:.0f} MiB of anonymous memory, at most {most} MiB", holds=peak <= most)

    def _fresh(self, command: list[str]) -> Run:
        for path in self._scratch.glob("out*"):
            (shutil.rmtree if path.is_dir() else Path.unlink)(path)
        os.sync()
        return timed(command)

    def _line(self, title: str, ratio: str, runs: list[Run], baselines: list[Run] | None = None) -> None:
        times = _median(runs, lambda run: run.seconds)
        other = f"{_median(baselines, lambda run: run.seconds):8.2f}" if baselines else " " * 8
        memory = f"{max(run.resident for run in runs):9.0f} {max(run.anonymous for run in runs):9.0f}"
        print(f"{title:32} {ratio:22} {times:8.2f} {other} {memory}", flush=True)

    def _limit(self, text: str, *, holds: bool) -> None:
        if not holds:
            self.exceeded.append(text)


def _median(runs: list[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(map(of, runs))


def measure(bench: Bench, scratch: Path, checkpoint: Path, *, large: bool) -> None:
    """Runs every pair; a large checkpoint only beside the copies."""
    source, one, two = checkpoint, scratch / "out.a", scratch / "out.b"
    cached = ["sh", "-c", f"cat '{source}' > '{one}'; cat '{source}' > '{two}'"]
    copied = ["sh", "-c", f"cat '{source}' > '{one}'; cat '{source}' > '{two}'; sync '{one}' '{two}'"]
    careful = [sys.executable, str(HERE / "careful_script.py"), str(source), str(scratch / "out.careful")]
    facts = ["--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5"]
    convert = [str(CKPT2HF), "convert", str(source), "-o", str(scratch / "out"), *facts, "--quiet"]
    structure, proved = ([*convert, "--verify", level] for level in ("structure", "bytes"))

    print(f"{'pair':32} {'ratio':22} {'A, s':>8} {'B, s':>8} {'peak MiB':>9} {'anon MiB':>9}")
    if large:
        bench.pair(Pair("structure / written twice", structure, copied))
        bench.anonymous("bytes", bench.pair(Pair("bytes / written twice", proved, copied, most=1.8)), 300)
        bench.pair(Pair("bytes / only in page cache", proved, cached))
        return
    bench.alone("--help", [str(CKPT2HF), "--help"], 0.3)
    bench.alone("inspect", [str(CKPT2HF), "inspect", str(source), *facts], 1.0)
    bench.pair(Pair("structure / written twice", structure, copied, most=1.5))
    bench.pair(Pair("structure / only in page cache", structure, cached))
    bench.anonymous("bytes", bench.pair(Pair("bytes / written twice", proved, copied, most=2.2)), 300)
    bench.pair(Pair("bytes / only in page cache", proved, cached))
    bench.pair(Pair("careful script / bytes", careful, proved, least=4.0))
    bench.pair(Pair("default / careful script", convert, careful, most=1.0))


def main() -> int:
    """Makes the checkpoint, measures, deletes everything; 1 if `--gate` is given and a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="how often each pair runs")
    parser.add_argument("--quick", action="store_true", help="two runs of each pair")
    parser.add_argument("--large", action="store_true", help="a checkpoint of 4 GB instead of 0.6 GB")
    parser.add_argument("--dir", type=Path, help="where to make the scratch directory: the disk to measure")
    parser.add_argument("--gate", action="store_true", help="exit 1 if a limit is exceeded")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ckpt2hf-bench-", dir=given.dir) as directory:
        scratch = Path(directory)
        checkpoint = scratch / "checkpoint.pt"
        sizes = [word for name, size in LARGE.items() for word in (f"--{name}", str(size))] if given.large else []
        make = [sys.executable, str(HERE / "make_course_checkpoint.py"), str(checkpoint), *sizes]
        subprocess.run(make, check=True)
        timed(["cat", str(checkpoint)])
        bench = Bench(scratch, 2 if given.quick else given.pairs)
        measure(bench, scratch, checkpoint, large=given.large)
    for line in bench.exceeded:
        print(f"limit exceeded   {line}")
    return int(given.gate and bool(bench.exceeded))


if __name__ == "__main__":
    sys.exit(main())
