"""The three laws of every op, for ops found by reflection, and mosaics against NumPy."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf import ops
from ckpt2hf.errors import MappingError
from ckpt2hf.ops import Collect, Concat, Deal, Mosaic, Op, Split, Squeeze, Stack, Transpose, Unsqueeze, Unstack
from ckpt2hf.ops.compare import boxes, first_difference, identical
from ckpt2hf.tensors import Array, Box, DType, Meta

DTYPES = st.sampled_from([DType.F32, DType.BF16, DType.F16, DType.F64, DType.I64, DType.BOOL])
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)


class Held:
    """An array as a leaf; reading hands out a view that may not be written."""

    def __init__(self, array: Array, dtype: DType) -> None:
        self.array = array
        self.array.flags.writeable = False
        self.meta = Meta(array.shape, dtype)

    def read(self, box: Box) -> Array:
        return self.array[box]


def held(shape: tuple[int, ...], dtype: DType, seed: int = 0) -> Mosaic:
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 2 if dtype is DType.BOOL else 256, (*shape, dtype.itemsize), dtype=np.uint8)
    return Mosaic.of(Held(raw.view(dtype.numpy).reshape(shape), dtype))


def same_bits(a: Array, b: Array) -> bool:
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
    )


@st.composite
def applications(draw: st.DrawFn) -> tuple[Op, list[Mosaic]]:
    """An op with tensors it fits."""
    dtype, kind = draw(DTYPES), draw(st.sampled_from(sorted(CASES)))
    return CASES[kind](draw, dtype)


def _transposed(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    shapes = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=3))
    return Transpose(), [held(shape, dtype, k) for k, shape in enumerate(shapes)]


def _split(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    sizes, axis = draw(SIZES), draw(st.integers(0, 1))
    shape = [draw(st.integers(0, 4)), draw(st.integers(0, 4))]
    shape[axis] = sum(sizes)
    return Split(axis, sizes), [held(tuple(shape), dtype)]


def _concat(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    op, (whole,) = _split(draw, dtype)
    assert isinstance(op, Split)
    return op.inverse(), list(op.apply([whole]))


def _squeeze(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    shape = [draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    axis = draw(st.integers(0, 2))
    shape.insert(axis, 1)
    return Squeeze(axis), [held(tuple(shape), dtype)]


def _unsqueeze(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return Unsqueeze(draw(st.integers(0, 2))), [held(shape, dtype)]


def _unstack(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    size = draw(st.integers(1, 4))
    return Unstack(size), [held((size, *draw(st.lists(st.integers(0, 4), max_size=2))), dtype)]


def _stack(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    op, parts = _unstack(draw, dtype)
    return op.inverse(), list(op.apply(parts))


def _deal(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    sizes, rounds = draw(SIZES), draw(st.integers(1, 4))
    return Deal(sizes, rounds), [held((rounds * sum(sizes), *draw(st.lists(st.integers(0, 4), max_size=2))), dtype)]


def _collect(draw: st.DrawFn, dtype: DType) -> tuple[Op, list[Mosaic]]:
    op, parts = _deal(draw, dtype)
    return op.inverse(), list(op.apply(parts))


CASES = {
    "Transpose": _transposed,
    "Split": _split,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Unstack": _unstack,
    "Stack": _stack,
    "Deal": _deal,
    "Collect": _collect,
}


def test_every_op_is_under_the_laws() -> None:
    found = {name for name, c in inspect.getmembers(ops, inspect.isclass) if issubclass(c, Op) and c is not Op}
    modules = [importlib.import_module(f"ckpt2hf.ops.{info.name}") for info in pkgutil.iter_modules(ops.__path__)]
    every = {c.__name__ for module in modules for _, c in inspect.getmembers(module, inspect.isclass)}
    assert found == set(CASES) == {name for name in every if issubclass(getattr(ops, name, int), Op)} - {"Op"}


@given(applications())
def test_the_count_is_known_before(case: tuple[Op, list[Mosaic]]) -> None:
    op, parts = case
    assert op.count(len(parts)) == len(op.apply(parts))


@given(applications())
def test_inverse_of_inverse_is_the_op(case: tuple[Op, list[Mosaic]]) -> None:
    op, _ = case
    assert op.inverse().inverse() == op


@given(applications())
def test_inverse_undoes_every_bit(case: tuple[Op, list[Mosaic]]) -> None:
    op, parts = case
    back = op.inverse().apply(op.apply(parts))
    assert len(back) == len(parts)
    assert all(same_bits(a.load(), b.load()) for a, b in zip(back, parts, strict=True))


@given(applications())
def test_infer_says_what_apply_gives(case: tuple[Op, list[Mosaic]]) -> None:
    op, parts = case
    after = op.apply(parts)
    assert op.infer([part.meta for part in parts]) == tuple(part.meta for part in after)
    for part in after:
        array = part.load()
        assert (array.shape, array.dtype) == (part.meta.shape, part.meta.dtype.numpy)


@given(applications())
def test_against_numpy(case: tuple[Op, list[Mosaic]]) -> None:
    op, parts = case
    arrays, after = [part.load() for part in parts], [part.load() for part in op.apply(parts)]
    match op:
        case Transpose():
            wanted = [array.T for array in arrays]
        case Split(axis, sizes):
            wanted = np.split(arrays[0], np.cumsum(sizes)[:-1], axis)
        case Concat(axis, _):
            wanted = [np.concatenate(arrays, axis)]
        case Squeeze(axis):
            wanted = [array.squeeze(axis) for array in arrays]
        case Unsqueeze(axis):
            wanted = [np.expand_dims(array, axis) for array in arrays]
        case Unstack(_):
            wanted = list(arrays[0])
        case Stack(_):
            wanted = [np.stack(arrays)]
        case Deal(sizes, rounds):
            whole = arrays[0].reshape(rounds, sum(sizes), *arrays[0].shape[1:])
            cuts = np.split(whole, np.cumsum(sizes)[:-1], 1)
            wanted = [
                cut.reshape(-1, *cut.shape[2:]) if cut.size else part for cut, part in zip(cuts, after, strict=True)
            ]
        case Collect(sizes, rounds):
            shaped = [a.reshape(rounds, size, *a.shape[1:]) for a, size in zip(arrays, sizes, strict=True)]
            wanted = [np.concatenate(shaped, 1).reshape(rounds * sum(sizes), *arrays[0].shape[1:])]
        case _:
            raise AssertionError(op)
    assert all(same_bits(a, b) for a, b in zip(after, wanted, strict=True))


@given(st.data(), DTYPES)
def test_any_box_of_a_long_program_is_that_box(data: st.DataObject, dtype: DType) -> None:
    mosaics = [held((4, 6), dtype, k) for k in range(3)]
    arrays = [m.load() for m in mosaics]
    joined, array = Mosaic.concat([m.permute((1, 0)) for m in mosaics], 1), np.concatenate([a.T for a in arrays], 1)
    start = data.draw(st.integers(0, 5))
    stop = data.draw(st.integers(start, 12))
    joined, array = (
        joined.cut(1, start, stop).unsqueeze(0).permute((2, 0, 1)),
        array[:, start:stop][None].transpose(2, 0, 1),
    )
    box = []
    for n in array.shape:
        low = data.draw(st.integers(0, n))
        box.append(slice(low, data.draw(st.integers(low, n))))
    assert same_bits(joined.read(tuple(box)), array[tuple(box)])


def test_splitting_what_was_joined_copies_nothing() -> None:
    parts = [held((2, 3), DType.F32, k) for k in range(2)]
    (joined,) = Concat(0, (2, 2)).apply(parts)
    again = Split(0, (2, 2)).apply([joined])
    leaf = parts[1].pieces[0].leaf
    assert isinstance(leaf, Held)
    assert np.shares_memory(again[1].load(), leaf.array)


@pytest.mark.parametrize(
    ("op", "metas"),
    [
        (Transpose(), [Meta((3,), DType.F32)]),
        (Split(0, (2, 2)), [Meta((5, 1), DType.F32)]),
        (Split(2, (2, 2)), [Meta((4, 1), DType.F32)]),
        (Concat(0, (2, 2)), [Meta((2, 3), DType.F32)]),
        (Concat(0, (2, 2)), [Meta((2, 3), DType.F32), Meta((2, 4), DType.F32)]),
        (Concat(0, (2, 2)), [Meta((2, 3), DType.F32), Meta((2, 3), DType.F16)]),
        (Squeeze(0), [Meta((2, 3), DType.F32)]),
        (Unsqueeze(3), [Meta((2, 3), DType.F32)]),
    ],
)
def test_what_does_not_fit_is_refused(op: Op, metas: list[Meta]) -> None:
    with pytest.raises(MappingError):
        op.infer(metas)


def test_types_are_never_mixed_silently() -> None:
    with pytest.raises(MappingError, match="different types"):
        Mosaic.concat([held((1, 2), DType.F32), held((1, 2), DType.BF16)], 0)


@given(st.lists(st.integers(0, 700), max_size=3).map(tuple), DTYPES)
def test_boxes_cover_everything_once(shape: tuple[int, ...], dtype: DType) -> None:
    if np.prod(shape, dtype=np.int64) > 10**6:
        shape = shape[:2]
    seen = np.zeros(shape, np.int8)
    for box in boxes(Meta(shape, dtype)):
        seen[box] += 1
    assert (seen == 1).all()


def test_comparison_is_of_bits() -> None:
    nan, zero = np.array([np.nan, 0.0], np.float32), np.array([np.nan, -0.0], np.float32)
    a, b = Mosaic.of(Held(nan.copy(), DType.F32)), Mosaic.of(Held(nan.copy(), DType.F32))
    assert identical(a, b)
    assert first_difference(a, Mosaic.of(Held(zero, DType.F32))) == (1,)


@given(st.lists(st.integers(1, 9), max_size=3).map(tuple), DTYPES, st.data())
def test_the_first_difference_is_found_wherever_it_is(
    shape: tuple[int, ...], dtype: DType, data: st.DataObject
) -> None:
    same = held(shape, dtype)
    raw = np.ascontiguousarray(same.load()).reshape(-1).view(np.uint8).copy()
    at = data.draw(st.integers(0, raw.size - 1))
    raw[at] ^= 1
    other = Mosaic.of(Held(raw.view(dtype.numpy).reshape(shape), dtype))
    assert first_difference(same, other) == tuple(int(k) for k in np.unravel_index(at // dtype.itemsize, shape))
    turned = [m.permute(range(len(shape))[::-1]) for m in (same, other)]
    assert first_difference(turned[0], turned[1]) is not None
    assert identical(same, held(shape, dtype))
