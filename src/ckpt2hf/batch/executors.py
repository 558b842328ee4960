"""Where the jobs of a batch run, by the words of the command line."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckpt2hf.batch.events import Executor
    from ckpt2hf.batch.job import Job

_REMEDIES = (
    "--executor local   this machine",
    "--executor ray   the cluster that RAY_ADDRESS names, or one on this machine",
    "--executor ray://HOST:10001   a cluster elsewhere",
)
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": ".*", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""What Ray reads when it is imported: it reports to nobody, and prints nothing among our results."""


def executor(text: str, workers: int) -> Callable[[Sequence[Job]], Executor] | None:
    """What makes the executor; None for this machine. Raises UsageError."""
    if text == "local":
        return None
    address = _address(text)
    if find_spec("ray") is None:
        raise UsageError("--executor ray needs Ray, which is not installed", remedies=["pip install 'ckpt2hf[ray]'"])

    def made(jobs: Sequence[Job]) -> Executor:
        os.environ.update(_QUIET)
        from ckpt2hf.batch.ray_executor import ray_executor  # noqa: PLC0415 - only who asks for Ray has it

        return ray_executor(jobs, address, workers)

    return made


def _address(text: str) -> str | None:
    """The address of a cluster that can be reached from anywhere; None for the one that is next to us."""
    if text == "ray":
        return None
    try:
        parts = urlsplit(text)
        whole = parts.scheme == "ray" and parts.hostname and parts.port
    except ValueError:  # a port that is none
        whole = False
    if not whole or text != f"ray://{urlsplit(text).netloc}":
        raise UsageError(f"--executor does not know {text!r}", remedies=_REMEDIES)
    return text
