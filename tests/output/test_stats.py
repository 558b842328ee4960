"""What is seen of the elements while they pass by."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest

from ckpt2hf.output.stats import Observer, TensorStats
from ckpt2hf.tensors import DType, Meta

FLOATS = [dtype for dtype in DType if dtype.is_float]


def observed(elements: list[Any], dtype: DType, block: int = 2) -> TensorStats:
    array = np.array(elements).astype(dtype.numpy)
    observer = Observer(Meta(array.shape, dtype))
    for start in range(0, len(array), block):
        observer.see(np.frombuffer(array[start : start + block].tobytes(), np.uint8))
    assert observer.stats().crc32 == zlib.crc32(array.tobytes())
    return observer.stats()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("elements", "low", "high"),
    [
        ([1.0, -2.0, 0.5, 4.0], -2.0, 4.0),
        ([3.0, 1.0, 2.0], 1.0, 3.0),
        ([-3.0, -1.0, -2.0], -3.0, -1.0),
        ([-0.0, 0.0], 0.0, 0.0),
        ([-0.0, -1.0], -1.0, 0.0),
        ([0.25], 0.25, 0.25),
    ],
)
def test_the_ends_of_floats(dtype: DType, elements: list[float], low: float, high: float) -> None:
    stats = observed(elements, dtype)
    assert (stats.low, stats.high, stats.finite) == (low, high, True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nan_of_either_sign_shows_in_both_ends(dtype: DType, sign: float) -> None:
    stats = observed([1.0, 2.0, math.copysign(math.nan, sign), -4.0], dtype)
    assert math.isnan(stats.low)
    assert math.isnan(stats.high)
    assert not stats.finite


@pytest.mark.parametrize("dtype", [dtype for dtype in FLOATS if dtype is not DType.F8_E4M3])
def test_infinity_is_an_end(dtype: DType) -> None:
    assert observed([1.0, math.inf], dtype).high == math.inf
    stats = observed([1.0, -math.inf, -2.0], dtype)
    assert (stats.low, stats.high, stats.finite) == (-math.inf, 1.0, False)


@pytest.mark.parametrize("dtype", [DType.F16, DType.F32, DType.F64])
def test_extremes(dtype: DType) -> None:
    info = np.finfo(dtype.numpy)
    stats = observed([info.max, -float(info.smallest_subnormal), info.min], dtype)
    assert (stats.low, stats.high, stats.finite) == (info.min, info.max, True)


def test_all_patterns_of_the_small_floats_agree_with_their_values() -> None:
    numbers = np.random.default_rng(0)
    for dtype in (DType.F8_E4M3, DType.F8_E5M2, DType.F16, DType.BF16):
        for _ in range(50):
            bits = numbers.integers(0, 256, 6 * dtype.itemsize).astype("u1")
            values = bits.view(dtype.numpy).astype("f8")
            observer = Observer(Meta((6,), dtype))
            observer.see(bits)
            stats = observer.stats()
            np.testing.assert_array_equal([stats.low, stats.high], [values.min(), values.max()])
            assert stats.finite == np.isfinite(values).all()


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (DType.I8, -128, 127),
        (DType.I16, -32768, 32767),
        (DType.I32, -(2**31), 2**31 - 1),
        (DType.I64, -(2**63), 2**62),
        (DType.U8, 0, 255),
        (DType.U16, 3, 65535),
        (DType.U32, 0, 2**32 - 1),
        (DType.U64, 1, 2**63),
        (DType.BOOL, 0, 1),
    ],
)
def test_the_ends_of_integers(dtype: DType, low: int, high: int) -> None:
    array = np.array([high, low, high], dtype.numpy)
    observer = Observer(Meta((3,), dtype))
    observer.see(array.view(np.uint8))
    stats = observer.stats()
    assert (stats.low, stats.high, stats.finite) == (low, high, True)


def test_complex_numbers_are_seen_as_their_parts() -> None:
    stats = observed([1 + 2j, -3 - 4j, 0.5j], DType.C64)
    assert (stats.low, stats.high) == (-4.0, 2.0)


def test_nothing_has_ends_of_zero() -> None:
    assert Observer(Meta((0, 3), DType.F32)).stats() == TensorStats(0.0, 0.0, finite=True, crc32=0)
