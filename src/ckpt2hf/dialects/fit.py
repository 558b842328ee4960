"""Whether a checkpoint's names and metadata are those of a layout, and why (not)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import Record, lookup
from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.naming import NameIndex, collapse, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.schema import Dialect, Layout, Mark, Signature

_MATRIX = 2
_NEAREST = 3
"""Layouts that do not fit, of which it is told why."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One layout held against one checkpoint."""

    dialect: Dialect
    layout: Layout
    misfits: tuple[str, ...]
    """What speaks against it; empty when it fits."""
    mark: str | None
    """What in the file only this codebase leaves there."""

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.misfits

    @property
    def is_strange(self) -> bool:
        """Whether not one of the names it needs is there."""
        missing = {f"{p} is missing" for p in self.layout.signature.needs}
        return missing <= set(self.misfits)

    @property
    def refuses(self) -> bool:
        """Whether it fits, and says that no such checkpoint can be converted."""
        return self.fits and self.layout.refuse is not None

    @property
    def target(self) -> str:
        """The id of the architecture it becomes."""
        return self.layout.target or self.dialect.target

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids of all architectures to try, in order."""
        return (self.target, *self.layout.also)

    @property
    def reason(self) -> str:
        """Why it fits, or why not."""
        if self.misfits:
            return "; ".join(self.misfits)
        if self.layout.refuse is not None:
            return f"recognised, and refused: {self.layout.refuse}"
        if self.mark:
            return f"all names fit, and {self.mark}"
        only = "" if self.layout.signature.shared else ", and only this codebase saves them"
        return f"all names fit{only}"


def fit(dialect: Dialect, layout: Layout, checkpoint: Checkpoint, names: NameIndex | None = None) -> Fit:
    """The layout held against the checkpoint. `names` are those of its tensors, for who asks about many layouts."""
    evidence = Evidence(checkpoint, layout.naming.ties, names)
    signature = layout.signature
    misfits = [f"{p} is missing" for p in signature.needs if not evidence.matching(p)]
    misfits += [f"{p} is there" for p in signature.forbids if evidence.matching(p)]
    misfits += [] if evidence.holds(signature.when) else ["the settings are not those of this layout"]
    misfits += _orientation(signature, evidence) + _halves(signature, evidence)
    if not misfits:  # where names are missing, nobody needs to know more
        misfits += _gaps(layout, evidence) + _inflated(evidence)
    if not misfits and layout.refuse is None:
        strangers = collapse(_strangers(layout, evidence))
        misfits += [f"no rule for {name}" for name in strangers[:3]]
        misfits += [f"and {len(strangers) - 3} more"] if len(strangers) > 3 else []  # noqa: PLR2004 - the three shown
    mark = next((found for m in signature.marks if (found := _mark(m, evidence))), None)
    return Fit(dialect, layout, tuple(misfits), mark)


def _gaps(layout: Layout, evidence: Evidence) -> list[str]:
    """Counted names that are not numbered 0, 1, 2 …: a count would make up what is missing, however much that is."""
    found = []
    for source in (source for sources in layout.facts.values() for source in sources if source.count):
        values = [source.count.match(name) or {} for name in evidence.matching(source.count)] if source.count else []
        numbers = {each[source.of] for each in values}
        if numbers and max(numbers) + 1 != len(numbers):
            missing = next(number for number in range(len(numbers) + 1) if number not in numbers)
            found.append(f"{source.count} is numbered up to {max(numbers)}, but {missing} is missing")
    return found


def _inflated(evidence: Evidence) -> list[str]:
    """Tensors that repeat the same few numbers: no codebase saves such weights, and they can claim any size."""
    refs = evidence.checkpoint.tensors.items()
    names = [name for name, ref in refs if ref.is_inflated]
    return [f"{name} is larger than what is stored of it" for name in collapse(names)]


def _strangers(layout: Layout, evidence: Evidence) -> list[str]:
    naming = layout.naming
    known = [p for rule in naming.rules for p in rule.names]
    known += [tie.name for tie in naming.ties] + [drop.name for drop in naming.drops]
    placed = {name for each in known for name in evidence.matching(each)}
    return [name for name in evidence.tensors if name not in placed]


def _orientation(signature: Signature, evidence: Evidence) -> list[str]:
    wrong = []
    for text, ratio in signature.ratio.items():
        names = evidence.matching(pattern(text))
        shape = evidence.tensors[names[0]].meta.shape if names else ()
        if len(shape) == _MATRIX and shape[0] != ratio * shape[1]:
            turned = " (stored [in, out], as Hugging Face's Conv1D)" if shape[1] == ratio * shape[0] else ""
            wrong.append(f"{text} is {list(shape)}, not {ratio} times as high as wide{turned}")
    return wrong


def _halves(signature: Signature, evidence: Evidence) -> list[str]:
    found = []
    for group in signature.together:
        there = [p for p in group if evidence.matching(p)]
        if there and len(there) < len(group):
            absent = next(p for p in group if p not in there)
            found.append(f"{there[0]} is there but {absent} is not")
    return found


def _mark(mark: Mark, evidence: Evidence) -> str | None:
    metadata = evidence.checkpoint.metadata
    if mark.meta:
        return f"the file has {mark.meta}" if lookup(metadata, mark.meta) is not None else None
    if mark.side:
        return f"{mark.side} is there" if evidence.at(mark.side) is not None else None
    if mark.tensor:
        return f"{mark.tensor} is there" if evidence.matching(mark.tensor) else None
    record = lookup(metadata, mark.record or "")
    named = isinstance(record, Record) and record.class_name.rpartition(".")[2] == mark.named
    if not named or any(lookup(record, name) is not None for name in mark.lacks):
        return None
    without = f" without {' or '.join(mark.lacks)}" if mark.lacks else ""
    return f"{mark.record} is a pickled {mark.named}{without}"


def told(fits: Sequence[Fit]) -> list[str]:
    """Of layouts that were tried in vain a line each, the nearest first, as far as they have names in common."""
    related = sorted((each for each in fits if not each.is_strange), key=lambda each: len(each.misfits))
    nearest = related[:_NEAREST] if len(fits) > _NEAREST else list(fits)
    lines = [f"{each.dialect.name:18} {each.layout.title}: {each.reason}" for each in nearest]
    if others := len(fits) - len(nearest):
        why = "they fit less well" if len(related) > len(nearest) else "not one of the names they need is here"
        lines.append(f"{others} other layout{'s were' if others > 1 else ' was'} tried; {why}")
    return lines
