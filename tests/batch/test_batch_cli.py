"""`ckpt2hf batch` as a process: what it prints, how it ends, what it writes and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import GoldenCase

COMMAND = Path(sys.executable).with_name("ckpt2hf")
BYTES = ("--verify", "bytes")


@dataclass(frozen=True)
class Done:
    """A run of the command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `ckpt2hf` with these words in an empty directory."""

    def start(*words: object, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    return start


@pytest.fixture
def cli(begin: Callable[..., subprocess.Popen[str]]) -> Callable[..., Done]:
    """Runs `ckpt2hf` with these words to its end."""

    def run(*words: object, **extra: str) -> Done:
        process = begin(*words, **extra)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in out + err
        return Done(process.returncode, out, err)

    return run


@pytest.fixture
def runs(tmp_path: Path, golden: Callable[[str], GoldenCase]) -> Path:
    """Two checkpoints that say everything themselves, and one that does not."""
    for name in ("a", "b/c"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        shutil.copy(golden("build_nanogpt").path, tmp_path / "runs" / name / "model.pt")
    return tmp_path / "runs"


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a directory, with size and time of its last change."""
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def statuses(out: Path, name: str = "batch.json") -> dict[str, str]:
    return {job["name"]: job["status"] for job in json.loads((out / name).read_bytes())["jobs"]}


def test_a_dry_run_writes_nothing(cli: Callable[..., Done], runs: Path) -> None:
    before = listing(runs.parent)
    done = cli("batch", "runs", "-o", "out/deep", *BYTES, "--dry-run")
    assert done.code == 0
    assert "build-nanogpt" in done.out
    assert listing(runs.parent) == before
    assert not (runs.parent / "out").exists()
    (runs / "bad.pt").write_bytes(b"no checkpoint")
    done = cli("batch", "runs", "-o", "out", *BYTES, "--dry-run", "--json")
    assert done.code == 1
    assert [job["problem"] is None for job in json.loads(done.out)["jobs"]] == [True, True, False]
    assert not (runs.parent / "out").exists()


