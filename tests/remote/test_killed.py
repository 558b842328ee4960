"""A conversion to S3 that is killed leaves nothing that looks finished, and the next one finishes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from remote.conftest import CREDENTIALS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remote.conftest import S3

RUN = """
import sys
from pathlib import Path
from ckpt2hf.api import Level, Request, Writing, convert
from ckpt2hf.remote import path_or_url, s3
s3.PART = 5 << 20
request = Request(source=Path(sys.argv[1]), dialect="nanogpt", facts=("activation=gelu",))
convert(request, Writing(out=path_or_url(sys.argv[2]), level=Level.BYTES, force=len(sys.argv) > 3))
"""
CHANGES = {"PUT", "POST", "DELETE"}


class Killer:
    """Kills the process at its k-th request that would change something in the bucket."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.process: subprocess.Popen[bytes] | None = None
        self.started = threading.Event()
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, method: str, path: str) -> str | None:
        with self.lock:
            if method in CHANGES:
                self.seen.append(f"{method} {path}")
            if len(self.seen) <= self.at:
                return None
            self.started.wait(10)
            assert self.process
            self.process.send_signal(signal.SIGKILL)
            return "reset"


def run(s3: S3, source: Path, scratch: Path, killer: Killer, *more: str) -> int:
    s3.plan(chosen=killer)
    scratch.mkdir(exist_ok=True)
    environment = {
        **os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": s3.proxy.url, "FSSPEC_S3": json.dumps(PATIENCE),
        "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    words = [sys.executable, "-c", RUN, str(source), f"s3://{s3.bucket}/out", *more]
    killer.process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
    killer.started.set()
    _, said = killer.process.communicate(timeout=120)
    assert killer.process.returncode in {0, -signal.SIGKILL}, said.decode()
    return killer.process.returncode


@pytest.mark.parametrize(
    "moments", [[0, 4, 9], pytest.param([1, 2, 3, 5, 6, 7, 8, 10, 11, 12], marks=pytest.mark.slow)]
)
def test_killed_at_any_request(s3: S3, trained: Callable[..., Path], tmp_path: Path, moments: list[int]) -> None:
    unfinished: list[str] = []
    for at in moments:
        status = run(s3, trained(1), tmp_path / "scratch", Killer(at))
        assert status, f"it ended before request {at}"
        assert "out/conversion.json" not in set(s3.keys())
        unfinished += s3.unfinished()
    assert unfinished
    every = Killer(1000)
    assert run(s3, trained(1), tmp_path / "scratch", every) == 0
    assert set(s3.keys()) == {
        f"out/{name}"
        for name in (
            "README.md",
            "SHA256SUMS",
            "config.json",
            "conversion.json",
            "generation_config.json",
            "model.safetensors",
            "pytorch_model.bin",
        )
    }
    assert not s3.unfinished()
    assert not list((tmp_path / "scratch").iterdir())
    assert len(every.seen) > max(moments)


def test_killed_while_a_model_is_replaced(s3: S3, trained: Callable[..., Path], tmp_path: Path) -> None:
    """The old one is whole until its marker goes; then there is none until the new one is."""
    for at, old_is_there in ((2, True), (6, False)):
        assert run(s3, trained(1), tmp_path / "scratch", Killer(1000), "force") == 0
        before = {key: s3.get(key) for key in list(s3.keys())}
        assert run(s3, trained(2), tmp_path / "scratch", Killer(at), "force") != 0
        assert ("out/conversion.json" in set(s3.keys())) == old_is_there
        if old_is_there:
            assert before.items() <= {key: s3.get(key) for key in list(s3.keys())}.items()
