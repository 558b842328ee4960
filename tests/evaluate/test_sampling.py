"""How a token is chosen, and where a text ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpt2hf.errors import VerificationError
from ckpt2hf.verify.sampling import Sampling, Stop, continuation, stopped

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOGITS = np.log(np.array([0.05, 0.4, 0.3, 0.2, 0.05], np.float32))
DRAWS = 4000


@dataclass
class Counting:
    """A model that gives the id after the last one, and remembers what it was shown."""

    context: int = 10
    vocab: int = 50
    heads: int = 1
    hf_class: str = "Counting"
    ends: frozenset[int] = frozenset()
    broken: bool = False
    shown: list[tuple[list[int], bool]] = field(default_factory=list)

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.eye(self.vocab, dtype=np.float32)[(ids + 1) % self.vocab]

    def following(self, ids: NDArray[np.int64], *, anew: bool) -> NDArray[np.float32]:
        self.shown.append((ids.tolist(), anew))
        logits = self.logits(ids)[-1]
        return np.full_like(logits, np.nan) if self.broken else logits


def shares(sampling: Sampling) -> NDArray[np.float64]:
    chance = np.random.default_rng(sampling.seed)
    return np.bincount([sampling.choose(LOGITS, chance) for _ in range(DRAWS)], minlength=5) / DRAWS


def test_greedy_is_the_likeliest_and_the_lowest_of_equals() -> None:
    chance = np.random.default_rng(0)
    assert Sampling().choose(LOGITS, chance) == 1
    assert Sampling().choose(np.array([0.0, 2.0, 2.0]), chance) == 1


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(1.0), [0.05, 0.4, 0.3, 0.2, 0.05]),
        (Sampling(1.0, top_k=2), [0, 4 / 7, 3 / 7, 0, 0]),
        (Sampling(1.0, top_k=100), [0.05, 0.4, 0.3, 0.2, 0.05]),
        (Sampling(1.0, top_p=0.71), [0, 4 / 9, 3 / 9, 2 / 9, 0]),
        (Sampling(1.0, top_p=1e-9), [0, 1, 0, 0, 0]),
        (Sampling(1.0, top_k=3, top_p=0.5), [0, 4 / 7, 3 / 7, 0, 0]),
        (Sampling(0.5), np.array([0.05, 0.4, 0.3, 0.2, 0.05]) ** 2 / 0.295),
        (Sampling(1e-4), [0, 1, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_with_the_shares_they_should_have(sampling: Sampling, expected: list[float]) -> None:
    found = shares(sampling)
    # Five standard deviations of a share of DRAWS draws.
    assert np.abs(found - expected).max() < 5 * 0.5 / np.sqrt(DRAWS)
    assert not found[np.array(expected) == 0].any()


def test_the_whole_probability_leaves_nothing_out() -> None:
    assert shares(Sampling(1.0, top_p=1.0)).all()


def test_each_token_is_shown_once() -> None:
    model = Counting()
    assert list(continuation(model, [3, 4], Sampling(), 3)) == [5, 6, 7]
    assert model.shown == [([3, 4], True), ([5], False), ([6], False)]


def test_a_text_ends_where_the_model_the_user_or_the_context_ends_it() -> None:
    for ends, most, prompt, expected, stop in (
        ({7, 20}, 9, [3, 4], [5, 6, 7], Stop.END),
        ({7, 20}, 3, [3, 4], [5, 6, 7], Stop.END),
        ({20}, 2, [3, 4], [5, 6], Stop.LENGTH),
        (set(), 99, [3, 4], list(range(5, 14)), Stop.CONTEXT),
        (set(), 99, list(range(10)), [10], Stop.CONTEXT),
        ({3}, 1, [3], [4], Stop.LENGTH),
    ):
        model = Counting(ends=frozenset(ends))
        found = list(continuation(model, prompt, Sampling(), most))
        assert (found, stopped(model, found, most)) == (expected, stop)
        assert sum(len(ids) for ids, _ in model.shown) <= model.context


def test_no_numbers_are_refused() -> None:
    with pytest.raises(VerificationError, match="no numbers"):
        list(continuation(Counting(broken=True), [1], Sampling(), 2))
