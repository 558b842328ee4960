"""Jobs shared out to threads: their order, the first error, and a signal at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from ckpt2hf.threads import in_threads

SIGNALLED = """
import signal, sys, threading
from ckpt2hf.threads import in_threads

class Stopped(BaseException):
    pass

def stop(*_):
    raise Stopped

def job():
    return sum(range(20))

signal.signal(signal.SIGALRM, stop)
for k in range(int(sys.argv[1])):
    try:
        # Again after a while: what is raised in the callback of a weak reference, Python ignores.
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + k * 0.00001, 0.5)
        while True:
            in_threads([job] * 50, 2)
    except Stopped:
        signal.setitimer(signal.ITIMER_REAL, 0)
assert threading.active_count() == 1, threading.enumerate()
print("done")
"""
"""Cuts off a run of jobs at so many moments, each a little later than the one before."""


def test_results_are_in_the_order_of_the_jobs() -> None:
    def job(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    heard: list[tuple[int, int]] = []
    found = in_threads([partial(job, k) for k in range(20)], 4, lambda number, result: heard.append((number, result)))
    assert found == [k * k for k in range(20)]
    assert sorted(heard) == list(enumerate(found))


def test_no_jobs_need_no_threads() -> None:
    assert in_threads([], 4) == []


def test_no_more_threads_than_asked_for_are_at_work() -> None:
    at_work, most, lock = 0, 0, threading.Lock()

    def job() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.002)
        with lock:
            at_work -= 1

    in_threads([job] * 12, 3)
    assert most == 3


def test_the_first_error_ends_it_and_those_at_work_come_to_their_end() -> None:
    began, stopped = [], threading.Event()

    def fails() -> None:
        raise ValueError("here")

    def waits(number: int) -> None:
        began.append(number)
        assert stopped.wait(10)

    with pytest.raises(ValueError, match="here"):
        in_threads([partial(waits, 0), fails, *(partial(waits, k) for k in range(1, 9))], 2, stop=stopped.set)
    assert set(began) <= {0, 1}
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(_work)")]


def test_an_error_of_the_listener_ends_it_too() -> None:
    def hears(number: int, _result: None) -> None:
        raise KeyError(number)

    with pytest.raises(KeyError):
        in_threads([lambda: None] * 5, 2, hears)


@pytest.mark.parametrize("rounds", [400])
def test_a_signal_at_any_moment_leaves_nobody_waiting(rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(rounds)], capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


def test_threads_get_no_signals() -> None:
    masks = in_threads([lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [])] * 2, 2)
    assert all({signal.SIGINT, signal.SIGTERM} <= set(mask) for mask in masks)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
