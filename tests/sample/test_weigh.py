"""The weighing on simulated losses: how often the truth is rejected, and that what is clear is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.run import ask_sample
from ckpt2hf.verify.weigh import ALPHA, LEAST_WINDOWS, MARGIN, SCREEN, Scales, Search, screened, weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


def at_every_temperature(losses: Any) -> Any:
    """Losses of a reading that is as sure as it should be: another temperature costs."""
    return losses if losses.ndim > 1 else np.stack([losses, losses + 0.3, losses + 0.1])


def simulated(losses: dict[Hashable, Any], noise: float = 0.0, asked: list[Any] | None = None) -> Scales:
    """Readings that lose what a table says."""
    windows = next(iter(losses.values())).shape[-1]

    def measure(key: Hashable, which: Any) -> Any:
        if asked is not None:
            asked.append((key, len(which)))
        return at_every_temperature(losses[key])[:, which]

    return Scales(measure, lambda _key: noise, windows)


def everything(losses: dict[Hashable, Any]) -> Search:
    return Search(list(losses), lambda _key: (), len(losses))


@pytest.mark.parametrize("windows", [LEAST_WINDOWS, 128])
@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("draw", ["normal", "heavy"])
def test_a_truth_that_is_no_better_is_rarely_rejected(draw: str, count: int, windows: int) -> None:
    # All readings are equally good; rejecting the true one (number 0) is a false decision.
    random = np.random.default_rng(count * windows)
    rejected = 0
    for _ in range(400):
        drawn = random.normal(size=(count, windows)) if draw == "normal" else random.standard_t(3, (count, windows))
        outcome = weigh(everything(losses := dict(enumerate(drawn))), simulated(losses))
        rejected += 0 not in outcome.level_with_best
    assert rejected <= 400 * ALPHA + 2.6  # 0.4 expected at most: 4 have a probability below one in a thousand


def test_what_is_clearly_worse_is_found_on_few_windows() -> None:
    random = np.random.default_rng(0)
    base = random.normal(3, 0.5, 128)
    losses: dict[Hashable, Any] = {k: base + 0.2 * k + random.normal(0, 0.01, 128) for k in range(9)}
    asked: list[Any] = []
    outcome = weigh(everything(losses), simulated(losses, asked=asked))
    assert outcome.level_with_best == (0,)
    assert sum(count for _, count in asked) == 9 * SCREEN + (128 - SCREEN)
    assert [each.key for each in outcome.others] == list(range(1, 9))
    assert all(each.windows == SCREEN and each.worse for each in outcome.others)


def test_what_only_all_windows_show_is_found_on_all() -> None:
    random = np.random.default_rng(0)
    base = random.normal(3, 0.5, 128)
    losses: dict[Hashable, Any] = {"a": base, "b": base + random.normal(0.01, 0.02, 128)}
    outcome = weigh(everything(losses), simulated(losses))
    assert outcome.level_with_best == ("a",)
    assert outcome.others[0].windows == 128


def test_a_difference_below_the_margin_decides_nothing_however_significant() -> None:
    base = np.random.default_rng(0).normal(3, 0.5, 128)
    losses: dict[Hashable, Any] = {"a": base, "b": base + 0.9 * MARGIN}
    outcome = weigh(everything(losses), simulated(losses))
    assert outcome.others[0].apart.p < 1e-12
    assert set(outcome.level_with_best) == {"a", "b"}
    above: dict[Hashable, Any] = {"a": base, "b": base + 1.1 * MARGIN}
    assert weigh(everything(above), simulated(above)).level_with_best == ("a",)


def test_a_difference_below_the_noise_of_float32_decides_nothing() -> None:
    base = np.random.default_rng(0).normal(3, 0.5, 128)
    losses: dict[Hashable, Any] = {"a": base, "b": base + 0.05}
    assert len(weigh(everything(losses), simulated(losses, noise=0.01)).level_with_best) == 2
    assert len(weigh(everything(losses), simulated(losses, noise=0.001)).level_with_best) == 1


def test_every_combination_counts_in_the_correction() -> None:
    base = np.random.default_rng(0).normal(3, 0.5, 32)
    losses: dict[Hashable, Any] = {"a": base, "b": base + 1}
    outcome = weigh(Search(["a", "b"], lambda _key: (), 1001), simulated(losses))
    assert outcome.level == pytest.approx(ALPHA / 2 / 1000)


def test_readings_of_a_model_that_learned_nothing_are_not_measured_to_the_end() -> None:
    random = np.random.default_rng(0)
    losses: dict[Hashable, Any] = {k: random.normal(7, 0.5, 128) for k in range(20)}
    asked: list[Any] = []
    scales = simulated(losses, asked=asked)
    outcome = weigh(everything(losses), replace(scales, baseline=np.full(128, 5.0)))
    assert sum(count for _, count in asked) == 20 * SCREEN + (128 - SCREEN)
    assert len(outcome.level_with_best) == 20


def test_what_is_worse_only_for_being_too_sure_is_not_rejected() -> None:
    random = np.random.default_rng(0)
    base = random.normal(3, 0.5, 128)
    losses: dict[Hashable, Any] = {
        "blurred": np.stack([base, base - 0.1]),
        "sharp": np.stack([base + 0.2, base - 0.3]),
        "wrong": np.stack([base + 0.2, base + 0.1]),
    }
    assert weigh(everything(losses), simulated(losses)).level_with_best == ("blurred", "sharp")


def test_one_reading_is_the_best_of_one() -> None:
    losses: dict[Hashable, Any] = {"only": np.full(16, 2.0)}
    outcome = weigh(everything(losses), simulated(losses))
    assert (outcome.best, outcome.others) == ("only", ())


@pytest.fixture
def grid() -> Callable[[tuple[int, int, int]], Any]:
    """Losses of readings with three answers each; every wrong answer costs, whatever the others are."""
    random = np.random.default_rng(3)
    noise = random.normal(0, 0.02, (6, 6, 6, 64))
    truth = (4, 2, 5)

    def loss(key: tuple[int, int, int]) -> Any:
        cost = sum(abs(a - b) for a, b in zip(key, truth, strict=True))
        return 2 + 0.1 * cost + noise[key]

    return loss


def test_a_search_arrives_where_trying_everything_does(grid: Callable[[Any], Any]) -> None:
    every = {(a, b, c): grid((a, b, c)) for a in range(6) for b in range(6) for c in range(6)}
    asked: list[Any] = []

    def beside(key: Any) -> list[Any]:
        return [(*key[:axis], value, *key[axis + 1 :]) for axis in range(3) for value in range(6)]

    whole = weigh(everything(every), simulated(every))
    part = weigh(Search([(0, 0, 0)], beside, 216), simulated(every, asked=asked))
    assert part.best == whole.best == (4, 2, 5)
    assert part.level == whole.level
    # Everything that differs from the best in one place was measured, and not everything else.
    assert {each.key for each in part.others} >= set(beside((4, 2, 5))) - {(4, 2, 5)}
    assert len({key for key, _ in asked}) < 100


def test_the_first_windows_are_spread_over_all() -> None:
    assert list(screened(LEAST_WINDOWS)) == list(range(LEAST_WINDOWS))
    few = screened(128)
    assert (len(few), few[0], few[-1]) == (SCREEN, 0, 127)


def test_a_long_weighing_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([4.0, 11.0, 11.0, 15.0, 20.9, 21.0, 21.0])
    monkeypatch.setattr(ask_sample.time, "monotonic", lambda: next(clock))
    told: list[int] = []
    count = ask_sample.Seldom(told.append, 0.0)
    for measured in range(1, 6):
        count(measured)
    assert told == [2, 5]
