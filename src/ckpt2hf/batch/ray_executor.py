"""Jobs on a Ray cluster: one task plans a job, another converts it where the memory it needs is free."""

from __future__ import annotations

import itertools
import pickle
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

import ckpt2hf
from ckpt2hf.batch import ray_cluster
from ckpt2hf.batch.events import Abandoned, Lost, Planned, Raised
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.ray_board import new_board, progress, work
from ckpt2hf.batch.ray_words import nowhere, unseen, why_lost
from ckpt2hf.batch.ray_worker import Order
from ckpt2hf.dialects import own_file
from ckpt2hf.errors import NotFoundError
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt2hf.batch.events import Event
    from ckpt2hf.batch.job import Job
    from ckpt2hf.batch.ray_board import Tag
    from ckpt2hf.batch.ray_worker import Answer, Seen
    from ckpt2hf.run import Needs

_PLANNING = {"num_cpus": 0.1, "memory": 256 << 20, "scheduling_strategy": "SPREAD"}
"""What planning reserves: little, but of a node that has processors; spread, for each node has workers to warm up."""
_WORKER = 160 << 20
"""Bytes that a worker, the process that jobs are copied from and the copy take, besides what the job says it needs."""
_LOOK_EVERY = 2.0
"""Seconds between two looks at which nodes there are."""
_SETTLING = 0.5
"""Seconds in which the processes of a job follow their worker; before, what they leave cannot be removed."""
_NEWS = 30.0
"""Seconds a question for news stays open."""


@dataclass(slots=True)
class _Task:
    """A job, seen from here."""

    job: Job
    threads: int
    ref: Any = None
    """The task that plans or converts it; None between the two."""
    converts: bool = False
    killed: bool = False
    seen: Seen | None = None
    """The last that was heard of the task, and so the node where it is."""


