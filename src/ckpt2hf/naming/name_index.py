"""Names sorted by what is left of them without numbers, so that a pattern meets only those it can match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.naming.patterns import stem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.naming.patterns import Pattern


class NameIndex:
    """The names of one checkpoint. With fifty layouts to hold against hundreds of names, looking at all is slow."""

    def __init__(self, names: Iterable[str]) -> None:
        """Sort the names; their order is kept."""
        self.names = dict.fromkeys(names)
        self.by_stem: dict[str, list[str]] = {}
        for name in self.names:
            self.by_stem.setdefault(stem(name), []).append(name)

    def matching(self, pattern: Pattern) -> list[str]:
        """The names that a pattern matches, in order."""
        if not pattern.variables:
            return [pattern.text] if pattern.text in self.names else []
        candidates = self.names if pattern.stem is None else self.by_stem.get(pattern.stem, ())
        return [name for name in candidates if pattern.match(name) is not None]
