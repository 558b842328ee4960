"""What Ray says about tasks and nodes, in words a person can act on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ray import exceptions

from ckpt2hf.errors import ResourceError

if TYPE_CHECKING:
    from ckpt2hf.batch.events import Raised

_WHY: tuple[tuple[type[exceptions.RayError], str], ...] = (
    (exceptions.OutOfMemoryError, "its node ran out of memory, and Ray ended it"),
    (exceptions.NodeDiedError, "the node it was on is gone"),
    (exceptions.LocalRayletDiedError, "the node it was on is gone"),
    (exceptions.WorkerCrashedError, "its worker was killed, crashed, or is gone with its node"),
    (exceptions.ObjectLostError, "its result was lost with a node"),
    (exceptions.TaskUnschedulableError, "no node would take it"),
    (exceptions.RuntimeEnvSetupError, "its node could not set up a worker"),
)
_SHOWN = 200


def why_lost(error: exceptions.RayError) -> str:
    """Why a task ended without a result."""
    known = next((words for kind, words in _WHY if isinstance(error, kind)), None)
    if known:
        return known
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"Ray lost it: {first[:_SHOWN]}"


def nowhere(needed: int, largest: int) -> ResourceError:
    """What to say of a conversion that fits on no node."""
    return ResourceError(
        f"this takes up to {_mib(needed)} MiB of memory, and the cluster's largest node offers {_mib(largest)} MiB",
        details=["what a node offers is what Ray was told, or about 70% of what it has"],
        remedies=["--verify bytes   proves the weights with little memory", "a node with more memory"],
    )


def unseen(raised: Raised, host: str) -> Raised:
    """What to say of a file that is here and not there."""
    reason = replace(
        raised.reason,
        what=f"the node {host} does not see the checkpoint, and this machine does",
        remedies=("a file system that every node mounts under the same path", "an s3:// URL"),
    )
    return replace(raised, reason=reason, lasting=False, passing=False)


def _mib(nbytes: int) -> int:
    return -(-nbytes // (1 << 20))
