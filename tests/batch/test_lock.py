"""One batch at a time on an output, or the parts of one; whoever comes later waits or is told."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.batch import lock
from ckpt2hf.errors import OutputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def hold(stack: ExitStack, state: Path, part: tuple[int, int], wait: float = 0.0) -> int:
    return stack.enter_context(lock.held(state, part, wait, lambda: None))


def test_a_second_batch_is_told_who_is_there(tmp_path: Path) -> None:
    told: list[int] = []
    with ExitStack() as stack:
        hold(stack, tmp_path, (1, 1))
        began = time.monotonic()
        with pytest.raises(UsageError) as caught, lock.held(tmp_path, (1, 1), 0.5, lambda: told.append(1)):
            pass
        assert 0.5 <= time.monotonic() - began < 10
    assert told == [1]
    assert caught.value.exit_code == 2
    assert "lock-1-of-1" in str(caught.value)
    assert "--wait" in str(caught.value)
    assert str(tmp_path.parent) in str(caught.value)
    with ExitStack() as stack:
        hold(stack, tmp_path, (1, 1))


def test_it_begins_as_soon_as_the_first_is_gone(tmp_path: Path) -> None:
    order: list[str] = []
    with ExitStack() as first:
        hold(first, tmp_path, (1, 1))

        def second() -> None:
            with lock.held(tmp_path, (1, 1), 30.0, lambda: order.append("waits")):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        while not order:
            time.sleep(0.01)
        order.append("first goes")
    thread.join(10)
    assert order == ["waits", "first goes", "second"]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ((1, 2), (2, 2), True),
        ((3, 14), (14, 14), True),
        ((1, 2), (1, 2), False),
        ((1, 1), (1, 2), False),
        ((2, 2), (1, 1), False),
        ((1, 2), (1, 3), False),
        ((1, 4), (1, 14), False),
        ((4, 14), (1, 4), False),
    ],
)
def test_parts_of_one_split_work_together_and_no_others(
    tmp_path: Path, one: tuple[int, int], other: tuple[int, int], together: bool
) -> None:
    with ExitStack() as stack:
        hold(stack, tmp_path, one)
        if together:
            hold(stack, tmp_path, other)
        else:
            with pytest.raises(UsageError, match=f"lock-{one[0]}-of-{one[1]}|another batch"):
                hold(stack, tmp_path, other)
    with ExitStack() as stack:  # nothing is left behind by either
        hold(stack, tmp_path, other)


def test_a_process_that_works_for_a_dead_batch_still_holds_its_lock(tmp_path: Path) -> None:
    with lock.held(tmp_path, (1, 1), 0.0, lambda: None) as descriptor:
        words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        worker = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[descriptor])
    assert worker.stdin
    with pytest.raises(UsageError), lock.held(tmp_path, (1, 1), 0.0, lambda: None):
        pass
    with ExitStack() as stack:
        threading.Timer(0.3, worker.stdin.close).start()
        hold(stack, tmp_path, (1, 1), lock.BRIEFLY)  # what a batch that is started again at once waits by itself
    assert worker.wait(10) == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_lets_everybody_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def unsupported(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with ExitStack() as stack:
        first = hold(stack, tmp_path, (1, 1))
        assert hold(stack, tmp_path, (1, 1)) != first


def test_a_directory_without_room_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError), lock.held(tmp_path / "gone", (1, 1), 0.0, lambda: None):
        pass

    def full(*_arguments: object, **_words: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OutputError, match="No space left"), lock.held(tmp_path, (1, 1), 0.0, lambda: None):
        pass


def test_however_many_come_at_once_no_two_are_in_each_others_way(tmp_path: Path) -> None:
    parts = [(1, 1), (1, 2), (2, 2), (1, 3), (3, 3)]
    inside: list[tuple[int, int]] = []
    clashes: list[object] = []
    entered: list[tuple[int, int]] = []
    guard = threading.Lock()

    def come(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        for _ in range(12):
            part = chance.choice(parts)
            with suppress(UsageError), lock.held(tmp_path, part, 0.0, lambda: None):
                with guard:
                    clashes.extend((part, other) for other in inside if other == part or other[1] != part[1])
                    inside.append(part)
                    entered.append(part)
                time.sleep(0.002)
                with guard:
                    inside.remove(part)

    threads = [threading.Thread(target=come, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
    assert len(set(entered)) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"lock", *(f"lock-{i}-of-{n}" for i, n in parts)})
