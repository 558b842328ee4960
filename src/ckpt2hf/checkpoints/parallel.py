"""Models whose ranks each saved a file: joined again along the axes that the code cuts them at.

What every rank has is compared, bit for bit. A tensor whose axis is not known is refused: a wrong axis often fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.checkpoints import beside, single, weights
from ckpt2hf.checkpoints.joined import JoinedRef
from ckpt2hf.checkpoints.parallel_schemes import BY_NORM, EQUAL, SCHEMES
from ckpt2hf.checkpoints.values import shown
from ckpt2hf.errors import CheckpointError
from ckpt2hf.ops import identical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.checkpoints.parallel_schemes import Rank, Scheme
    from ckpt2hf.checkpoints.weights import Found
    from ckpt2hf.tensors import Stored

_SHOWN = 12


def scheme_of(name: str) -> Scheme | None:
    """The code that gives a rank's file such a name, if it is one whose files can be joined."""
    return next((scheme for scheme in SCHEMES if scheme.rank(name)), None)


def can_be_joined(names: Iterable[str]) -> bool:
    """Whether these are files of the ranks of one code."""
    schemes = [scheme_of(name) for name in names]
    return bool(schemes) and None not in schemes and len(set(map(id, schemes))) == 1


def read(folder: Path, names: Sequence[str], weights_key: str | None) -> single.Loaded:
    """The whole model as the first rank's tree. Raises CheckpointError, UsageError, NotFoundError."""
    scheme = scheme_of(names[0])
    assert scheme is not None  # noqa: S101 - the caller has asked
    ranks = {rank: name for name in names if (rank := scheme.rank(name))}
    if len(ranks) < len(names):
        _refuse(folder, "there are two files of the same rank", *sorted(set(names) - set(ranks.values())))
    _require_all(folder, scheme, ranks)
    parts = {rank: _Part(folder / name, weights_key) for rank, name in sorted(ranks.items())}
    first = next(iter(parts.values()))
    _require_one_save(folder, scheme, list(parts.values()))
    tensors: dict[str, Stored] = {}
    for stage in sorted({rank.stage for rank in parts}):
        mine = [part for rank, part in parts.items() if rank.stage == stage]
        for name, tensor in _joined(folder, scheme, mine).items():
            if name in tensors:
                _refuse(folder, f"two stages of the pipeline have a tensor {shown(name)}")
            tensors[name] = tensor
    scheme.require_complete(tensors, folder)
    if len(parts) == 1:
        return first.loaded
    files = tuple(file for part in parts.values() for file in part.loaded.files)
    return single.Loaded(first.tree_with(tensors), f"{len(files)} files of {scheme.title}", files, first.loaded.notes)


class _Part:
    """What one rank saved."""

    def __init__(self, path: Path, weights_key: str | None) -> None:
        self.path = path
        self.loaded = single.read(path)
        self.found: Found = weights.find(self.loaded.tree, weights_key, str(path))
        self.metadata = beside.metadata(self.loaded.tree, self.found)

    def tree_with(self, tensors: Mapping[str, Stored]) -> Inert:
        """Its tree with these tensors in place of its own, and without the rest of what could be weights."""
        if not self.found.key:
            return {**self.metadata, **tensors}
        tree: dict[str, Inert] = {name: value for name, value in self.metadata.items() if name != self.found.key}
        return {**tree, self.found.key: dict(tensors)}


def _joined(folder: Path, scheme: Scheme, parts: Sequence[_Part]) -> dict[str, Stored]:
    """The tensors of one stage of the pipeline, each put together from all of its parts."""
    first = parts[0].found.tensors
    for part in parts[1:]:
        odd = sorted(first.keys() ^ part.found.tensors.keys())
        if odd:
            _refuse(folder, f"not every file has the same tensors: {shown(odd[0])}", part.path.name)
    if len(parts) == 1:
        return dict(first)
    unknown = [name for name in first if scheme.axis(name) is None]
    if unknown:
        _refuse(
            folder,
            f"it is not known how {scheme.title} cuts {len(unknown)} of the tensors",
            *map(shown, unknown[:_SHOWN]),
        )
    return {name: _whole(folder, scheme, name, parts) for name in first}


def _whole(folder: Path, scheme: Scheme, name: str, parts: Sequence[_Part]) -> Stored:
    tensors = [part.found.tensors[name] for part in parts]
    axis = scheme.axis(name)
    if axis == EQUAL:
        for part, tensor in zip(parts, tensors, strict=True):
            if not identical(tensors[0], tensor):
                _refuse(folder, f"{shown(name)} should be the same in every file", f"it differs in {part.path.name}")
        return tensors[0]
    if axis == BY_NORM:
        axis = _axis_of_embedding(folder, scheme, name, [part.found.tensors for part in parts])
    shapes = {tensor.meta.shape for tensor in tensors}
    kinds = {tensor.meta.dtype for tensor in tensors}
    if axis is None or len(shapes) > 1 or len(kinds) > 1 or len(tensors[0].meta.shape) <= axis:
        listed = sorted({str(tensor.meta) for tensor in tensors})
        _refuse(folder, f"the parts of {shown(name)} do not fit together", ", ".join(listed))
    return JoinedRef.concat(tensors, axis)


def _axis_of_embedding(folder: Path, scheme: Scheme, name: str, parts: Sequence[Mapping[str, Stored]]) -> int | None:
    """Rows if every part is as wide as the model, columns if all of them together are, None if neither is so."""
    norm = parts[0].get(name.removesuffix(scheme.embedding) + scheme.norm)
    if norm is None:
        _refuse(folder, f"how {shown(name)} was cut cannot be told", f"{scheme.norm} would show how wide the model is")
    widths = [part[name].meta.shape[-1:] for part in parts]
    if all(width == (norm.meta.size,) for width in widths):
        return 0
    return 1 if sum(sum(width) for width in widths) == norm.meta.size else None


def _require_all(folder: Path, scheme: Scheme, ranks: Mapping[Rank, str]) -> None:
    """Refuse a set from which a rank is missing, as far as names show it."""
    expected = scheme.expected(ranks)
    missing = [scheme.name(rank, next(iter(ranks.values()))) for rank in expected if rank not in ranks]
    others = [name for rank, name in ranks.items() if rank not in expected]
    if missing or others:
        what = f"{len(missing)} of its files are missing" if missing else "there are files of two different runs"
        _refuse(folder, what, *(missing or others)[:_SHOWN])


def _require_one_save(folder: Path, scheme: Scheme, parts: Sequence[_Part]) -> None:
    """Refuse files that were saved at different times."""
    for key in scheme.same:
        values = {str(part.metadata.get(key)) for part in parts}
        if len(values) > 1:
            _refuse(folder, "its files were not saved at the same time", f"{key}: {', '.join(sorted(values))}")


def _refuse(folder: Path, what: str, *details: str) -> NoReturn:
    raise CheckpointError(
        f"the model is split over the ranks that trained it, and cannot be put together: {what}",
        details=details,
        where=str(folder),
        remedies=["copy or download all of its files again", "join them with the code that saved them"],
    )
