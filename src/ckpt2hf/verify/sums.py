"""Whether the files of a directory are those that were written, by its `SHA256SUMS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.output import SUMS, read_sums, summed
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.sources import Sources

EDITABLE = "README.md"
"""The one file that people are meant to edit."""
_SHOWN = 5


class Summed:
    """The digests that a directory should have, and those it has, computed while something else is done."""

    def __init__(self, directory: Path, files: Sources) -> None:
        """Begin to read what is named there."""
        self._directory = directory
        self._files = files
        self._problem = ""
        self._said: Mapping[str, str] | None = None
        self._there = summed(directory)
        try:
            self._said = read_sums(directory)
        except ValueError as error:
            self._problem = f"{SUMS} cannot be used: {error}"
        files.watch(self._there[name] for name in self._said or () if name in self._there)

    def check(self) -> Check | None:
        """What came of it; waits for the digests. None where there is no such file."""
        if self._problem:
            return Check(SUMS, passed=False, summary=self._problem)
        if self._said is None:
            return None
        digests = self._files.sha256()
        found = {name: digests[self._there[name]] for name in self._said if name in self._there}
        missing = [name for name in self._said if name not in found]
        changed = [name for name, digest in self._said.items() if found.get(name, digest) != digest]
        wrong = [f"{name} is missing" for name in missing if name != EDITABLE]
        wrong += [f"{name} has changed" for name in changed if name != EDITABLE]
        numbers = {"files": len(self._said), "changed": len(changed), "missing": len(missing)}
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        good = f"{len(self._said) - len(missing) - len(changed)} files as they were written"
        parts = [*wrong[:_SHOWN], *more] if wrong else [good]
        if EDITABLE in {*missing, *changed}:
            parts.append(f"{EDITABLE} was {'edited' if EDITABLE in changed else 'deleted'} since, which is no fault")
        if beside := [name for name in self._there if name not in self._said]:
            parts.append(f"not named there: {', '.join(beside[:_SHOWN])}{', …' if len(beside) > _SHOWN else ''}")
        return Check(SUMS, passed=not wrong, summary="; ".join(parts), numbers=numbers)
