"""Threads that share out jobs, and that a signal in the main thread can end at any moment.

`concurrent.futures` cannot promise that: the main thread takes the locks of futures in Python code, and a handler that
raises there leaves a lock taken that a worker then waits for, forever. Here the main thread and the workers share only
`SimpleQueue`s, whose operations are single steps of the interpreter. The standard library's documentation says so of
`SimpleQueue.put`, that it may be called again from a signal handler; and in CPython all of it is written in C.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
"""What people, schedulers and timers send."""


def in_threads(
    jobs: Iterable[Callable[[], T]],
    threads: int,
    done: Callable[[int, T], None] = lambda _number, _result: None,
    *,
    stop: Callable[[], None] = lambda: None,
) -> list[T]:
    """What each job gives, in the order of the jobs; `done` hears of each as it ends, here, with its number.

    The first error of a job, or of `done`, or a signal, ends it: no further job is begun, `stop` is called, the jobs at
    work come to their end, and the error goes on.
    """
    waiting: SimpleQueue[tuple[int, Callable[[], T]]] = SimpleQueue()
    ended: SimpleQueue[tuple[int, Callable[[], T]]] = SimpleQueue()
    count = 0
    for job in jobs:
        waiting.put((count, job))
        count += 1
    results: dict[int, T] = {}
    workers = [threading.Thread(target=_work, args=(waiting, ended)) for _ in range(min(threads, count))]
    started: list[threading.Thread] = []
    try:
        for worker in workers:
            with without_signals():
                worker.start()
                started.append(worker)
        for _ in range(count):
            number, result = ended.get()
            results[number] = result()
            done(number, results[number])
    except BaseException:
        stop()
        raise
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        with without_signals():
            for worker in started:
                worker.join()
    return [results[number] for number in range(count)]


def _work(waiting: SimpleQueue[tuple[int, Callable[[], T]]], ended: SimpleQueue[tuple[int, Callable[[], T]]]) -> None:
    """Does what is waiting, until nothing is. What comes of a job is called by who wants to know it."""
    while True:
        try:
            number, job = waiting.get_nowait()
        except Empty:
            return
        try:
            ended.put((number, _given(job())))
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            ended.put((number, _raised(error)))


def _given(result: T) -> Callable[[], T]:
    return lambda: result


def _raised(error: BaseException) -> Callable[[], NoReturn]:
    def again() -> NoReturn:
        raise error

    return again


@contextmanager
def without_signals() -> Iterator[None]:
    """Inside, signals wait; outside, those that came are handled. Threads that are started inside never get any.

    For starting a thread and for waiting until it ends: `threading` does both in Python code, under locks that every
    thread of the process needs.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # Inside, because a signal that came just before is raised by this call, when it has blocked the others already.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
