"""A part of a batch that is split over machines that know nothing of each other."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = re.compile(r"(\d+)/(\d+)")
_REMEDY = ["--shard 1/4   for the first of four parts, --shard auto   in an array job"]


@dataclass(frozen=True, slots=True)
class Part:
    """Part `index` of `count`, counted from 1."""

    index: int = 1
    count: int = 1

    def has(self, name: str) -> bool:
        """Whether a job belongs to this part.

        Its name alone decides, so that parts that see different files, because one more was saved meanwhile, still
        leave nothing out and do nothing twice.
        """
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parsed(text: str | None, environment: Mapping[str, str] = os.environ) -> Part:
    """The part of `3/8`, or of `auto`: what an indexed Kubernetes Job or a Slurm array says. Raises UsageError.

    Source: Kubernetes documentation, Indexed Job (JOB_COMPLETION_INDEX counts from 0); Slurm documentation, sbatch
    (SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_MIN, SLURM_ARRAY_TASK_COUNT).
    """
    if text is None:
        return Part()
    if text == "auto":
        return _found(environment)
    match = _FORM.fullmatch(text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard does not know {text!r}", remedies=_REMEDY)
    return Part(int(match[1]), int(match[2]))


def _found(environment: Mapping[str, str]) -> Part:
    try:
        if "SLURM_ARRAY_TASK_ID" in environment:
            index = int(environment["SLURM_ARRAY_TASK_ID"]) - int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
            count = int(environment.get("CKPT2HF_SHARDS") or environment["SLURM_ARRAY_TASK_COUNT"])
        else:
            index, count = int(environment["JOB_COMPLETION_INDEX"]), int(environment["CKPT2HF_SHARDS"])
    except (KeyError, ValueError) as error:
        raise UsageError(
            "--shard auto finds no array job around it",
            details=[f"{error} is not set, or not a number"],
            tried="SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or JOB_COMPLETION_INDEX and CKPT2HF_SHARDS",
            remedies=_REMEDY,
        ) from error
    if not 0 <= index < count:
        raise UsageError(
            f"--shard auto finds index {index} of {count} parts",
            remedies=["CKPT2HF_SHARDS must be the number of tasks in the array"],
        )
    return Part(index + 1, count)
