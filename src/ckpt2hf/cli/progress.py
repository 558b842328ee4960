"""Progress on stderr: a bar on a terminal, one line per phase elsewhere, nothing when quiet."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ckpt2hf.cli.console import ERR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task


class _Bytes(DownloadColumn):
    """How many bytes are done, where it is known how many there are."""

    def render(self, task: Task) -> Text:
        """Nothing while the total is unknown."""
        return Text() if task.total is None else super().render(task)


class _Tokens(ProgressColumn):
    """How many tokens are done, and how many are left to do."""

    def render(self, task: Task) -> Text:
        """Nothing while the total is unknown."""
        return Text() if task.total is None else Text(f"{task.completed:,.0f} of {task.total:,.0f} tokens", "green")


class Bar:
    """One line that shows the current phase."""

    def __init__(self, bar: Progress) -> None:
        """Show phases on this bar."""
        self._bar = bar
        self._task: TaskID | None = None

    def phase(self, name: str, total: int) -> None:
        """The bar starts anew under another name."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=total or None)

    def advance(self, nbytes: int) -> None:
        """The bar moves."""
        if self._task is not None:
            self._bar.advance(self._task, nbytes)


class Lines:
    """A line for each phase, for logs."""

    def phase(self, name: str, total: int) -> None:
        """One line."""
        del total
        ERR.print(f"ckpt2hf: {name}")

    def advance(self, nbytes: int) -> None:
        """Nothing: logs are not animated."""


@contextmanager
def shown(*, quiet: bool, tokens: bool = False) -> Iterator[Bar | Lines | None]:
    """Who to tell about progress, in bytes or in tokens; None when quiet."""
    if quiet:
        yield None
    elif not ERR.is_terminal:
        yield Lines()
    else:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Tokens() if tokens else _Bytes(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=ERR, transient=True) as bar:
            yield Bar(bar)
