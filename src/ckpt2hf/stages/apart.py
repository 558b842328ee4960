"""A stage in a process of its own: libraries that keep state, crash or use up memory do so there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from ckpt2hf.errors import VerificationError
from ckpt2hf.stages.job import RESULT, Job, Made

if TYPE_CHECKING:
    from pathlib import Path

_LINES = 12
"""Last lines of the log that an error shows."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def run_apart(job: Job, work: Path, log: Path) -> Made:
    """What came of a job; everything said meanwhile is added to the log. `work` is an empty folder.

    Raises VerificationError where the process gave no answer.
    """
    job.write(work)
    words = [sys.executable, "-P", "-m", "ckpt2hf.stages.child", str(work)]
    with log.open("ab") as file:
        file.write(f"== {job.stage}\n".encode())
        file.flush()
        begun = file.tell()
        # It reads its standard input to learn that we are gone, however we went.
        with subprocess.Popen(  # noqa: S603 - this very interpreter
            words, env={**os.environ, **_OFFLINE}, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT
        ) as process:
            try:
                status = process.wait()
            except BaseException:
                process.kill()
                raise
    if status or not (work / RESULT).exists():
        raise VerificationError(
            f"the process that makes {job.stage} ended with status {status}, without a result",
            details=_last(log, begun),
            where=str(log),
            remedies=[f"read {log}", *(["give it more memory"] if status < 0 else [])],
        )
    return Made.read(work)


def _last(log: Path, begun: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(begun)
        return file.read().decode("utf-8", "replace").strip().splitlines()[-_LINES:]
