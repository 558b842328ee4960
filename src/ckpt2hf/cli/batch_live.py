"""A batch on a terminal: what runs, below what went wrong, with rate and time left."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ckpt2hf.cli.batch_pace import Pace
from ckpt2hf.cli.batch_words import MARKS, STYLES, middle, short_reason
from ckpt2hf.report import Status
from ckpt2hf.report.wording import counted, duration, size, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

    from ckpt2hf.cli.batch_pace import Activity
    from ckpt2hf.report import JobReport, SkippedReport

_A_SECOND = 4
"""How often the view is drawn, however often something happens."""
_BAR = 24
_FRAME = 4
"""Lines that no job gets: the bar, the counts, those that are not shown, and the cursor's."""
_NAMES = (16, 40)
"""Columns of a running job's name, at least and at most."""
_WORD = 5
"""Columns of the word before a permanent line."""
_DOING = 46
"""Columns that the rest of its line needs."""


class LiveView:
    """The observer for terminals. Events only change numbers; a thread draws them now and then."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, *, animated: bool = True) -> None:
        """Show the batch on this console."""
        self._console, self._clock = console, clock
        self._lock = threading.Lock()
        self._pace = Pace(clock())
        self._stopping = ""
        self._live = Live(
            console=console,
            get_renderable=self.view,
            refresh_per_second=_A_SECOND,
            auto_refresh=animated,
            transient=True,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        """The view appears with the first event."""
        return self

    def __exit__(self, *error: object) -> None:
        """The view is taken away, also when something went wrong."""
        self._live.stop()

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """The view appears."""
        with self._lock:
            self._pace = Pace(self._clock(), len(names), nbytes)
        beside = f", {counted(len(skipped), 'other file')}" if skipped else ""
        at_once = counted(workers, "worker")
        self._above(Text(f"{counted(len(names), 'checkpoint')}, {size(nbytes)}{beside}, {at_once}", "dim"))
        self._live.start()

    def started(self, name: str, attempt: int) -> None:
        """A line for the job."""
        with self._lock:
            self._pace.doing(name, "starts" if attempt == 1 else f"attempt {attempt}", self._clock())

    def waiting(self, name: str, why: str) -> None:
        """What it waits for."""
        with self._lock:
            self._pace.doing(name, f"waits: {visible(why)}", self._clock())

    def phase(self, name: str, phase: str, total: int) -> None:
        """What it does now."""
        with self._lock:
            self._pace.doing(name, phase, self._clock(), total)

    def advanced(self, name: str, nbytes: int) -> None:
        """Two additions: this is called for every block."""
        with self._lock:
            self._pace.advanced(name, nbytes, self._clock())

    def again(self, name: str, why: str, delay: float) -> None:
        """A permanent line, and one that waits."""
        with self._lock:
            self._pace.doing(name, f"again in {duration(delay)}", self._clock())
        self._above(self._line("again", "yellow", name, why))

    def finished(self, job: JobReport) -> None:
        """A permanent line if it was not proved."""
        with self._lock:
            self._pace.over(job)
        if job.reason and not job.earlier:
            self._above(self._line(MARKS[job.status], STYLES[job.status], job.name, short_reason(job.reason)))

    def stopping(self, why: str, grace: float) -> None:
        """Said once above, and in the view until the end."""
        self._stopping = "stopping"
        self._above(Text(f"stopping: {visible(why)}; what runs has {duration(grace)}", "yellow"))

    def end(self) -> None:
        """The view is taken away; the summary takes its place."""
        self._live.stop()

    def view(self) -> RenderableType:
        """What is to be seen now, in fewer lines than the terminal has."""
        now, width = self._clock(), self._console.width
        with self._lock:
            lines = [self._overall(now), self._counts()]
            room = max(self._console.height - _FRAME, 1)
            lines += [self._running(name, what, now) for name, what in list(self._pace.running.items())[:room]]
            if (hidden := len(self._pace.running) - room) > 0:
                lines.append(Text(f"  and {hidden} more", "dim"))
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Group(*lines)

    def _overall(self, now: float) -> Text:
        pace = self._pace
        share = pace.finished_bytes / pace.nbytes if pace.nbytes else pace.finished / max(pace.jobs, 1)
        full = round(min(share, 1.0) * _BAR)
        left = pace.remaining(now)
        parts = [f"{pace.finished:,}/{pace.jobs:,}", f"{size(pace.rate.at(now))}/s", duration(now - pace.began)]
        parts.append(f"about {duration(left)} left" if left is not None else "")
        told = "  ".join(part for part in parts if part)
        return Text.assemble(("━" * full, "green"), ("─" * (_BAR - full), "dim"), (f"  {told}", ""))

    def _counts(self) -> Text:
        line = Text()
        for status in (Status.PROVED, Status.REFUSED, Status.FAILED):
            if count := self._pace.counts[status]:
                line.append(f"{count:,} {status.value}  ", STYLES[status])
        running = len(self._pace.running)
        return line.append(f"{running} running" if running else "", "").append(
            f"  {self._stopping}" if self._stopping else "", "yellow"
        )

    def _running(self, name: str, what: Activity, now: float) -> Text:
        least, most = _NAMES
        width = min(max(self._console.width - _DOING, least), most)
        shown = middle(visible(name), width)
        line = Text(f"  {shown}{' ' * (width - cell_len(shown))}  {what.phase:8}")
        if what.total:
            line.append(f"{what.done / what.total:5.0%} of {size(what.total):>8}")
            line.append(f"  {size(what.rate.at(now)):>8}/s" if what.done else "")
        else:
            line.append(f"  {duration(now - what.since)}", "dim")
        return line

    def _line(self, word: str, style: str, name: str, why: str) -> Text:
        """A permanent line: the name gives way to the reason, and the whole to the terminal's width."""
        least, _ = _NAMES
        word = f"{word:{_WORD}}"
        room = self._console.width - _WORD - 4
        shown = middle(visible(name), max(room - cell_len(visible(why)), least, room // 3))
        line = Text.assemble((word, f"bold {style}"), f"  {shown}  ", (visible(why), "dim"))
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _above(self, line: Text) -> None:
        self._console.print(line)
