"""A Ray cluster: found or started, asked whether it can do what a batch needs, and left again."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import ckpt2hf
from ckpt2hf import limits
from ckpt2hf.errors import UnreachableError, UsageError
from ckpt2hf.output import explained
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STORE = 80 << 20
"""Bytes of shared memory for a cluster of our own: what goes through it is small."""
_ATTEMPTS = 3
_PATIENCE = 60.0
"""Seconds the nodes get to say what they are. One that is late is judged by its jobs."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive and takes work."""

    id: str
    address: str
    processors: int
    memory: int
    """Bytes that Ray gives out on it."""


@contextmanager
def _unnoticed() -> Iterator[None]:
    """Ray takes SIGTERM for itself and warns when it begins; inside, neither is noticed afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def join(address: str | None, processors: int) -> Callable[[], None]:
    """Connects this process to a cluster, and gives what ends that.

    Without an address it is the one that RAY_ADDRESS names, else a new one on this machine, which ends with us. A
    connection that the process has already is used, and stays. Raises UnreachableError.
    """
    if ray.is_initialized():
        return _nothing
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {}
    if chosen == "local":
        own = {"num_cpus": processors or limits.processors(), "object_store_memory": _STORE, "include_dashboard": False}
    with _unnoticed():
        try:
            _connect(address=chosen, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
            raise UnreachableError(
                "the Ray cluster cannot be reached",
                details=[line for line in str(error).splitlines() if line.strip()][:4],
                where=chosen,
                remedies=[
                    "--executor ray://HOST:10001   from anywhere: the port of the Ray client server",
                    "RAY_ADDRESS=HOST:6379 with --executor ray   on a machine of the cluster",
                ],
            ) from error
    return ray.shutdown


def _connect(**words: Any) -> None:  # noqa: ANN401 - as `ray.init` takes them
    """As `ray.init`, and again when a cluster that answers could not serve us: its servers fail to start at times."""
    for _ in range(_ATTEMPTS - 1):
        try:
            ray.init(**words)
        except ConnectionAbortedError:
            continue
        return
    ray.init(**words)


def nodes() -> list[Node]:
    """The nodes that are alive and have processors."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    found = [
        Node(
            id=node["NodeID"],
            address=node["NodeManagerAddress"],
            processors=int(node["Resources"].get("CPU", 0)),
            memory=int(node["Resources"].get("memory", 0)),
        )
        for node in alive
    ]
    return [node for node in found if node.processors > 0]


def here() -> str | None:
    """The node this process is on; None when it only speaks to one."""
    return None if ray.util.client.ray.is_connected() else ray.get_runtime_context().get_node_id()


def require_equal_nodes(out: Path) -> None:
    """Every node has to have this ckpt2hf, and to see the output directory. Raises UsageError, OutputError."""
    found = nodes()
    if is_remote(out):
        answers = _asked(found, None)
    else:
        with explained(out):
            out.mkdir(parents=True, exist_ok=True)
            token = out / f".ckpt2hf-{secrets.token_hex(8)}"
            token.touch()
        try:
            answers = _asked(found, str(token))
        finally:
            token.unlink(missing_ok=True)
    wrong = {node.address: version for node, (version, _) in answers if version != ckpt2hf.__version__}
    if wrong:
        raise UsageError(
            f"the cluster does not have this ckpt2hf, {ckpt2hf.__version__}",
            details=[f"{address}: {version or 'none'}" for address, version in sorted(wrong.items())],
            remedies=[f"pip install 'ckpt2hf=={ckpt2hf.__version__}'   on every node, in the environment Ray runs in"],
        )
    blind = [node.address for node, (_, sees) in answers if not sees]
    if blind:
        raise UsageError(
            f"{len(blind)} of {len(found)} nodes of the cluster do not see the output directory",
            details=sorted(blind),
            where=str(out),
            remedies=["a directory that every node mounts under the same path", "-o s3://…   where all can write"],
        )


def _asked(found: list[Node], token: str | None) -> list[tuple[Node, tuple[str | None, bool]]]:
    """What each node answers in time: its ckpt2hf, and whether it sees a file of ours."""
    ask = ray.remote(num_cpus=0, max_retries=0)(_question())
    asked = {
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(token): node
        for node in found
    }
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE) if asked else ([], [])
    answers = []
    for ref in ready:
        try:
            answers.append((asked[ref], ray.get(ref)))
        except ray.exceptions.RayError:
            continue  # it has died since
    return answers


def _question() -> Callable[[str | None], tuple[str | None, bool]]:
    """A function that travels as it is: where it runs, there may be no ckpt2hf."""

    def answer(token: str | None) -> tuple[str | None, bool]:
        import os  # noqa: PLC0415 - where it runs

        try:
            import ckpt2hf as theirs  # noqa: PLC0415
        except ImportError:
            return None, True
        return theirs.__version__, token is None or os.path.exists(token)  # noqa: PTH110 - as little as possible

    return answer


def _nothing() -> None:
    """The connection is somebody else's."""
