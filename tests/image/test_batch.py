"""The container's default command over thirty mixed checkpoints, twice, and told to stop: each gets its verdict."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Level, Request, Writing, convert
from image import mixed
from image.engine import Caller, docker
from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.usefixtures("image")]

BATCH_FILES = {"batch.json", "batch.html", ".ckpt2hf"}


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def report(caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((caller.out / "batch.json").read_text(encoding="utf-8"))
    return found


def by_source(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["source"].removeprefix("/in/"): job for job in tree["jobs"]}


def test_thirty_mixed_checkpoints_get_the_right_verdict(caller: Caller) -> None:
    expected = mixed.fill(caller.source)
    assert len(expected) == 30
    before = digests(caller.source)

    done = caller.run()
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
    jobs = by_source(report(caller))
    names = {job["name"]: source for source, job in jobs.items()}
    told = {
        source: mixed.Expected(job["status"], (job["reason"] or {}).get("code"), names.get(job["same_as"]))
        for source, job in jobs.items()
    }
    assert told == expected
    assert digests(caller.source) == before

    _everything_written_is_expected(caller, jobs)
    _outputs_are_what_they_would_be_alone(caller, jobs)

    first = digests(caller.out)
    again = caller.run()
    assert again.code == 1, again.text
    assert all(job["earlier"] for job in report(caller)["jobs"])
    kept = {name for name in first if name.endswith((".safetensors", ".bin", "config.json", "conversion.json"))}
    assert {name: digest for name, digest in digests(caller.out).items() if name in kept} == {
        name: first[name] for name in kept
    }


def _everything_written_is_expected(caller: Caller, jobs: dict[str, dict[str, Any]]) -> None:
    """What was proved and the batch's own files, all of it the caller's; no trace of hostile code."""
    proved = {job["name"] for job in jobs.values() if job["status"] == "proved"}
    written = {path.parent.relative_to(caller.out).as_posix() for path in caller.out.rglob("config.json")}
    assert written == proved
    assert {path.name for path in caller.out.iterdir()} == BATCH_FILES | {name.split("/")[0] for name in proved}
    assert not [path for path in caller.out.rglob("*") if mixed.CANARY in path.name or ".partial-" in path.name]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in caller.out.rglob("*")} == {(caller.uid, caller.gid)}


def _outputs_are_what_they_would_be_alone(caller: Caller, jobs: dict[str, dict[str, Any]]) -> None:
    """Whatever stood beside them: the weights are those that a conversion outside the container gives, bit for bit."""
    for name, flags in FLAGS.items():
        source, job = next((path, job) for path, job in jobs.items() if path.startswith(f"good/{name}/"))
        alone = caller.folder / "alone" / name
        convert(Request(source=caller.source / source, **flags), Writing(out=alone, level=Level.STRUCTURE))
        for file in ("model.safetensors", "pytorch_model.bin", "config.json"):
            assert (caller.out / job["name"] / file).read_bytes() == (alone / file).read_bytes(), (name, file)


def test_the_parts_of_a_batch_make_the_whole(caller: Caller, golden_in: Callable[[str], str]) -> None:
    """As an indexed Job runs it: each pod a share, all into one directory."""
    for name in FLAGS:
        if (mixed.GOLDEN / name / "checkpoint.pt").exists():
            golden_in(name)
    done = []
    for index in range(3):
        variables = [f"--env=JOB_COMPLETION_INDEX={index}", "--env=CKPT2HF_SHARDS=3"]
        run = caller.run("batch", "/in", "-o", "/out", "--verify", "structure", "--shard", "auto", more=variables)
        assert run.code in {0, 1}, run.text
        done.append({path.name for path in caller.out.iterdir() if path.is_dir()} - BATCH_FILES)
    assert done[0] <= done[1] <= done[2]
    assert done[2] == {"build_nanogpt"}  # the others need facts, which nobody said


def test_sigterm_ends_a_batch_in_time_and_leaves_nothing_unfinished(
    caller: Caller, large_in: str, container: Callable[..., str]
) -> None:
    assert large_in
    (caller.source / "ckpt2hf.toml").write_text(mixed.settings(None, ("activation=gelu",)), encoding="utf-8")
    name = container(caller.flags, "batch", "/in", "-o", "/out", "--verify", "bytes")
    deadline = time.monotonic() + 120
    while not any(".partial-" in path.as_posix() and path.is_file() for path in caller.out.rglob("*")):
        assert time.monotonic() < deadline, docker("logs", name).text
        time.sleep(0.05)
    begin = time.monotonic()
    docker("stop", "-t=60", name)
    assert time.monotonic() - begin < 30
    assert docker("inspect", "--format={{.State.ExitCode}} {{.State.OOMKilled}}", name).out == "143 false\n"
    assert {path.name for path in caller.out.iterdir()} <= BATCH_FILES
    assert not [path for path in caller.out.rglob("*") if ".partial-" in path.name]


def test_a_batch_in_a_fraction_of_the_memory(
    caller: Caller, large: Path, golden_in: Callable[[str], str], container: Callable[..., str]
) -> None:
    """Six gigabytes beside small ones, in 768 MiB: the batch counts its jobs' memory, and the kernel kills none."""
    for folder in ("large", "small"):
        (caller.source / folder).mkdir()
        (caller.source / folder / "ckpt2hf.toml").write_text(
            mixed.settings(None, ("activation=gelu",)), encoding="utf-8"
        )
    os.link(large, caller.source / "large" / "ckpt.pt")
    (caller.source / golden_in("nanogpt_bias").removeprefix("/in/")).rename(caller.source / "small" / "ckpt.pt")
    limits = ["--memory=768m", "--memory-swap=768m"]
    name = container([*caller.flags, *limits], "batch", "/in", "-o", "/out", "--verify", "bytes")
    code = docker("wait", name).out
    assert code == "0\n", docker("logs", name).text
    assert docker("inspect", "--format={{.State.OOMKilled}}", name).out == "false\n"
    assert {job["status"] for job in report(caller)["jobs"]} == {"proved"}
