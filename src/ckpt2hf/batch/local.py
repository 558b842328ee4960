"""Jobs on this machine: each in a process copied from one that has imported everything already."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import Pipe, connection
from typing import TYPE_CHECKING

from ckpt2hf import limits
from ckpt2hf.batch.events import Abandoned, Converted, Lost, Raised
from ckpt2hf.batch.forkserver import Ended, Fork, Kill, receive, send
from ckpt2hf.verify import LIBRARIES, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from ckpt2hf.batch.admission import Room
    from ckpt2hf.batch.events import Event
    from ckpt2hf.batch.job import Job
    from ckpt2hf.run import Needs

_LAST = (Converted, Raised, Abandoned)
_MODULES = {Level.LOGITS: ("ckpt2hf.verify.function", "transformers.models.gpt2.modeling_gpt2")}
"""What jobs of a level import sooner or later, besides what all do."""
_SERVE = "from ckpt2hf.batch.forkserver import main; main()"
"""Not `python -m`: run as a script, its messages would be of other classes than ours."""
_PATIENCE = 5.0
"""Seconds the forkserver gets to go by itself."""


@dataclass(slots=True)
class _Child:
    """One job's process, seen from here."""

    line: Connection
    open: bool = True
    last: Event | None = None


@dataclass(slots=True)
class _Server:
    """The forkserver, seen from here."""

    process: subprocess.Popen[bytes]
    control: socket.socket


@dataclass(slots=True)
class LocalExecutor:
    """Runs up to `slots` jobs at the same time, with `threads` threads each."""

    slots: int
    threads: int
    levels: frozenset[Level]
    """What the jobs will need imported."""
    keep_open: tuple[int, ...] = ()
    """File descriptors that stay open until the last process is gone, such as that of a lock."""
    name: str = "local"
    schedules: bool = False
    _server: _Server | None = None
    _children: dict[int, _Child] = field(default_factory=dict)
    _unborn: list[tuple[int, Event]] = field(default_factory=list)
    """What `wait` has to say of jobs for which no process could be made."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, job: Job) -> int:
        """Begin a job in a process of its own; a forkserver that is gone is made anew."""
        number = next(self._numbers)
        here, there = Pipe()
        self._children[number] = _Child(here)
        try:
            send(self._running().control, Fork(number), (there.fileno(),))
            here.send((self.threads, job))
        except OSError as error:
            if self._server is None:
                self._children.pop(number).line.close()
                self._unborn.append((number, Lost(f"no process can be started: {error.strerror}")))
            # Otherwise the forkserver went just now, which `wait` will find.
        finally:
            there.close()
        return number

    def let_in(self, number: int, needs: Needs) -> None:
        """Let a planned job go on."""
        child = self._children[number]
        try:
            child.line.send(needs)
        except OSError:
            child.open = False

    def stop(self, number: int, *, kill: bool) -> None:
        """Ask a job's process to clean up and go, or end it."""
        if self._server is not None and number in self._children:
            message = Kill(number, signal.SIGKILL if kill else signal.SIGTERM)
            try:
                send(self._server.control, message)
            except OSError:
                return  # its children went with it

    def wait(self, timeout: float) -> Sequence[tuple[int, Event]]:
        """What jobs said, and which of them ended."""
        if self._unborn:
            heard, self._unborn = self._unborn, []
            return heard
        lines = {child.line: number for number, child in self._children.items() if child.open}
        control = [self._server.control] if self._server else []
        heard = []
        ready = connection.wait([*lines, *control], timeout)
        for line in ready:
            if isinstance(line, connection.Connection):
                heard += self._hear(lines[line])
        if control and control[0] in ready:
            heard += self._ended()
        return heard

    def now(self) -> float:
        """Seconds of the machine's clock that never goes back."""
        return time.monotonic()

    def close(self) -> None:
        """End the forkserver, and with it all that still runs."""
        if self._server is None:
            return
        self._server.control.close()
        try:
            self._server.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.process.kill()
            self._server.process.wait()
        self._server = None
        for child in self._children.values():
            child.line.close()
        self._children.clear()

    def _running(self) -> _Server:
        if self._server is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            modules = [module for level in self.levels for module in _MODULES.get(level, ())]
            with theirs, ExitStack() as unless_it_starts:
                unless_it_starts.callback(ours.close)
                process = subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-c", _SERVE, str(theirs.fileno()), *modules],
                    pass_fds=[theirs.fileno(), *self.keep_open],
                    stdin=subprocess.DEVNULL,
                    env={"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1", **os.environ},
                )
                unless_it_starts.pop_all()
            self._server = _Server(process, ours)
        return self._server

    def _hear(self, number: int) -> Iterator[tuple[int, Event]]:
        """Everything a job has said so far. Its last word is kept until its process is gone."""
        child = self._children[number]
        try:
            while child.open and child.line.poll():
                event = child.line.recv()
                if isinstance(event, _LAST):
                    child.last = event
                else:
                    yield number, event
        except (EOFError, OSError):
            child.open = False

    def _ended(self) -> Iterator[tuple[int, Event]]:
        """The jobs whose processes are gone; all of them if the forkserver is."""
        assert self._server is not None  # noqa: S101 - told by its own socket
        message, _ = receive(self._server.control)
        if isinstance(message, Ended):
            yield from self._gone(message.number, _death(message.status))
        elif message is None:
            self._server.process.kill()
            code = self._server.process.wait()
            self._server.control.close()
            self._server = None
            for number in list(self._children):
                yield from self._gone(number, f"the process that jobs are copied from ended: {_death(code)}")

    def _gone(self, number: int, why: str) -> Iterator[tuple[int, Event]]:
        yield from self._hear(number)
        child = self._children.pop(number)
        child.line.close()
        yield number, child.last or Lost(why)


def local_executor(jobs: Sequence[Job], *, workers: int, room: Room, held: tuple[int, ...]) -> LocalExecutor:
    """This machine: one job per processor; what is left of the processors goes to each job as threads."""
    slots = places(workers, len(jobs))
    levels = {job.writing.level for job in jobs}
    # What does not fit will be refused; importing it to say so would be what the kernel kills.
    fitting = frozenset(lvl for lvl in levels if room.memory is None or LIBRARIES[lvl] < room.memory.nbytes)
    return LocalExecutor(slots, max(1, limits.processors() // slots), fitting, held)


def places(workers: int, jobs: int) -> int:
    """How many jobs run at the same time: as many as asked for, else one per processor; no more than there are."""
    return max(1, min(workers or limits.processors(), jobs))


def _death(status: int) -> str:
    """How a process ended, in words."""
    code = os.waitstatus_to_exitcode(status) if status >= 0 else status
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    more = ": by the kernel for want of memory, or by somebody" if -code == signal.SIGKILL else ""
    return f"its process was ended by {name}{more}"
