"""A batch whose checkpoints lie in a store, and whose results, journal and lease go to one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.batch import Batch, Said, collected, gather
from ckpt2hf.errors import UsageError
from ckpt2hf.report import Status
from ckpt2hf.run.settings import Settings
from ckpt2hf.verify import Level
from same_files import assert_same_files, files_of
from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.report import BatchReport
    from remote.conftest import S3

CASES = ("az50_v1", "az50_v2_accelerate_dir", "build_nanogpt", "nanogpt_bias")


def lay_out(folder: Path, golden: Callable) -> Path:
    """Checkpoints with their settings beside them, a broken one, and what is none."""
    for name in CASES:
        place = folder / "runs" / name
        place.mkdir(parents=True)
        source = golden(name).path
        files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
        for path in files:
            (place / path.name).write_bytes(path.read_bytes())
        words = FLAGS[name]
        lines = [f'dialect = "{words["dialect"]}"'] if "dialect" in words else []
        lines += ["[set]", *(f'{fact.split("=")[0]} = "{fact.split("=")[1]}"' for fact in words.get("facts", ()))]
        (place / "ckpt2hf.toml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "runs" / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    (folder / "runs" / "optimizer.pt").write_bytes(b"no")
    return folder / "runs"


def run(source: str, out: Path, **words: object) -> BatchReport:
    said = Said(settings=Settings(level=Level.BYTES), workers=2)
    return Batch(gathered=gather([source], out, said), inputs=[source], out=out, **words).run()


def test_from_a_store_to_a_store_is_what_it_is_on_a_disk(s3: S3, golden: Callable, tmp_path: Path) -> None:
    local = lay_out(tmp_path, golden)
    s3.upload(local, "runs")
    there = run(str(local), tmp_path / "out")
    first = run(str(s3.url("runs")), s3.url("out"))
    assert first.counts == there.counts == {"proved": 4, "refused": 1, "failed": 0, "pending": 0}
    assert [job.name for job in first.jobs] == [job.name for job in there.jobs]
    for job in there.jobs:
        if job.status is Status.PROVED:
            here = files_of(tmp_path / "out" / job.name)
            assert_same_files({name: s3.get(f"out/{job.name}/{name}") for name in here}, here)
    assert json.loads(s3.get("out/batch.json"))["counts"] == first.counts
    assert b"<html" in s3.get("out/batch.html")
    assert not [key for key in s3.keys("out/") if "lease" in key or "partial" in key]
    again = run(str(s3.url("runs")), s3.url("out"))
    assert all(job.earlier for job in again.jobs)
    s3.upload(golden("nanogpt_bias").path, "runs/nanogpt_bias/checkpoint.pt")
    redone = run(str(s3.url("runs")), s3.url("out"))
    assert [job.name for job in redone.jobs if not job.earlier] == ["nanogpt_bias/checkpoint"]
    assert redone.counts == first.counts
    assert collected(s3.url("out")).counts == first.counts


def test_a_store_that_falters_changes_nothing(s3: S3, golden: Callable, tmp_path: Path) -> None:
    s3.upload(lay_out(tmp_path, golden), "runs")
    plan = s3.plan(chance=0.1, seed=5)
    report = run(str(s3.url("runs")), s3.url("out"))
    assert plan.faults
    assert report.counts == {"proved": 4, "refused": 1, "failed": 0, "pending": 0}
    assert sum(key.endswith("conversion.json") for key in s3.keys("out/")) == 4


def test_the_second_batch_is_refused_until_the_lease_is_over(s3: S3, golden: Callable, tmp_path: Path) -> None:
    s3.upload(lay_out(tmp_path, golden), "runs")
    lease = {"token": "other", "who": "process 7 on elsewhere", "until": time.time() + 3}
    key = "out/.ckpt2hf/lease-1-of-1.json"
    s3.client.put_object(Bucket=s3.bucket, Key=key, Body=json.dumps(lease).encode())
    with pytest.raises(UsageError, match="another batch") as refused:
        run(str(s3.url("runs")), s3.url("out"), wait=0.0)
    assert "process 7 on elsewhere" in refused.value.details[0]
    assert run(str(s3.url("runs")), s3.url("out"), wait=30.0).counts["proved"] == 4


def test_a_killed_batch_goes_on_where_it_was(s3: S3, golden: Callable, tmp_path: Path) -> None:
    s3.upload(lay_out(tmp_path, golden), "runs")
    words = ["batch", str(s3.url("runs")), "-o", str(s3.url("out")), "--verify", "bytes", "--workers", "1", "--quiet"]
    command = [sys.executable, "-c", "from ckpt2hf.cli import main; main()", *words]
    child = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(key.endswith("conversion.json") for key in s3.keys("out/")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    key = "out/.ckpt2hf/lease-1-of-1.json"
    lease = json.loads(s3.get(key))
    assert time.time() < lease["until"] <= time.time() + 60
    s3.client.put_object(Bucket=s3.bucket, Key=key, Body=json.dumps({**lease, "until": time.time()}).encode())
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr  # one is refused
    counts = json.loads(s3.get("out/batch.json"))["counts"]
    assert counts == {"proved": 4, "refused": 1, "failed": 0, "pending": 0}
    assert sum(key.endswith("conversion.json") for key in s3.keys("out/")) == 4
    assert not [key for key in s3.keys("out/") if "partial" in key]
