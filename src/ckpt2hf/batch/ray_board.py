"""Where workers of a Ray cluster write how far they are, and the driver reads it: an actor of the batch.

It holds one message per job, the latest, so that neither a slow reader nor a chatty worker makes it grow.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ckpt2hf.batch.events import Advanced, Phase
from ckpt2hf.batch.ray_worker import Answer, Order, Seen, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ckpt2hf.batch.events import Event

Tag: TypeAlias = tuple[int, bool]
"""The number of a job, and whether it is converted rather than planned."""
_GATHERED = 0.1
"""Seconds between two times that news is given out."""


class Board:
    """The latest word of each job that has said something since the last look."""

    def __init__(self) -> None:
        """Nothing has been said."""
        self._latest: dict[Tag, Seen] = {}
        self._news = asyncio.Event()
        self._given = 0.0

    async def tell(self, tag: Tag, seen: Seen) -> None:
        """Say how far a job is."""
        self._latest[tag] = seen
        self._news.set()

    async def news(self, patience: float) -> Mapping[Tag, Seen]:
        """What was said, once there is something; nothing after `patience` seconds."""
        try:
            await asyncio.wait_for(self._news.wait(), patience)
        except TimeoutError:
            return {}
        await asyncio.sleep(self._given + _GATHERED - time.monotonic())
        self._given = time.monotonic()
        self._news.clear()
        latest, self._latest = self._latest, {}
        return latest


def new_board(node: str | None) -> Any:  # noqa: ANN401 - Ray makes the class of an actor's handle
    """A board, on a node if that is alive. It begins anew, empty, when it is lost."""
    where = NodeAffinitySchedulingStrategy(node, soft=True) if node else "DEFAULT"
    made = ray.remote(Board)
    return made.options(num_cpus=0, max_restarts=-1, max_task_retries=0, scheduling_strategy=where).remote()


def work(order: Order, board: Any, tag: Tag) -> Answer:  # noqa: ANN401 - as above
    """The task: carries out an order and writes on the board meanwhile."""
    return carry_out(order, ray.get_runtime_context().get_node_id(), _on(board, tag))


def progress(before: Seen | None, seen: Seen) -> Iterator[Event]:
    """What has happened between two words of a job."""
    if not seen.phases:
        return  # it only says where it is
    if before is None or before.phases != seen.phases:
        yield Phase(seen.phase, seen.total)
        done = 0
    else:
        done = before.done
    if seen.done > done:
        yield Advanced(seen.done - done)


def _on(board: Any, tag: Tag) -> Callable[[Seen], None]:  # noqa: ANN401 - as above
    def tell(seen: Seen) -> None:
        board.tell.remote(tag, seen)

    return tell
