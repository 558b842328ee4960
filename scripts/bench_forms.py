"""From a checkpoint to ONNX, int8 and int4 in one command, beside the same chain done by hand.

By hand: `careful_script.py`, `optimum-cli export onnx`, `optimum-cli onnxruntime quantize`, `careful_int4.py`, one
after the other. None of them measures what it has made; the one command proves the directory and the export, and
prices the two others. Both chains run in turn, as often as `--rounds` says. What is printed of each: seconds, the
memory of the largest process, and the most anonymous memory that all processes held together.
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

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
SAMPLE = 0.02
"""Seconds between two looks at the memory of running processes."""
KIB = 1024


@dataclass(frozen=True)
class Taken:
    """Seconds; MiB resident of the largest process, and anonymous of all together."""

    seconds: float
    largest: float
    together: float


def run(command: list[str]) -> Taken:
    """One command. Raises SystemExit with what it said if it fails."""
    most, largest, done = [0.0], [0.0], threading.Event()
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said)

        def watch() -> None:
            while not done.wait(SAMPLE):
                found = family(process.pid)
                most[0] = max(most[0], sum(each.get("RssAnon", 0) for each in found) / KIB)
                largest[0] = max([largest[0], *(each.get("VmHWM", 0) / KIB for each in found)])

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        seconds = time.perf_counter() - begun
        done.set()
        watcher.join()
        if status:
            said.seek(0)
            sys.exit(f"exit {status}: {' '.join(command)}\n{said.read().decode(errors='replace')}")
    return Taken(seconds, largest[0], most[0])


def family(root: int) -> list[dict[str, int]]:
    """What /proc says of a process and all that come from it: numbers by name, memory in KiB."""
    tables = dict(filter(None, map(status, Path("/proc").iterdir())))
    members = [root]
    for member in members:
        members += [pid for pid, table in tables.items() if table.get("PPid") == member]
    return [tables[pid] for pid in members if pid in tables]


def status(folder: Path) -> tuple[int, dict[str, int]] | None:
    """The number of a process and what it says; None for what is none, or no longer."""
    if not folder.name.isdecimal():
        return None
    try:
        rows = [line.split() for line in (folder / "status").read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return None
    return int(folder.name), {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def chains(source: Path, out: Path) -> dict[str, list[list[str]]]:
    """The commands of both ways."""
    facts = ["--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5"]
    ours: list[object] = [
        BIN / "ckpt2hf",
        "convert",
        source,
        "-o",
        out / "ours",
        *facts,
        "--to",
        "onnx,onnx-q8,onnx-q4",
    ]
    hand, onnx = out / "hand", out / "hand-onnx"
    export: list[object] = ["export", "onnx", "--model", hand, "--task", "text-generation-with-past", onnx]
    int8: list[object] = ["onnxruntime", "quantize", "--onnx_model", onnx, "--avx2", "--per_channel"]
    steps = [
        [sys.executable, HERE / "careful_script.py", source, hand],
        [BIN / "optimum-cli", *export],
        [BIN / "optimum-cli", *int8, "-o", out / "hand-q8"],
        [sys.executable, HERE / "careful_int4.py", onnx / "model.onnx", out / "hand-q4" / "model.onnx"],
    ]
    ways: dict[str, list[list[object]]] = {"one command": [ours], "by hand": steps}
    return {name: [list(map(str, words)) for words in way] for name, way in ways.items()}


def main() -> None:
    """Makes the checkpoint, measures both ways in turn, deletes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each chain runs")
    parser.add_argument("--dir", type=Path, help="where to make the scratch directory")
    given = parser.parse_args()
    found: dict[str, list[list[Taken]]] = {"one command": [], "by hand": []}
    with tempfile.TemporaryDirectory(prefix="ckpt2hf-forms-", dir=given.dir) as folder:
        source, out = Path(folder) / "checkpoint.pt", Path(folder) / "out"
        subprocess.run([sys.executable, str(HERE / "make_course_checkpoint.py"), str(source)], check=True)
        for _ in range(given.rounds):
            for name, commands in chains(source, out).items():
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                os.sync()
                found[name].append([run(command) for command in commands])
    show(found)


def show(found: dict[str, list[list[Taken]]]) -> None:
    """A line for each way and each command by hand, and the ratio of the two."""
    totals = {name: [sum(each.seconds for each in chain) for chain in runs] for name, runs in found.items()}
    print(f"{'':28} {'seconds':>8} {'largest MiB':>12} {'anonymous MiB':>14}")
    for name, runs in found.items():
        largest = max(each.largest for chain in runs for each in chain)
        together = max(each.together for chain in runs for each in chain)
        print(f"{name:28} {statistics.median(totals[name]):8.1f} {largest:12.0f} {together:14.0f}")
        for k in range(len(runs[0])) if len(runs[0]) > 1 else ():
            each = [chain[k] for chain in runs]
            seconds = statistics.median(one.seconds for one in each)
            print(f"{f'  step {k + 1}':28} {seconds:8.1f} {max(one.largest for one in each):12.0f}")
    ratios = [ours / hand for ours, hand in zip(totals["one command"], totals["by hand"], strict=True)]
    print(f"one command / by hand: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
