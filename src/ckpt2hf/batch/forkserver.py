"""A process that has imported everything once and is copied for each job.

Importing torch and transformers takes seconds, a copy of a process that has done so takes milliseconds and shares its
memory. Every job still has a process of its own: what it leaks, breaks or is killed for ends with it.

It is told what to do over a socket, its file descriptor given on the command line, and goes when that closes; its
children go with it.

Source: Linux man-pages, prctl(2): PR_SET_PDEATHSIG; proc(5): oom_score_adj.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, TypeAlias

MESSAGE = 4096
"""Bytes of the longest message on the socket."""
_PR_SET_PDEATHSIG = 1
_FAILED = 1 << 8
"""The status of a process that ended with exit code 1."""
_KILL_US_FIRST = "800"
"""When memory runs out the kernel ends a job rather than the batch."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Make a copy for a job; with it comes the job's end of its line."""

    number: int


@dataclass(frozen=True, slots=True)
class Kill:
    """Send a signal to a job's process."""

    number: int
    signal: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A job's process is gone."""

    number: int
    status: int
    """As `waitpid` gives it."""


Message: TypeAlias = Fork | Kill | Ended


def send(to: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """One message, and open files to go with it. Raises OSError."""
    socket.send_fds(to, [pickle.dumps(message)], descriptors)


def receive(source: socket.socket) -> tuple[Message | None, list[int]]:
    """One message and the open files that came with it; None when the other side is gone."""
    try:
        data, descriptors, _flags, _address = socket.recv_fds(source, MESSAGE, 1)
    except ConnectionError:
        return None, []
    return (pickle.loads(data) if data else None), descriptors  # noqa: S301 - from our own other half


def main() -> None:
    """Import, then copy and reap until the socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _end_with_parent()  # while it imports it does not listen
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prepare(sys.argv[2:])
    _Server(control).serve()


def _prepare(modules: list[str]) -> None:
    """Everything that a job would import, once; the memory it takes is marked as everybody's."""
    gc.disable()  # a fifth of the time of the imports goes into looking for garbage that is not there
    for name in ("ckpt2hf.batch.child", *modules):
        import_module(name)
    for known in import_module("ckpt2hf.dialects").dialects():
        for layout in known.layout:
            for name in (*layout.signature.needs, *layout.signature.forbids):
                name.match("")  # compiles it, which would be a seventh of a small job's time
    import_module("ckpt2hf.report").versions()  # imports what reads the versions of packages
    gc.freeze()
    gc.enable()


class _Server:
    """The children, by the number of their job."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, int] = {}
        self.woken, wake = socket.socketpair()
        for end in (self.woken, wake):
            end.setblocking(False)
        self.wake = wake

    def serve(self) -> None:
        """Until the socket closes; then every child is ended."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self.control, selectors.EVENT_READ)
        selector.register(self.woken, selectors.EVENT_READ)
        open_ = True
        while open_:
            for key, _ in selector.select():
                if key.fileobj is self.woken:
                    with contextlib.suppress(BlockingIOError):
                        self.woken.recv(MESSAGE)
                else:
                    open_ = self._obey()
            self._reap()
        signal.set_wakeup_fd(-1)  # which is closed before the last child is gone
        for pid in self.children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _obey(self) -> bool:
        """Whether there was something to obey, and not the end."""
        message, descriptors = receive(self.control)
        if isinstance(message, Fork):
            self._fork(message.number, descriptors[0])
        elif isinstance(message, Kill) and message.number in self.children:
            os.kill(self.children[message.number], message.signal)
        return message is not None

    def _fork(self, number: int, line: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # too many processes, too little memory: the others go on
            os.close(line)
            send(self.control, Ended(number, _FAILED))
            return
        if pid == 0:
            self._become(line, parent)
        os.close(line)
        self.children[number] = pid

    def _become(self, line: int, parent: int) -> NoReturn:
        """What the copy does: let go of what is the server's, then the job, then nothing more."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self.control, self.woken, self.wake):
                end.close()
            _end_with_parent()
            if os.getppid() == parent:
                with contextlib.suppress(OSError):
                    Path("/proc/self/oom_score_adj").write_text(_KILL_US_FIRST, encoding="ascii")
                _work(Connection(line))
                code = 0
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the batch is gone: nobody is left to tell
        finally:
            os._exit(code)  # no clean-up of what belongs to the server

    def _reap(self) -> None:
        """Tell about every child that has ended."""
        numbers = {pid: number for number, pid in self.children.items()}
        for pid, number in numbers.items():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.children[number]
                with contextlib.suppress(OSError):
                    send(self.control, Ended(number, status))


def _end_with_parent() -> None:
    """From now on this process is killed when the one that made it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _work(line: Connection) -> None:
    from ckpt2hf.batch.child import run  # noqa: PLC0415 - imported long ago, in the server

    threads, job = line.recv()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    run(job, line)
