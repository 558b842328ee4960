"""Windows, losses and their error against plain loops: nothing is predicted twice, left out, or seen too early."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.errors import VerificationError
from ckpt2hf.verify.measure import Measured, measure, surprisal
from ckpt2hf.verify.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOCAB = 11


def toy(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits that depend on every token before, in order: whatever a window shows or hides changes them."""
    state = np.zeros(len(ids))
    given = np.empty((*ids.shape, VOCAB), np.float32)
    for time in range(ids.shape[1]):
        state = np.sin(1.7 * state + ids[:, time] + 0.3)
        given[:, time] = np.cos(np.outer(3 * state, np.arange(1, VOCAB + 1)))
    return given


def by_hand(rows: NDArray[np.int64], context: int, stride: int) -> list[float]:
    """The loss of each token by the words of the documentation, one window and one token at a time."""
    found = []
    for row in rows:
        predicted, begin = 0, 0
        while predicted < len(row) - 1:
            shown = row[begin : begin + context]
            logits = toy(shown[None])[0].astype(np.float64)
            for k in range(len(shown)):
                target = begin + k + 1
                if predicted < target < len(row):
                    chances = np.exp(logits[k]) / np.exp(logits[k]).sum()
                    found.append(-math.log(chances[row[target]]))
            predicted = begin + len(shown)
            begin += stride
    return found


shapes = st.tuples(st.integers(1, 4), st.integers(2, 40), st.integers(1, 12), st.integers(1, 12), st.integers(1, 7))


@given(shapes, st.randoms(use_true_random=False))
def test_the_sum_is_that_of_a_plain_loop(shape: Any, random: Any) -> None:
    count, size, context, stride, at_once = shape
    stride = min(stride, context)
    rows = np.array([[random.randrange(VOCAB) for _ in range(size)] for _ in range(count)])
    windows = Windows(rows, context, stride)
    told: list[int] = []
    found = measure(toy, windows, at_once=at_once, advance=told.append)
    wanted = by_hand(rows, context, stride)
    assert found.tokens == len(wanted) == count * (size - 1) == windows.predicted == sum(told)
    assert found.nats == pytest.approx(math.fsum(wanted), rel=1e-12)
    assert len(found.window_tokens) == len(windows)


@given(shapes)
def test_each_token_but_the_first_counts_once_and_is_seen_with_enough_before_it(shape: Any) -> None:
    count, size, context, stride, at_once = shape
    stride = min(stride, context)
    place = np.arange(count * size).reshape(count, size)  # each id is where it stands
    counted: dict[int, int] = {}
    for ids, fresh in Windows(place, context, stride).batches(at_once):
        assert len(ids) <= at_once
        assert ids.dtype == np.int64
        for row, new in zip(ids, fresh, strict=True):
            assert np.array_equal(row, np.arange(row[0], row[0] + len(row)))
            assert row[0] // size == row[-1] // size
            for k in range(len(row) - new, len(row)):
                assert row[k] not in counted
                counted[int(row[k])] = k
    assert sorted(counted) == [n for n in range(count * size) if n % size]
    for number, before in counted.items():
        assert 1 <= before <= context
        assert before >= min(number % size, context - stride + 1)


def test_the_windows_of_a_mapped_file_are_read_one_batch_at_a_time() -> None:
    class Mapped(np.ndarray):  # type: ignore[type-arg]
        taken = 0

        def __getitem__(self, item: Any) -> Any:
            part = np.asarray(super().__getitem__(item))
            Mapped.taken = max(Mapped.taken, part.size)
            return part

    ids = np.zeros((1, 100_000), np.uint16).view(Mapped)
    assert sum(len(batch) for batch, _ in Windows(ids, 64, 64).batches(8)) == 1563
    assert Mapped.taken <= 65


def test_surprisal_is_the_float64_value_to_its_last_digits() -> None:
    random = np.random.default_rng(0)
    logits = (random.normal(size=(3, 5, 2000)) * 20 + 500).astype(np.float32)
    wanted = random.integers(0, 2000, (3, 5))
    found = surprisal(logits, wanted)
    for place in np.ndindex(3, 5):
        row = logits[place].astype(np.longdouble)
        exact = np.log(np.exp(row - row.max()).sum()) + row.max() - row[wanted[place]]
        assert found[place] == pytest.approx(float(exact), rel=1e-14, abs=1e-14)


def test_large_vocabularies_are_taken_in_parts() -> None:
    logits = np.random.default_rng(0).normal(size=(1, 12, 200_000)).astype(np.float32)
    wanted = np.arange(12)[None]
    whole = logits.astype(np.float64)
    exact = np.log(np.exp(whole).sum(-1)) - np.take_along_axis(whole, wanted[..., None], -1)[..., 0]
    assert np.allclose(surprisal(logits, wanted), exact, rtol=1e-13)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_refused(broken: float) -> None:
    def logits(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        given = toy(ids)
        given[:, -1, 3] = broken
        return given

    with pytest.raises(VerificationError, match="no number at all"):
        measure(logits, Windows(np.full((2, 9), 3), 8, 8), at_once=1)


def test_what_does_not_count_may_be_anything() -> None:
    def logits(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        given = toy(ids)
        if ids.shape[1] == 8 and ids[0, 0]:
            given[:, :6] = math.nan
        return given

    rows = np.array([[0, 0, *range(1, 9)]])
    found = measure(logits, Windows(rows, 8, 2), at_once=1)
    assert found.nats == pytest.approx(math.fsum(by_hand(rows, 8, 2)), rel=1e-12)


def test_the_numbers_of_measured() -> None:
    found = Measured(np.array([2.0, 8.0, 5.0]), np.array([2, 4, 4]), nbytes=10)
    assert (found.nats, found.tokens, found.loss) == (15.0, 10, 1.5)
    assert found.perplexity == math.exp(1.5)
    assert found.bits_per_byte == pytest.approx(15 / math.log(2) / 10)
    apart = [2 - 3, 8 - 6, 5 - 6]
    assert found.standard_error == pytest.approx(math.sqrt(sum(a * a for a in apart) * 3 / 2) / 10)
    assert Measured(np.array([2.0]), np.array([1])).standard_error is None
    assert Measured(np.array([2.0]), np.array([1])).bits_per_byte is None
    assert Measured(np.array([1e6]), np.array([1])).perplexity == math.inf


def test_windows_of_one_length_have_the_standard_error_of_their_mean() -> None:
    means = np.random.default_rng(0).normal(3, 1, 50)
    found = Measured(means * 7, np.full(50, 7))
    assert found.standard_error == pytest.approx(means.std(ddof=1) / math.sqrt(50))
