"""What the output directory of each checkpoint is called: its path without the suffix, made unique where it is not.

Names are unique and none is a directory above another, also where case makes no difference. They depend on the set of
checkpoints only, and a checkpoint that collides with no other has the first of its names, whatever else there is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import PREPARED, ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.run.patterns import Parts

RESERVED = frozenset({"batch.json", "batch.html", ".ckpt2hf"})
"""What a batch itself keeps in its output directory."""
_INDEX = ".index.json"
_LONGEST = 200
"""Bytes of one part of a name: a file system takes 255, and the unfinished output has a longer name."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\]")
_PARTIAL = re.compile(r"\.partial-", re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint lies, as far as its name is concerned."""

    parts: Parts
    """Its path below the root of the batch; empty for the root itself."""
    root: str
    """What the root is called."""
    whole: bool = False
    """Whether it is a directory."""


def names(places: Sequence[Place], given: Mapping[int, Parts]) -> list[Parts]:
    """A name for each place, in order; `given` holds those that a user chose, which are kept, by position."""
    order = sorted((k for k in range(len(places)) if k not in given), key=lambda k: _sorting(places[k]))
    ways = {k: _ways(places[k]) for k in order}
    step = dict.fromkeys(order, 0)
    fixed = frozenset(_folded(name) for name in given.values())
    while True:
        now = {k: _around(_way(ways[k], step[k]), fixed) for k in order}
        raised = _collisions(now, order, {k: len(ways[k]) for k in order}, step, fixed)
        if not raised:
            break
        for k, by in raised.items():
            step[k] += by
    return [given[k] if k in given else now[k] for k in range(len(places))]


def natural(parts: Parts) -> tuple[object, ...]:
    """A key that sorts paths as people do: `step_9` before `step_10`."""
    pieces = tuple(
        tuple((1, int(piece), "") if piece.isdecimal() else (0, 0, piece.casefold()) for piece in _DIGITS.split(part))
        for part in parts
    )
    return pieces, parts


def problem(name: Parts) -> str | None:
    """What is wrong with a name a user chose."""
    if _folded(name)[:1] and _folded(name)[0] in RESERVED:
        return "a batch keeps something of its own under this name"
    return None if name == tuple(_clean(part) for part in name) else "it holds signs that a file name should not have"


def clash(chosen: Sequence[Parts]) -> tuple[int, int] | None:
    """Two of the names a user chose, of which one is the other or a directory above it."""
    seen = {_folded(name): k for k, name in reversed(list(enumerate(chosen)))}
    for k, name in enumerate(chosen):
        key = _folded(name)
        over = next((seen[key[:end]] for end in range(1, len(key) + 1) if seen.get(key[:end], k) != k), None)
        if over is not None:
            return over, k
    return None


def _sorting(place: Place) -> tuple[object, ...]:
    return (*natural(place.parts), place.whole)


def _ways(place: Place) -> list[Parts]:
    """The names of one checkpoint, the best first."""
    here = place.parts or (place.root,)
    if place.whole or not place.parts:
        return [_cleaned(here)]
    *folder, file = here
    suffix = ending(file.removesuffix(_INDEX)) + (_INDEX if file.endswith(_INDEX) else "")
    short = (*folder, file.removesuffix(suffix))
    above = tuple(folder) or (place.root,)
    prepared = PREPARED.fullmatch(file) or file.endswith(_INDEX)
    every = [above, short, here] if prepared else [short, here]
    return list(dict.fromkeys(_cleaned(way) for way in every))


def _way(ways: Sequence[Parts], step: int) -> Parts:
    if step < len(ways):
        return ways[step]
    *folder, last = ways[-1]
    return (*folder, f"{last}-{step - len(ways) + 2}")


def _around(name: Parts, fixed: frozenset[Parts]) -> Parts:
    """The name, led around the directories that the user's own names make: nothing goes into those."""
    for end in range(1, len(name)):
        before, at, after = name[: end - 1], name[end - 1], name[end:]
        spellings = (at, *(f"{at}-{count}" for count in range(2, len(fixed) + 2)))
        free = next(spelling for spelling in spellings if _folded((*before, spelling)) not in fixed)
        name = (*before, free, *after)
    return name


def _collisions(
    now: Mapping[int, Parts],
    order: Sequence[int],
    last: Mapping[int, int],
    step: Mapping[int, int],
    fixed: frozenset[Parts],
) -> dict[int, int]:
    """By how many steps each checkpoint has to change its name.

    Of equal names all change, but the first of checkpoints that have no other name left, and but one whose first name
    this is among others that come from elsewhere. Of a directory and what is inside, the directory changes.
    """
    groups: dict[Parts, list[int]] = {}
    for k in order:
        groups.setdefault(_folded(now[k]), []).append(k)
    above = {key[:end] for key in (*groups, *fixed) for end in range(1, len(key))}
    raised: dict[int, int] = {}
    for key, group in groups.items():
        if key in fixed or key in above:
            raised.update(dict.fromkeys(group, 1))
        elif len(group) > 1:
            at_home = [k for k in group if not step[k]]
            if len(at_home) == 1:  # the others came here because they collided elsewhere: they go on
                raised.update(dict.fromkeys(set(group) - set(at_home), 1))
                continue
            ready = [k for k in group if step[k] + 1 < last[k]]
            raised.update(dict.fromkeys(ready, 1) if ready else {k: by for by, k in enumerate(group) if by})
    return raised


def _cleaned(parts: Parts) -> Parts:
    first, *rest = (_clean(part) for part in parts)
    return (f"_{first}" if first.casefold() in RESERVED else first, *rest)


def _clean(part: str) -> str:
    """A part of a path as a file name that nothing takes for something else."""
    plain = _PARTIAL.sub("_partial-", _UNPRINTABLE.sub("_", part))
    shown = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), plain) or "_"
    while len(shown.encode()) > _LONGEST:
        shown = shown[:-1]
    return shown


def _folded(parts: Parts) -> Parts:
    """The same for all spellings that some file system takes for one."""
    return tuple(unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold()) for part in parts)
