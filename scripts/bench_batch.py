"""How long a batch of small checkpoints takes beside the hand-written script, and what a second worker is worth.

60 checkpoints of a few MB are made, each with numbers of its own. In every round each kind of batch (level `logits` or
`bytes`, one worker or two) runs once over all of them, and between these `careful_script.py` runs on some of them, once
per checkpoint as somebody would in a loop; its mean, times the number of checkpoints, stands for the whole loop. Whole
processes are timed, imports and the report included; outputs are deleted and the disk is quiet before each. Ratios are
taken within a round, and of the rounds the median is printed, with the smallest and largest. Everything runs on at most
two cores, so that two workers have as many as the careful script's own threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from bench import CKPT2HF, HERE, timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CORES = 2
SIZES = {"layers": 4, "width": 128, "heads": 4, "vocab": 1000, "context": 64}
"""Of a checkpoint of 4.5 MB."""
FACTS = ["--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5"]
LEVELS = ("logits", "bytes")
LEAST_SCRIPT, LEAST_WORKERS = 8.0, 1.7
"""What `--gate` asks for, both on the level `logits`."""


@dataclass(frozen=True, order=True)
class Kind:
    """A way to take all checkpoints through."""

    level: str
    workers: int

    def __str__(self) -> str:
        return f"batch, {self.level}, {self.workers} worker{'s' * (self.workers > 1)}"


KINDS = tuple(Kind(level, workers) for level in LEVELS for workers in (1, 2))


@dataclass
class Seconds:
    """What was measured, round by round: seconds for all checkpoints."""

    script: list[float] = field(default_factory=list)
    batches: dict[Kind, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


def made(folder: Path, count: int) -> list[Path]:
    """The checkpoints, made from the seeds 0, 1, 2 and so on."""
    folder.mkdir()
    code = (
        "import sys, torch; from make_course_checkpoint import state_dict\n"
        "for seed in range(int(sys.argv[2])):\n"
        "    torch.manual_seed(seed)\n"
        f"    torch.save(state_dict(**{SIZES!r}), f'{{sys.argv[1]}}/model-{{seed:04}}.pt')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    subprocess.run([sys.executable, "-c", code, str(folder), str(count)], check=True, env=environment)
    return sorted(folder.iterdir())


def measure(scratch: Path, sources: Sequence[Path], rounds: int, scripts: int) -> Seconds:
    """All rounds, one line to standard error for each."""
    found = Seconds()
    for path in sources:
        path.read_bytes()  # into the page cache
    turn = cycle(sources)
    for number in range(rounds):
        ran: list[float] = []
        for kind, share in zip(KINDS, _shares(scripts, len(KINDS)), strict=True):
            ran += [_script(scratch, source) for source in islice(turn, share)]
            found.batches[kind].append(_batch(scratch, sources[0].parent, kind))
        found.script.append(statistics.mean(ran) * len(sources))
        took = ", ".join(f"{found.batches[kind][-1]:.1f}" for kind in KINDS)
        load = os.getloadavg()[0]
        print(f"round {number + 1}: {found.script[-1]:.0f}, {took} s, load {load:.1f}", file=sys.stderr, flush=True)
    return found


def _shares(whole: int, parts: int) -> Iterator[int]:
    """`whole` in `parts` parts that differ by one at most."""
    yield from ((whole * (k + 1)) // parts - (whole * k) // parts for k in range(parts))


def _script(scratch: Path, source: Path) -> float:
    _clean(scratch)
    return timed([sys.executable, str(HERE / "careful_script.py"), str(source), str(scratch / "out")]).seconds


def _batch(scratch: Path, folder: Path, kind: Kind) -> float:
    _clean(scratch)
    level = ["--verify", kind.level, "--workers", str(kind.workers), "--quiet"]
    return timed([str(CKPT2HF), "batch", str(folder), "-o", str(scratch / "out"), *FACTS, *level]).seconds


def _clean(scratch: Path) -> None:
    rmtree(scratch / "out", ignore_errors=True)
    os.sync()


def show(found: Seconds, count: int) -> None:
    """The table of all kinds."""
    print(f"{'way':28} {'seconds':>8} {'each':>7}   times the script's throughput")
    whole = statistics.median(found.script)
    print(f"{'careful script, in a loop':28} {whole:8.1f} {whole / count:7.2f}   1")
    for kind in KINDS:
        seconds = statistics.median(found.batches[kind])
        faster = _ratios(found.script, found.batches[kind])
        print(f"{kind!s:28} {seconds:8.1f} {seconds / count:7.2f}   {_spread(faster)}")
    for level in LEVELS:
        gain = _ratios(found.batches[Kind(level, 1)], found.batches[Kind(level, 2)])
        print(f"two workers / one worker, {level:8} {_spread(gain)}")


def exceeded(found: Seconds) -> Iterator[str]:
    """What falls short of the limits."""
    two = found.batches[Kind("logits", 2)]
    for title, ratios, least in (
        ("times the careful script's throughput", _ratios(found.script, two), LEAST_SCRIPT),
        ("two workers / one worker", _ratios(found.batches[Kind("logits", 1)], two), LEAST_WORKERS),
    ):
        middle = statistics.median(ratios)
        if middle < least:
            yield f"{title}: {middle:.2f}, at least {least}"


def _ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(slow, fast, strict=True)]


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):6.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def main() -> int:
    """Makes the checkpoints, measures, deletes everything; 1 if `--gate` is given and something falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=60, help="how many checkpoints")
    parser.add_argument("--scripts", type=int, default=8, help="how often the careful script runs in a round")
    parser.add_argument("--dir", type=Path, help="where to make the scratch directory: the disk to measure")
    parser.add_argument("--gate", action="store_true", help="exit 1 below 8 times the script or 1.7 times one worker")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory(prefix="ckpt2hf-bench-", dir=given.dir) as directory:
        scratch = Path(directory)
        sources = made(scratch / "checkpoints", given.count)
        size = sources[0].stat().st_size / 1e6
        print(f"{given.count} checkpoints of {size:.1f} MB, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}")
        found = measure(scratch, sources, given.rounds, given.scripts)
    show(found, given.count)
    short = list(exceeded(found))
    for line in short:
        print(f"limit exceeded   {line}")
    return int(given.gate and bool(short))


if __name__ == "__main__":
    sys.exit(main())