def test_a_repeated_batch_does_nothing_and_every_voice_is_as_it_should_be(cli: Callable[..., Done], runs: Path) -> None:
    out = runs.parent / "out"
    done = cli("batch", "runs", "-o", "out", *BYTES, "--log-json", "--metrics", "m.prom")
    assert done.code == 0
    spoken = [json.loads(line) for line in done.err.splitlines()]
    assert len(spoken) > 4
    assert all(isinstance(event, dict) for event in spoken)
    assert "2 checkpoints" in done.out
    assert "proved    2" in done.out
    assert statuses(out) == {"a/model": "proved", "b/c/model": "proved"}
    assert "ckpt2hf" in (runs.parent / "m.prom").read_text(encoding="utf-8")
    results = {path: stamp for path, stamp in listing(out).items() if path.startswith(("a", "b/"))}
    journal = (out / ".ckpt2hf" / "journal-1-of-1.jsonl").read_bytes()

    done = cli("batch", "runs", "-o", "out", *BYTES, "--json")
    assert (done.code, done.err) == (0, "")
    tree = json.loads(done.out)
    assert tree == json.loads((out / "batch.json").read_bytes())
    assert all(job["earlier"] for job in tree["jobs"])
    assert (out / ".ckpt2hf" / "journal-1-of-1.jsonl").read_bytes() == journal
    assert {path: stamp for path, stamp in listing(out).items() if path.startswith(("a", "b/"))} == results

    done = cli("batch", "runs", "-o", "out", *BYTES, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert done.out == ""

    done = cli("report", "out", "--json")
    assert done.code == 0
    assert {job["name"]: job["status"] for job in json.loads(done.out)["jobs"]} == statuses(out)
    assert cli("report", "out").code == 0


def test_a_changed_source_or_option_redoes_just_that_one(cli: Callable[..., Done], runs: Path) -> None:
    out = runs.parent / "out"
    assert cli("batch", "runs", "-o", "out", *BYTES).code == 0
    os.utime(runs / "a" / "model.pt", ns=(1, 1))
    before = listing(out)
    assert cli("batch", "runs", "-o", "out", *BYTES).code == 0
    touched = {path for path, stamp in listing(out).items() if before[path] != stamp and "/" in path}
    assert {path for path in touched if not path.startswith(".ckpt2hf")} == {
        path for path in before if path.startswith("a/model")
    }
    (runs / "b" / "c" / "ckpt2hf.toml").write_text('formats = ["safetensors"]\n', encoding="utf-8")
    done = cli("batch", "runs", "-o", "out", *BYTES, "--json")
    assert {job["name"]: job["earlier"] for job in json.loads(done.out)["jobs"]} == {
        "a/model": True,
        "b/c/model": False,
    }
    assert not (out / "b" / "c" / "model" / "pytorch_model.bin").exists()


def test_failures_are_results(cli: Callable[..., Done], runs: Path) -> None:
    (runs / "x" / "y").mkdir(parents=True)
    (runs / "x" / "y" / "bad.pt").write_bytes((runs / "a" / "model.pt").read_bytes()[:50_000])
    done = cli("batch", "runs", "-o", "out", *BYTES)
    assert done.code == 1
    assert "1 refused" in done.err.splitlines()[-1]
    assert statuses(runs.parent / "out") == {"a/model": "proved", "b/c/model": "proved", "x/y/bad": "refused"}
    assert not (runs.parent / "out" / "x").exists()
    assert cli("report", "out").code == 1


def test_a_directory_that_is_not_ours_stays_until_somebody_says_force(cli: Callable[..., Done], runs: Path) -> None:
    out = runs.parent / "out"
    mine = out / "a" / "model"
    mine.mkdir(parents=True)
    (mine / "config.json").write_text("mine", encoding="utf-8")
    (mine / "conversion.json").write_text("mine", encoding="utf-8")
    for words in (BYTES, (*BYTES, "--formats", "safetensors"), BYTES):
        done = cli("batch", "runs", "-o", "out", *words)
        assert done.code == 1
        assert "exists" in done.out
        assert "--force" in done.out
        assert (mine / "config.json").read_text(encoding="utf-8") == "mine"
        assert statuses(out) == {"a/model": "failed", "b/c/model": "proved"}
    assert cli("batch", "runs", "-o", "out", *BYTES, "--force").code == 0
    assert (mine / "config.json").read_text(encoding="utf-8") != "mine"
    shutil.rmtree(mine)
    assert cli("batch", "runs", "-o", "out", *BYTES).code == 0
    assert (mine / "config.json").exists()


def test_what_was_in_the_way_and_is_gone_is_in_nobodys_way(cli: Callable[..., Done], runs: Path) -> None:
    mine = runs.parent / "out" / "a" / "model"
    mine.parent.mkdir(parents=True)
    mine.write_text("a file", encoding="utf-8")
    assert cli("batch", "runs", "-o", "out", *BYTES).code == 1
    assert mine.read_text(encoding="utf-8") == "a file"
    mine.unlink()
    assert cli("batch", "runs", "-o", "out", *BYTES).code == 0


def test_names_that_are_no_text(cli: Callable[..., Done], runs: Path) -> None:
    Path(os.fsdecode(os.fsencode(runs) + b"/bad\xfe.pt")).write_bytes(b"no checkpoint")
    done = cli("batch", "runs", "-o", "out", *BYTES)
    assert done.code == 1
    sources = {job["source"] for job in json.loads((runs.parent / "out" / "batch.json").read_bytes())["jobs"]}
    assert "runs/bad\udcfe.pt" in sources
    assert set(statuses(runs.parent / "out").values()) == {"proved", "refused"}
    assert cli("report", "out").code == 1


BAD = [
    ("--executor", "cloud"),
    ("--executor", "ray://"),
    ("--shard", "0/2"),
    ("--shard", "3/2"),
    ("--shard", "auto"),
    ("--timeout", "soon"),
    ("--timeout", "0"),
    ("--memory", "much"),
    ("--memory", "-1"),
    ("--grace", "-3s"),
    ("--wait", "x"),
    ("--retries", "-1"),
    ("--workers", "0"),
    ("--formats", "onnx"),
    ("--max-shard-size", "0"),
    ("--dtype", "int8"),
    ("--verify", "hope"),
    ("--set", "heads"),
    ("--set", "colour=red"),
    ("--dialect", "klingon"),
]


@pytest.mark.parametrize(("flag", "value"), BAD, ids=[f"{flag} {value}" for flag, value in BAD])
def test_a_value_that_makes_no_sense_is_told_before_anything_is_done(
    cli: Callable[..., Done], runs: Path, flag: str, value: str
) -> None:
    done = cli("batch", "runs", "-o", "out", *BYTES, flag, value)
    if flag in {"--set", "--dialect"} and done.code == 1:  # what is said of a checkpoint is judged with it
        assert set(statuses(runs.parent / "out").values()) == {"refused"}
        return
    assert done.code == 2
    assert value in done.err or flag in done.err
    assert not list((runs.parent).glob("out/*/*"))


def test_inputs_and_outputs_that_overlap(cli: Callable[..., Done], runs: Path, tmp_path: Path) -> None:
    inside = cli("batch", "runs", "-o", "runs/converted", *BYTES)
    assert inside.code == 0
    again = cli("batch", "runs", "-o", "runs/converted", *BYTES, "--json")  # what is there is no input
    assert len(json.loads(again.out)["jobs"]) == 2
    assert all(job["earlier"] for job in json.loads(again.out)["jobs"])
    shutil.rmtree(runs / "converted")
    source = (runs / "a" / "model.pt").read_bytes()
    around = cli("batch", "runs", "-o", ".", *BYTES)  # all that is in there may be results
    assert around.code == 2
    assert "in the output directory of this batch" in around.err
    same = cli("batch", "runs", "-o", "runs", *BYTES)
    assert (runs / "a" / "model.pt").read_bytes() == source
    assert same.code in {0, 2}
    file = cli("batch", "runs", "-o", "runs/a/model.pt", *BYTES)
    assert file.code in {1, 2}
    assert "model.pt" in file.err
    assert (runs / "a" / "model.pt").read_bytes() == source
    assert not [path for path in tmp_path.rglob("*") if ".partial-" in path.name]


def test_parts_together_are_all_of_it(cli: Callable[..., Done], begin: Callable[..., Any], runs: Path) -> None:
    for name in "defg":
        shutil.copytree(runs / "a", runs / name)
    parts = [
        begin("batch", "runs", "-o", "out", *BYTES, "--shard", "1/2"),
        begin(
            "batch", "runs", "-o", "out", *BYTES, "--shard", "auto", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_COUNT="2"
        ),
    ]
    assert [part.communicate(timeout=120) and part.returncode for part in parts] == [0, 0]
    out = runs.parent / "out"
    one, two = statuses(out, "batch-1-of-2.json"), statuses(out, "batch-2-of-2.json")
    assert one
    assert two
    assert not set(one) & set(two)
    assert set(one) | set(two) == {"a/model", "b/c/model", *(f"{name}/model" for name in "defg")}
    assert cli("report", "out").code == 0
    assert statuses(out) == {**one, **two}
    done = cli("batch", "runs", "-o", "out", *BYTES, "--json")  # whoever did it, it is done
    assert all(job["earlier"] for job in json.loads(done.out)["jobs"])


HOLD = """
import sys, time
from pathlib import Path
from ckpt2hf.batch import lock
folder = Path(sys.argv[1])
folder.mkdir(parents=True)
with lock.held(folder, (1, int(sys.argv[2])), 0.0, lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path: Path) -> Callable[[int], subprocess.Popen[str]]:
    """Somebody else's batch on `out`, the first of so many parts; it ends when its input does."""

    def held(parts: int) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", HOLD, str(tmp_path / "out" / ".ckpt2hf"), str(parts)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return process

    return held


def test_a_second_batch_refuses_or_waits(
    cli: Callable[..., Done], begin: Callable[..., Any], hold: Callable[..., Any], runs: Path
) -> None:
    first = hold(1)
    for words in ((), ("--shard", "1/2")):
        done = cli("batch", "runs", "-o", "out", *BYTES, "--wait", "0.1s", *words)
        assert done.code == 2
        assert "another batch is working on this output directory" in done.err
        assert "--wait" in done.err
        assert not (runs.parent / "out" / "batch.json").exists()
    waiting = begin("batch", "runs", "-o", "out", *BYTES, "--wait", "1m")
    assert waiting.stderr
    assert "waiting" in waiting.stderr.readline()
    time.sleep(0.3)
    assert waiting.poll() is None
    first.communicate()
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, out + err
    assert set(statuses(runs.parent / "out").values()) == {"proved"}


def test_two_at_once_do_nothing_twice(begin: Callable[..., Any], runs: Path) -> None:
    both = [begin("batch", "runs", "-o", "out", *BYTES, "--json", "--wait", "2m") for _ in range(2)]
    trees = [json.loads(process.communicate(timeout=180)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    earlier = sorted([job["earlier"] for job in tree["jobs"]] for tree in trees)
    assert earlier == [[False, False], [True, True]]
    journal = (runs.parent / "out" / ".ckpt2hf" / "journal-1-of-1.jsonl").read_text(encoding="utf-8")
    assert journal.count('"event": "started"') == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_the_grace_period(
    cli: Callable[..., Done], begin: Callable[..., Any], runs: Path, number: int, code: int
) -> None:
    """The whole process group is told, as by a terminal or an init system."""
    for k in range(30):
        shutil.copytree(runs / "a", runs / f"more{k}")
    process = begin("batch", "runs", "-o", "out", *BYTES, "--workers", "2", "--grace", "6s")
    out = runs.parent / "out"
    while not list(out.glob("*/model/conversion.json")):
        assert process.poll() is None
        time.sleep(0.01)
    servers = children(process.pid)
    told = time.monotonic()
    process.send_signal(number)
    for pid in [*servers, *(job for server in servers for job in children(server))]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert time.monotonic() - told < 10
    found = statuses(out)
    assert set(found.values()) == {"proved", "pending"}
    assert json.loads((out / "batch.json").read_bytes())["interrupted"]
    there = {str(path.parent.relative_to(out)) for path in out.rglob("conversion.json")}
    proved = {name for name, status in found.items() if status == "proved"}
    assert proved <= there
    assert len(there - proved) <= 2  # told just before they could say that they are done
    assert not list(out.rglob("*.partial-*"))
    done = cli("batch", "runs", "-o", "out", *BYTES, "--json")
    assert done.code == 0
    earlier = {job["name"] for job in json.loads(done.out)["jobs"] if job["earlier"]}
    assert earlier == proved


def test_nobody_has_worked_there(cli: Callable[..., Done], tmp_path: Path) -> None:
    done = cli("report", ".")
    assert done.code == 2
    assert "no batch has worked" in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_a_conversion_notes_is_told_in_the_batch_too(cli: Callable[..., Done], tmp_path: Path, runs: Path) -> None:
    (runs / "a" / "ckpt2hf.toml").write_text("[set]\nbos_token_id = 50256\n", encoding="utf-8")
    assert cli("batch", runs, "-o", "out", *BYTES).code == 0
    one, other = json.loads((tmp_path / "out" / "batch.json").read_text(encoding="utf-8"))["jobs"]
    noted = json.loads((tmp_path / "out" / one["report"]).read_text(encoding="utf-8"))["notes"]
    assert "bos_token_id 50256 lies outside" in noted[-1]
    assert (one["warnings"], other["warnings"]) == (noted, noted[:-1])
    assert "bos_token_id 50256 lies outside" in (tmp_path / "out" / "batch.html").read_text(encoding="utf-8")
