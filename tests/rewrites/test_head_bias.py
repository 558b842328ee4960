"""A head that has swallowed its bias and the final norm, against plain NumPy in float64."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.ir import slots as slots_of
from ckpt2hf.rewrites.head_bias import FoldHeadBias
from ckpt2hf.rewrites.leaves import FoldedHead
from ckpt2hf.rewrites.rewrite import Exactness
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array

ALGEBRA = 1e-12
"""Largest error of the identity in float64 (measured: 1e-14 at logits of size 10)."""


def normalised(width: int, count: int, seed: int = 1) -> Array:
    """What a LayerNorm hands to its affine part: mean zero, variance one."""
    x = np.random.default_rng(seed).normal(size=(count, width))
    x = x - x.mean(1, keepdims=True)
    return x / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def parts(vocab: int, width: int, dtype: Any = np.float64) -> tuple[Array, Array, Array, Array]:
    """W `[vocab, width]`, b `[vocab]`, g and beta `[width]`."""
    random = np.random.default_rng(2)
    w, b, beta = (random.normal(size=shape) for shape in ((vocab, width), vocab, width))
    return w.astype(dtype), b.astype(dtype), random.uniform(0.5, 1.5, width).astype(dtype), beta.astype(dtype)


def whole(leaf: Any) -> Array:
    return leaf.read(tuple(slice(0, n) for n in leaf.meta.shape))


def folded(held: Any, *arrays: Array, dtype: DType = DType.F64) -> FoldedHead:
    return FoldedHead(*(held(array) for array in arrays), dtype)


@pytest.mark.parametrize(("vocab", "width"), [(50, 12), (5, 24), (1, 8), (40, 1), (97, 33), (12, 12)])
def test_the_folded_head_computes_the_biased_one(vocab: int, width: int, held: Any) -> None:
    """Also with a vocabulary smaller than the width, of one word, and with a width of one."""
    w, b, g, beta = parts(vocab, width)
    n = normalised(width, 20)
    wanted = (g * n + beta) @ w.T + b
    found = (n + 1) @ whole(folded(held, w, b, g, beta)).T
    assert np.abs(found - wanted).max() <= ALGEBRA


def test_the_order_of_the_parts_matters(held: Any) -> None:
    """The law is one about these four numbers: with norm weight and bias exchanged it does not hold."""
    w, b, g, beta = parts(50, 12)
    n = normalised(12, 20)
    found = (n + 1) @ whole(folded(held, w, b, beta, g)).T
    assert np.abs(found - ((g * n + beta) @ w.T + b)).max() > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_sources_of_less_width_are_widened_first_and_rounded_once(dtype: Any, held: Any) -> None:
    arrays = parts(50, 12, dtype)
    sharp = whole(folded(held, *(array.astype(np.float64) for array in arrays)))
    assert np.array_equal(whole(folded(held, *arrays, dtype=DType.F32)), sharp.astype(np.float32))


_WIDE = parts(101, 19, np.float32)


@given(st.data())
def test_any_box_is_that_box_of_the_whole_bit_for_bit(held: Any, data: st.DataObject) -> None:
    leaf = folded(held, *_WIDE, dtype=DType.F32)
    bounds = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in leaf.meta.shape]
    box = tuple(slice(start, stop) for start, stop in bounds)
    found = leaf.read(box)
    assert found.dtype == np.float32
    assert found.tobytes() == np.ascontiguousarray(whole(leaf)[box]).tobytes()


@pytest.mark.parametrize("cuts", [[0, 101], [0, 1, 2, 101], [0, 31, 32, 33, 64, 101], [*range(102)]])
def test_the_partition_into_blocks_does_not_show(cuts: list[int], held: Any) -> None:
    leaf = folded(held, *_WIDE, dtype=DType.F32)
    rows = [leaf.read((slice(a, b), slice(0, 19))) for a, b in pairwise(cuts)]
    columns = [leaf.read((slice(0, 101), slice(a, b))) for a, b in pairwise([0, 1, 7, 18, 19])]
    assert np.concatenate(rows).tobytes() == whole(leaf).tobytes()
    assert np.concatenate(columns, axis=1).tobytes() == np.ascontiguousarray(whole(leaf)).tobytes()


def test_a_head_that_lies_turned_in_the_file_gives_the_same_bits(held: Any) -> None:
    w, *rest = _WIDE
    turned = np.asfortranarray(w)
    assert whole(folded(held, turned, *rest)).tobytes() == whole(folded(held, w, *rest)).tobytes()


@pytest.mark.parametrize("tied", [True, False])
def test_the_rewrite_unties_and_computes_the_same(tied: bool, spec_with: Any, drawn: Any) -> None:
    spec = spec_with(head_bias=True, tied=tied)
    before = drawn(spec, np.float64)
    made = FoldHeadBias().apply(spec, before)
    assert made is not None
    assert (made.spec.tied, made.spec.head_bias, made.exactness) == (False, False, Exactness.ALGEBRAIC)
    assert list(made.slots) == list(slots_of(made.spec))
    after = {name: part.load() for name, part in made.slots.items()}
    n = normalised(spec.d_model, 9)
    w = before["embed.weight" if tied else "head.weight"].load()
    wanted = (before["final_norm.weight"].load() * n + before["final_norm.bias"].load()) @ w.T
    wanted = wanted + before["head.bias"].load()
    found = (after["final_norm.weight"] * n + after["final_norm.bias"]) @ after["head.weight"].T
    assert np.abs(found - wanted).max() <= ALGEBRA
    untouched = set(before) - {"head.weight", "head.bias", "final_norm.weight", "final_norm.bias"}
    assert all(made.slots[name] is before[name] for name in untouched)
    assert set(made.computed) == {"head.weight", "final_norm.weight", "final_norm.bias"}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_a_bias_of_zeros_is_left_out_and_comes_back_bit_for_bit(
    tied: bool, dtype: Any, spec_with: Any, drawn: Any
) -> None:
    spec = spec_with(head_bias=True, tied=tied)
    before = drawn(spec, dtype, head__bias=np.zeros(spec.vocab, dtype))
    made = FoldHeadBias().apply(spec, before)
    assert made is not None
    assert (made.exactness, made.spec.tied, made.spec.head_bias) == (Exactness.BITWISE, tied, False)
    back = made.restored(made.slots)
    assert back.keys() == before.keys()
    assert all(back[name].load().tobytes() == before[name].load().tobytes() for name in before)


@pytest.mark.parametrize("value", [-0.0, 1e-45, np.nan, np.inf])
def test_a_bias_that_is_not_all_zero_bits_is_not_left_out(value: float, spec_with: Any, drawn: Any) -> None:
    """-0.0 adds nothing, but leaving it out would lose its sign: the source could not come back."""
    spec = spec_with(head_bias=True)
    bias = np.zeros(spec.vocab, np.float32)
    bias[-1] = value
    made = FoldHeadBias().apply(spec, drawn(spec, head__bias=bias))
    assert made is not None
    assert made.exactness is Exactness.ALGEBRAIC


@pytest.mark.parametrize("without", [{"final_norm": False}, {"norm_bias": False}])
def test_without_a_final_norm_that_has_a_bias_there_is_nowhere_to_put_it(
    without: dict[str, bool], spec_with: Any, drawn: Any
) -> None:
    spec = spec_with(head_bias=True, **without)
    assert FoldHeadBias().apply(spec, drawn(spec)) is None


@pytest.mark.parametrize(
    ("dtype", "result"), [(np.float64, "float64"), (np.float32, "float32"), (ml_dtypes.bfloat16, "float32")]
)
def test_what_is_computed_is_at_least_float32(dtype: Any, result: str, spec_with: Any, drawn: Any) -> None:
    spec = spec_with(head_bias=True)
    made = FoldHeadBias().apply(spec, drawn(spec, dtype))
    assert made is not None
    assert {made.slots[name].meta.dtype.torch_name for name in made.computed} == {result}
