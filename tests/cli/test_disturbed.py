"""Stopped, killed, or robbed of its source while it works: no finished-looking directory, and the next run succeeds."""

from __future__ import annotations

import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

WORDS = ("-o", "out", "--set", "activation=gelu", "--verify", "bytes")


def wait_for_work(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the directory that is being filled holds something."""
    while not any(folder.glob("out.partial-*/*")):
        assert process.poll() is None, "it finished before it could be disturbed"
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_leaves_nothing(
    start: Callable, cli: Callable, large: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    for _ in range(5):
        process = start("convert", large, *WORDS)
        wait_for_work(tmp_path, process)
        process.send_signal(number)
        out, err = process.communicate()
        if process.returncode:
            break
        shutil.rmtree(tmp_path / "out")  # on a busy machine the conversion can be done before the signal is sent
    assert (process.returncode, out) == (code, "")
    assert not (tmp_path / "out").exists()
    if number is not signal.SIGKILL:
        assert "ckpt2hf: stopped" in err
        assert list(tmp_path.iterdir()) == [large]
    assert cli("convert", large, *WORDS, "--quiet").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.pt", "out"]


@pytest.mark.slow
def test_a_checkpoint_that_changes_meanwhile_is_refused(start: Callable, large: Path, tmp_path: Path) -> None:
    newer = shutil.copy(large, large.with_suffix(".new"))  # what training saves next
    process = start("convert", large, *WORDS)
    wait_for_work(tmp_path, process)
    newer.replace(large)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "the checkpoint changed while it was being read" in err
    assert list(tmp_path.iterdir()) == [large]
