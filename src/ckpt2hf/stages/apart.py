"""Stages in processes of their own: libraries that keep state, crash or use up memory do so there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import OutputError, VerificationError
from ckpt2hf.stages.job import RESULT, Job, Made

if TYPE_CHECKING:
    from ckpt2hf.errors import Ckpt2hfError

_LINES = 12
"""Last lines of what a process said that an error shows."""
_FULL = 1 << 20
"""Bytes: a disk with less is full."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class Apart:
    """Runs jobs, several at a time if need be, and keeps what all of them say in one log."""

    def __init__(self, log: Path) -> None:
        """Nothing runs yet; the log is there and is added to."""
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, job: Job, work: Path, threads: int) -> Made:
        """What came of a job; `work` is an empty folder.

        Raises VerificationError where the process gave no answer, OutputError where the disk is full.
        """
        job.write(work)
        last: deque[bytes] = deque(maxlen=_LINES)
        with self._log.open("ab", buffering=0) as log:
            log.write(f"== {job.stage}\n".encode())
            with self._started(work, threads) as process:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                for line in process.stdout:
                    last.append(line)
                    with suppress(OSError):  # a disk that is full: what the process does about it is told below
                        # One write for a line: another process's lines go between, never into it.
                        log.write(f"{job.stage}: ".encode() + line)
                status = process.wait()
        if status or not (work / RESULT).exists():
            raise self._failed(job, status, b"".join(last).decode("utf-8", "replace").splitlines())
        return Made.read(work)

    def _failed(self, job: Job, status: int, last: list[str]) -> Ckpt2hfError:
        """What to say of a process that gave no answer, from the last of what it said."""
        # Libraries say it in many ways, or not at all; what they had written is still there.
        with suppress(OSError):
            if shutil.disk_usage(Path(job.out).parent).free < _FULL:
                return OutputError(
                    f"the disk was full before {job.stage} was made",
                    details=last[-1:],
                    where=str(Path(job.directory).parent),
                    remedies=["free some space"],
                )
        return VerificationError(
            f"the process that makes {job.stage} ended with status {status}, without a result",
            details=last,
            where=str(self._log),
            remedies=[f"read {self._log}", *(["give it more memory"] if status < 0 else [])],
        )

    def stop(self) -> None:
        """End what is running; nothing begins any more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.kill()

    def _started(self, work: Path, threads: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-P", "-m", "ckpt2hf.stages.child", str(work)]
        # Quantizers put whole models into the folder for temporary files, which in a container may be memory.
        environment = {**os.environ, **_OFFLINE, "OMP_NUM_THREADS": str(threads), "TMPDIR": str(work)}
        with self._lock:
            # It reads its standard input to learn that we are gone, however we went.
            process = subprocess.Popen(  # noqa: S603 - this very interpreter
                words,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self._processes.append(process)
            if self._stopped:
                process.kill()
        return process
