"""A tensor in several places reads like the tensor it is, and parts that are not exactly the whole are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt2hf.checkpoints.joined import MAX_PARTS, JoinedRef, Part
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile
from ckpt2hf.ops import identical
from ckpt2hf.tensors import DType, Meta, Stored, TensorRef

if TYPE_CHECKING:
    from pathlib import Path

Corners = tuple[tuple[int, int], ...]
"""A box as `(start, stop)` per axis."""


def ref(array: np.ndarray[Any, Any], path: Path) -> TensorRef:
    """A float32 array as a tensor of a file."""
    path.write_bytes(array.astype("<f4").tobytes())
    return TensorRef.packed(Meta(array.shape, DType.F32), MappedFile(path).span)


def cut(array: np.ndarray[Any, Any], boxes: list[Corners], folder: Path) -> list[Part]:
    parts = []
    for k, box in enumerate(boxes):
        inside = array[tuple(slice(a, b) for a, b in box)]
        parts.append(Part(ref(inside, folder / f"part{k}"), tuple(a for a, _ in box)))
    return parts


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Corners]]:
    """A shape, and boxes that cover it: cut again and again at random, no grid."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    boxes: list[Corners] = [tuple((0, n) for n in shape)]
    for _ in range(draw(st.integers(0, 6))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        low, high = box[axis]
        middle = draw(st.integers(low, high))
        boxes += [(*box[:axis], side, *box[axis + 1 :]) for side in ((low, middle), (middle, high))]
    return shape, draw(st.permutations(boxes))


@settings(max_examples=100, deadline=None)
@given(tiling=tilings(), data=st.data())
def test_any_cutting_joined_is_the_tensor(
    tiling: tuple[tuple[int, ...], list[Corners]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape, boxes = tiling
    array = np.arange(np.prod(shape), dtype="<f4").reshape(shape)
    folder = tmp_path_factory.mktemp("parts")
    joined = JoinedRef.of(Meta(shape, DType.F32), cut(array, boxes, folder))
    assert np.array_equal(joined.load(), array)
    box = tuple(slice(*sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))) for n in shape)
    assert np.array_equal(joined.read(box), array[box])
    assert identical(joined, ref(array, folder / "whole"))
    assert not joined.is_inflated
    assert sum(extent.nbytes for extent in joined.extents) == array.nbytes


@settings(max_examples=60, deadline=None)
@given(tiling=tilings(), data=st.data())
def test_a_cutting_with_a_part_too_few_or_moved_is_refused(
    tiling: tuple[tuple[int, ...], list[Corners]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape, boxes = tiling
    parts = cut(np.zeros(shape), boxes, tmp_path_factory.mktemp("parts"))
    filled = [k for k, part in enumerate(parts) if part.tensor.meta.size]
    chosen = data.draw(st.sampled_from(filled))
    meta = Meta(shape, DType.F32)
    with pytest.raises(CheckpointError, match="do not make up"):
        JoinedRef.of(meta, [part for k, part in enumerate(parts) if k != chosen])
    with pytest.raises(CheckpointError, match="do not make up"):
        JoinedRef.of(meta, [*parts, parts[chosen]])
    axis = data.draw(st.integers(0, len(shape) - 1))
    at = tuple(a + (k == axis) for k, a in enumerate(parts[chosen].at))
    with pytest.raises(CheckpointError, match="do not make up"):
        JoinedRef.of(meta, [Part(p.tensor, at) if k == chosen else p for k, p in enumerate(parts)])


def test_what_is_wrong_with_parts_is_said(tmp_path: Path) -> None:
    half = ref(np.zeros((2, 3)), tmp_path / "half")
    other = TensorRef.packed(Meta((2, 3), DType.I32), MappedFile(tmp_path / "half").span)
    meta = Meta((4, 3), DType.F32)
    for parts, said in (
        ([Part(half, (0, 0)), Part(other, (2, 0))], "one part is int32"),
        ([Part(half, (0,))], "one part has 2 axes"),
        ([Part(half, (0, 0)), Part(half, (3, 0))], "reaches outside"),
        ([Part(half, (0, 0)), Part(half, (1, 0))], "overlap"),
        ([Part(half, (0, 0))], "6 of its 12 numbers are in no part"),
        ([Part(half, (0, 0))] * (MAX_PARTS + 1), "more than any run"),
    ):
        with pytest.raises(CheckpointError) as error:
            JoinedRef.of(meta, parts)
        assert said in error.value.details[0]


def test_one_part_that_is_the_whole_is_itself(tmp_path: Path) -> None:
    one = ref(np.ones((2, 3)), tmp_path / "one")
    assert JoinedRef.of(one.meta, [Part(one, (0, 0))]) is one
    scalar = ref(np.float32(3).reshape(()), tmp_path / "scalar")
    assert JoinedRef.of(scalar.meta, [Part(scalar, ())]) is scalar
    empty = JoinedRef.of(Meta((0, 4), DType.F32), [])
    assert empty.load().shape == (0, 4)
    assert not empty.is_inflated


def test_the_same_parts_are_the_same_place_and_others_are_not(tmp_path: Path) -> None:
    halves = [ref(np.full((2, 3), k), tmp_path / str(k)) for k in (0, 1)]
    one = JoinedRef.concat(halves, 0)
    assert one.same_place(JoinedRef.concat(halves, 0))
    assert hash(one) == hash(JoinedRef.concat(halves, 0))
    assert not one.same_place(JoinedRef.concat(halves[::-1], 0))
    assert not one.same_place(halves[0])
    assert np.array_equal(JoinedRef.concat(halves, 1).load(), np.repeat([[0, 0, 0, 1, 1, 1]], 2, 0))


def test_a_repeated_part_claims_more_than_is_stored(tmp_path: Path) -> None:
    half = ref(np.zeros((2, 3)), tmp_path / "half")
    assert JoinedRef.concat([half, half], 0).is_inflated


@dataclass(frozen=True)
class Watched(Stored):
    """A part that notes what is read of it."""

    meta: Meta
    asked: list[tuple[slice, ...]] = field(compare=False)

    @property
    def storages(self) -> tuple[Any, ...]:
        return ()

    @property
    def extents(self) -> tuple[Any, ...]:
        return ()

    def read(self, box: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        self.asked.append(box)
        return np.zeros([side.stop - side.start for side in box], "<f4")


def test_reading_a_box_asks_for_nothing_else() -> None:
    asked: list[list[tuple[slice, ...]]] = [[], [], []]
    joined = JoinedRef.concat([Watched(Meta((4, 6), DType.F32), notes) for notes in asked], 0)
    joined.read((slice(3, 6), slice(2, 4)))
    assert asked == [[(slice(3, 4), slice(2, 4))], [(slice(0, 2), slice(2, 4))], []]


def test_a_box_inside_one_part_is_a_view(tmp_path: Path) -> None:
    halves = [ref(np.arange(6.0).reshape(2, 3) + 6 * k, tmp_path / str(k)) for k in (0, 1)]
    inside = JoinedRef.concat(halves, 0).read((slice(2, 4), slice(0, 3)))
    assert np.shares_memory(inside, halves[1].load())
