"""What runs in a worker of a Ray cluster: the local executor, with one job at a time, asked and told over Ray.

A worker has threads and is not copied. Each keeps forkservers of its own from job to job, so that importing is paid
once per worker, and every job has a process of its own as it has without Ray: what it may take is limited, what it is
killed for ends with it, and told to stop it removes what it has begun.
"""

from __future__ import annotations

import os
import pickle
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ckpt2hf
from ckpt2hf.batch.events import Abandoned, Advanced, Converted, Lost, Phase, Planned, Raised
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.local import LocalExecutor
from ckpt2hf.report import ReasonReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.batch.events import Event
    from ckpt2hf.run import Needs
    from ckpt2hf.verify import Level

_LAST = (Converted, Raised, Abandoned, Lost)
_TICK = 0.2
"""Seconds after which a job is looked at, whatever happens."""
_TOLD_EVERY, _ALIVE_EVERY = 0.5, 5.0
"""Seconds between two messages about progress: when there is some, and when there is none."""
_RAYLET = os.getppid()
"""The process that has started this one and speaks for the node."""
_locals: dict[frozenset[Level], LocalExecutor] = {}
"""For the whole life of the worker: the forkservers, by what they have imported."""
_THREAD = "ckpt2hf-relay"
_relays: queue.SimpleQueue[_Relay] = queue.SimpleQueue()


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a job is, as a whole: a message that is lost is made good by the next."""

    node: str
    phase: str
    total: int
    """Bytes of the phase, 0 when unknown."""
    phases: int = 0
    """How many phases have begun."""
    done: int = 0
    """Bytes of this phase that are done."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do with a job."""

    version: str
    """Of the ckpt2hf that gives the order; `job` is read by the same only."""
    folder: str | None
    """The directory that paths of the job start from; None if none does."""
    job: bytes
    level: Level
    threads: int
    needs: Needs | None
    """What the job has been let in with; None to plan it only."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an order."""

    host: str
    event: Event


def carry_out(order: Order, node: str, tell: Callable[[Seen], None]) -> Answer:
    """Plans or converts a job. A KeyboardInterrupt, which is how Ray cancels, ends it once it has cleaned up.

    Ray interrupts the main thread wherever it is, so that thread does nothing but wait.
    """
    host = socket.gethostname()
    if order.version != ckpt2hf.__version__:
        what = f"the node {host} has ckpt2hf {ckpt2hf.__version__}, and this is {order.version}"
        remedies: tuple[str, ...] = (f"pip install 'ckpt2hf=={order.version}'   on every node",)
        return Answer(host, Raised(ReasonReport("usage", what, remedies=remedies), lasting=False, passing=False))
    if order.folder is not None:
        try:
            os.chdir(order.folder)
        except OSError as error:
            what = f"the node {host} does not see the directory that the command was given in"
            remedies = ("absolute paths, or URLs", "a directory that every node mounts under the same path")
            reason = ReasonReport("not-found", what, (str(error),), order.folder, None, remedies)
            return Answer(host, Raised(reason, lasting=False, passing=False))
    relay = _Relay(order, _Told(tell, Seen(node, "", 0)))
    if not any(thread.name == _THREAD for thread in threading.enumerate()):
        threading.Thread(target=_relaying, name=_THREAD, daemon=True).start()
    try:
        _relays.put(relay)
        while not relay.ended.wait(_TICK):
            pass
    except KeyboardInterrupt:
        relay.stopped.set()
        relay.ended.wait()
    return Answer(host, relay.event)


@dataclass(slots=True)
class _Told:
    """Says how far a job is, not more often than somebody can look, and now and then that it is still there."""

    tell: Callable[[Seen], None]
    seen: Seen
    last: float = 0.0
    pending: bool = False

    def phase(self, name: str, total: int) -> None:
        if self.pending:
            self._send()
        self.seen = Seen(self.seen.node, name, total, self.seen.phases + 1)
        self._send()

    def advance(self, nbytes: int) -> None:
        seen = self.seen
        self.seen = Seen(seen.node, seen.phase, seen.total, seen.phases, seen.done + nbytes)
        self.pending = True

    def tick(self) -> None:
        """Say what is due."""
        if time.monotonic() - self.last >= (_TOLD_EVERY if self.pending else _ALIVE_EVERY):
            self._send()

    def _send(self) -> None:
        self.tell(self.seen)
        self.last, self.pending = time.monotonic(), False


@dataclass(slots=True)
class _Relay:
    """One order, and what came of it: passes on what the job says until it has ended."""

    order: Order
    told: _Told
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    event: Event = field(default_factory=lambda: Lost("its worker did not say what came of it"))

    def run(self) -> None:
        try:
            self.event = self._last()
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            self.event = judged(error)
        finally:
            self.ended.set()

    def _last(self) -> Event:
        order = self.order
        # Planning needs no torch: a worker that only plans does not hold its memory.
        local = _local(frozenset({order.level} if order.needs else ()), order.threads)
        number = local.start(pickle.loads(order.job))  # noqa: S301 - from our own driver
        found: Planned | None = None
        told = False
        while True:
            if os.getppid() != _RAYLET:
                # The node is given up and its jobs begin again elsewhere: nobody waits for this one.
                local.close()
                os._exit(1)
            if self.stopped.is_set() and not told:
                told = True
                local.stop(number, kill=False)
            for _, event in local.wait(_TICK):
                if isinstance(event, _LAST):
                    return found or event
                if isinstance(event, Planned) and order.needs:
                    local.let_in(number, event.needs)
                elif isinstance(event, Planned):
                    found = event
                    local.stop(number, kill=True)  # it waits, and has begun nothing
                elif isinstance(event, Phase):
                    self.told.phase(event.name, event.total)
                elif isinstance(event, Advanced):
                    self.told.advance(event.nbytes)
            self.told.tick()


def _relaying() -> None:
    """The life of the thread that carries out orders.

    It is as long as the worker's, because the system ends a forkserver with the thread that has made it.
    """
    while True:
        _relays.get().run()


def _local(levels: frozenset[Level], threads: int) -> LocalExecutor:
    """The worker's own executor that has imported what jobs of these levels need."""
    if levels not in _locals:
        _locals[levels] = LocalExecutor(1, threads, levels)
    _locals[levels].threads = threads
    return _locals[levels]
