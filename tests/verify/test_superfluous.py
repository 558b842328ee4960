"""Tensors that may be left out: each expectation takes what it says, and nothing that is nearly that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
import torch

import support
from ckpt2hf.ir import Position, RopeLayout, RopeScaling
from ckpt2hf.ir.tables import rope_frequencies, sinusoids
from ckpt2hf.naming import Expectation
from ckpt2hf.verify.rope import frequencies
from ckpt2hf.verify.superfluous import PROOFS

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array

SPEC = replace(
    support.SPEC, position=Position.ROPE, rope_layout=RopeLayout.PAIRS, rope_theta=1e4, rope_dims=8, context=300
)
TIME = 7
SEEN = np.tri(TIME, dtype=np.float32)
FUTURE = 1 - SEEN
ADDED = np.where(SEEN > 0, 0, -np.inf).astype(np.float32)
INVERSE = (1.0 / 1e4 ** (np.arange(0, 8, 2, dtype=np.float32) / 8)).astype(np.float32)
ANGLES = np.arange(300, dtype=np.float32)[:, None] * INVERSE
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)
COMPUTED = replace(support.SPEC, position=Position.SINUSOIDAL, context=40)
TABLE = sinusoids(40, COMPUTED.d_model)
SPECS = {Expectation.SINUSOIDS: COMPUTED}
"""The model that a tensor is held against, where it is another one."""
RIGHT: dict[Expectation, list[Array]] = {
    Expectation.CAUSAL_MASK: [SEEN, SEEN[None, None], SEEN.astype(bool), SEEN.astype(np.uint8)],
    Expectation.FUTURE_MASK: [FUTURE, FUTURE[None, None], FUTURE.astype(bool)],
    Expectation.ADDITIVE_MASK: [ADDED, ADDED[None, None], np.where(SEEN > 0, 0, -1e9)],
    Expectation.MASKED_SCORE: [np.float32(-1e5), np.array([-np.inf]), np.array(-1e4)],
    Expectation.POSITION_IDS: [np.arange(9), np.arange(9)[None], np.arange(0)],
    Expectation.ROPE_FREQUENCIES: [INVERSE, INVERSE.astype(ml_dtypes.bfloat16)],
    Expectation.ROPE_ANGLES: [(COS + 1j * SIN).astype(np.complex64)],
    Expectation.ROPE_COSINES: [COS, np.repeat(COS, 2, 1), COS[None, :, None], COS.astype(np.float16)],
    Expectation.ROPE_SINES: [SIN, np.repeat(SIN, 2, 1)],
    Expectation.SINUSOIDS: [TABLE, TABLE[:, None], sinusoids(64, COMPUTED.d_model), TABLE.astype(np.float16)],
}
OTHER = (1.0 / 5e5 ** (np.arange(0, 8, 2, dtype=np.float32) / 8)).astype(np.float32)


def spoilt(array: Array) -> Array:
    """The same with one element changed that is easily overlooked."""
    wrong = np.array(array)
    wrong.reshape(-1)[-2] = 1 - wrong.reshape(-1)[-2] if wrong.dtype != np.bool_ else ~wrong.reshape(-1)[-2]
    return wrong


WRONG: dict[Expectation, list[Array]] = {
    Expectation.CAUSAL_MASK: [FUTURE, SEEN.T, np.ones((7, 7)), SEEN[:-1], spoilt(SEEN), SEEN * 2, np.tri(7, k=1)],
    Expectation.FUTURE_MASK: [SEEN, FUTURE.T, np.zeros((7, 7)), spoilt(FUTURE), np.stack([FUTURE, FUTURE])],
    Expectation.ADDITIVE_MASK: [SEEN, ADDED.T, np.where(SEEN > 0, 0, -1.0), np.where(SEEN > 0, 1, -np.inf)],
    Expectation.MASKED_SCORE: [np.float32(-1), np.array([-1e5, -1e5]), np.float32(1e5), np.float32(np.nan)],
    Expectation.POSITION_IDS: [np.arange(1, 9), np.arange(9)[::-1], np.zeros(9), np.stack([np.arange(9)] * 2)],
    Expectation.ROPE_FREQUENCIES: [OTHER, INVERSE[::-1], INVERSE[:-1], np.tile(INVERSE, 2), INVERSE / 8],
    Expectation.ROPE_ANGLES: [COS, (COS - 1j * SIN).astype(np.complex64), (SIN + 1j * COS).astype(np.complex64)],
    Expectation.ROPE_COSINES: [
        SIN,
        np.cos(ANGLES / 8),
        np.cos(np.arange(300)[:, None] * OTHER),
        COS[:, :2],
        COS[1:],
        np.tile(COS, 2),
    ],
    Expectation.ROPE_SINES: [COS, -SIN, np.concatenate([SIN, COS], 1), np.sin(ANGLES + ANGLES[1]), np.tile(SIN, 2)],
    Expectation.SINUSOIDS: [
        TABLE[1:],
        TABLE[:-1],
        TABLE[:, :-2],
        np.roll(TABLE, 1, axis=1),
        np.roll(TABLE, 1, axis=0),
        np.concatenate([TABLE[:, 0::2], TABLE[:, 1::2]], axis=1),
        spoilt(TABLE),
    ],
}


def test_every_expectation_has_a_proof() -> None:
    assert set(PROOFS) == set(Expectation) == set(RIGHT) == set(WRONG)


@pytest.mark.parametrize("expected", list(Expectation))
def test_what_it_says(expected: Expectation) -> None:
    spec = SPECS.get(expected, SPEC)
    assert [PROOFS[expected](array, spec) for array in RIGHT[expected]] == [None] * len(RIGHT[expected])


@pytest.mark.parametrize("expected", list(Expectation))
def test_nearly_what_it_says(expected: Expectation) -> None:
    for array in WRONG[expected]:
        assert PROOFS[expected](array, SPECS.get(expected, SPEC)), array


def test_tables_of_rope_are_those_of_this_model() -> None:
    for expected in (e for e in Expectation if e.value.startswith("rope")):
        for spec in (
            support.SPEC,
            replace(SPEC, rope_theta=1e5),
            replace(SPEC, rope_scaling=RopeScaling("llama3:8,1,4,16")),
            replace(SPEC, rope_dims=6),
        ):
            assert PROOFS[expected](RIGHT[expected][0], spec)


def test_columns_stand_where_numbers_are_turned_together() -> None:
    halves = replace(SPEC, rope_layout=RopeLayout.HALVES)
    for expected, table in ((Expectation.ROPE_COSINES, COS), (Expectation.ROPE_SINES, SIN)):
        assert PROOFS[expected](np.tile(table, 2), halves) is None
        assert PROOFS[expected](np.repeat(table, 2, 1), halves)
        assert PROOFS[expected](np.tile(table, 2), SPEC)


SCALINGS = [RopeScaling(text) for text in ("none", "linear:4", "llama3:8,1,4,64", "llama3:32,1,4,8192")]


@pytest.mark.parametrize("scaling", SCALINGS, ids=str)
@pytest.mark.parametrize("theta", [1e4, 5e5])
def test_two_ways_to_the_same_frequencies(scaling: RopeScaling, theta: float) -> None:
    """NumPy's, for tables that are left out, and torch's, for the reference, were written apart."""
    found = frequencies(theta, 64, scaling, torch.float64).numpy()
    assert np.allclose(found, rope_frequencies(theta, 64, scaling), rtol=1e-12, atol=0)
    narrow = frequencies(theta, 64, scaling, torch.float32).numpy()
    assert np.allclose(narrow, found, rtol=1e-6, atol=0)


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoids_are_those_of_the_formula(width: int) -> None:
    table = sinusoids(40, width)
    assert (table.shape, table.dtype) == ((40, width), np.float32)
    for position in (0, 1, 39):
        for column in range(width):
            angle = position / 1e4 ** ((column - column % 2) / width)
            wanted = np.cos(angle) if column % 2 else np.sin(angle)
            assert abs(table[position, column] - wanted) < 1e-5