@dataclass(slots=True)
class RayExecutor:
    """Runs jobs on the cluster that this process is connected to."""

    leave: Callable[[], None]
    """Ends the connection."""
    workers: int = 0
    """The user's own number of slots; 0 for one per processor of the cluster."""
    name: str = "ray"
    schedules: bool = True
    slots: int = 1
    _largest: int = 0
    """Bytes of the node with the most memory."""
    _alive: frozenset[str] = frozenset()
    _looked: float = 0.0
    _tasks: dict[int, _Task] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _doubled: set[str] = field(default_factory=set)
    """Jobs that a node ran out of memory with."""
    _later: list[tuple[float, int, Event]] = field(default_factory=list)
    """What is to be told, and when."""
    _board: Any = None
    _news: Any = None
    """The question for news that is open."""
    _quiet_until: float = 0.0
    """Until when there is nobody to ask."""

    def start(self, job: Job) -> int:
        """Begin to plan a job on some node."""
        if self._board is None:
            self._board = new_board(ray_cluster.here())
        number = next(self._numbers)
        threads = max(1, job.writing.threads)
        self._tasks[number] = _Task(replace(job, writing=replace(job.writing, threads=threads)), threads)
        self._submit(number, None, dict(_PLANNING))
        return number

    def let_in(self, number: int, needs: Needs) -> None:
        """Submit the conversion; Ray begins it where there is memory for it."""
        memory = _reserved(needs)
        if self._tasks[number].job.name in self._doubled:
            memory = max(memory, min(2 * memory, self._largest))
        self._submit(number, needs, {"num_cpus": 1, "memory": memory})

    def stop(self, number: int, *, kill: bool) -> None:
        """Ask a job's worker to let it clean up and end, or end the worker."""
        task = self._tasks.get(number)
        if task is None:
            return
        if task.ref is None:
            self._tell(number, Abandoned())
            return
        task.killed = kill
        with suppress(ray.exceptions.RayError, ValueError):
            ray.cancel(task.ref, force=kill, recursive=False)

    def wait(self, timeout: float) -> Sequence[tuple[int, Event]]:
        """What jobs said and how they ended; those on a node that is gone are lost."""
        self._look()
        now = self.now()
        refs = {task.ref: number for number, task in self._tasks.items() if task.ref is not None}
        if self._news is None and self._board is not None and now >= self._quiet_until:
            self._news = self._board.news.remote(_NEWS)
        asked = [*refs, *([self._news] if self._news is not None else [])]
        patience = max(0.0, min([timeout, *(at - now for at, _, _ in self._later)]))
        ready = self._ready(asked, patience)
        heard: list[tuple[int, Event]] = []
        if self._news in ready:
            heard += self._read_news()
        for ref in ready:
            if ref in refs:
                heard += self._ended(refs[ref])
        due = [entry for entry in self._later if entry[0] <= self.now()]
        self._later = [entry for entry in self._later if entry not in due]
        return heard + [(number, event) for _, number, event in due]

    def now(self) -> float:
        """Seconds of this machine's clock that never goes back."""
        return time.monotonic()

    def close(self) -> None:
        """End what still runs, and leave the cluster."""
        for number in list(self._tasks):
            self.stop(number, kill=True)
        self._tasks.clear()
        if self._board is not None:
            with suppress(ray.exceptions.RayError, ValueError):
                ray.kill(self._board)
        self._board = self._news = None
        self.leave()

    def look(self) -> None:
        """Which nodes there are, and what they have."""
        nodes = ray_cluster.nodes()
        self._alive = frozenset(node.id for node in nodes)
        self._largest = max((node.memory for node in nodes), default=0)
        self.slots = self.workers or max(1, sum(node.processors for node in nodes))
        self._looked = self.now()

    def _look(self) -> None:
        """Now and then. A node may be gone without its connections having ended: its jobs are lost all the same."""
        if self.now() - self._looked < _LOOK_EVERY:
            return
        self.look()
        for number, task in list(self._tasks.items()):
            if task.ref is not None and task.seen is not None and task.seen.node not in self._alive:
                self.stop(number, kill=True)
                self._tell(number, Lost("the node it was on is gone"))

    def _submit(self, number: int, needs: Needs | None, options: dict[str, Any]) -> None:
        task = self._tasks[number]
        task.converts, task.seen = needs is not None, None
        order = Order(
            version=ckpt2hf.__version__,
            folder=_folder(task.job),
            job=pickle.dumps(task.job),
            level=task.job.writing.level,
            threads=task.threads,
            needs=needs,
        )
        remote = ray.remote(work).options(max_retries=0, **options)
        task.ref = remote.remote(order, self._board, (number, task.converts))

    def _ready(self, refs: list[Any], patience: float) -> set[Any]:
        """The tasks that have ended, once one has."""
        if not refs:
            time.sleep(patience)
            return set()
        ready, _ = ray.wait(refs, num_returns=1, timeout=patience)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        return set(ready)

    def _ended(self, number: int) -> Iterator[tuple[int, Event]]:
        """What came of a task."""
        task = self._tasks[number]
        try:
            answer: Answer = ray.get(task.ref)
        except ray.exceptions.TaskCancelledError:
            # The processes of a worker that was ended are gone only a moment after it.
            self._tell(number, Abandoned(), _SETTLING if task.killed else 0.0)
        except ray.exceptions.RayTaskError as error:
            self._tell(number, judged(error.cause if isinstance(error.cause, Exception) else error))
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.OutOfMemoryError):
                self._doubled.add(task.job.name)
            self._tell(number, Lost(why_lost(error)), _SETTLING)
        else:
            task.ref = None
            event = self._judged(answer, task.job)
            if not isinstance(event, Planned):
                del self._tasks[number]
            yield number, event

    def _judged(self, answer: Answer, job: Job) -> Event:
        """What a node said, and what it means for a cluster."""
        event = answer.event
        if isinstance(event, Planned) and 0 < self._largest < _reserved(event.needs):
            return judged(nowhere(_reserved(event.needs), self._largest))
        if isinstance(event, Raised) and event.reason.code == NotFoundError.code and job.request.source.exists():
            return unseen(event, answer.host)
        return event

    def _read_news(self) -> Iterator[tuple[int, Event]]:
        news, self._news = self._news, None
        try:
            latest: dict[Tag, Seen] = ray.get(news)
        except ray.exceptions.RayError:
            self._quiet_until = self.now() + _LOOK_EVERY  # it begins anew, and workers repeat themselves
            return
        for (number, converts), seen in latest.items():
            task = self._tasks.get(number)
            if task is not None and task.ref is not None and task.converts == converts:
                yield from ((number, event) for event in progress(task.seen, seen))
                task.seen = seen

    def _tell(self, number: int, event: Event, after: float = 0.0) -> None:
        """The last of a job, to be told in a moment."""
        self._tasks.pop(number, None)
        self._later.append((self.now() + after, number, event))


def ray_executor(jobs: Sequence[Job], address: str | None, workers: int) -> RayExecutor:
    """An executor on a cluster that can do what these jobs need.

    Raises UnreachableError when there is no cluster, UsageError when its nodes are not like this machine.
    """
    made = RayExecutor(ray_cluster.join(address, workers), workers)
    try:
        for root in {_root(job) for job in jobs}:
            ray_cluster.require_equal_nodes(root)
        made.look()
    except BaseException:
        made.leave()
        raise
    return made


def _root(job: Job) -> Path:
    """The output directory of a job's batch."""
    root = job.writing.out
    for _ in job.name.split("/"):
        root = root.parent
    return root


def _folder(job: Job) -> str | None:
    """Where paths of a job start from; None if none does."""
    asked = job.request
    own = None if asked.dialect is None else own_file(asked.dialect)
    paths = [asked.source, asked.sample, asked.tokenizer.file, job.writing.out, job.writing.scratch, own]
    local = any(path is not None and not is_remote(path) and not path.is_absolute() for path in paths)
    return str(Path.cwd()) if local or asked.reference else None


def _reserved(needs: Needs) -> int:
    """Bytes that Ray sets aside for a conversion."""
    return needs.memory + needs.libraries + _WORKER
