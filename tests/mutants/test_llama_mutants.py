"""Wrong readings of Llama's kin, held against small oracles of each codebase: all are refused, or show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from dialects.llama_cases import CASES, oracle
from dialects.llama_oracle import TIME, VOCAB
from mutants import test_dialect_mutants as mutated

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Kin:
    """A codebase's file, and what its code computes."""

    name: str
    path: Path
    input_ids: NDArray[np.int64]
    logits: NDArray[np.float64]

    def off(self, found: NDArray[np.float64]) -> float:
        """How far logits lie from them at most; infinitely where the shapes differ."""
        return float(np.abs(found - self.logits).max()) if found.shape == self.logits.shape else np.inf


@pytest.fixture(params=CASES)
def kin(request: pytest.FixtureRequest, tmp_path: Path) -> Kin:
    model = oracle(request.param)
    path = CASES[request.param].write(tmp_path / "run", model)
    model = model.double()
    tokens = torch.randint(VOCAB, (2, TIME), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(tokens)[0].numpy()
    return Kin(request.param, path, tokens.numpy(), logits)


@pytest.fixture
def said(kin: Kin) -> dict[str, Any]:
    return {kin.name: CASES[kin.name].said}


@pytest.mark.slow
def test_a_wrong_dialect_is_refused_or_leaves_the_codebase_s_logits(kin: Kin, said: Any, tally: Any) -> None:
    mutated.test_a_wrong_dialect_is_refused_or_leaves_the_codebase_s_logits(kin, said, tally)


@pytest.mark.slow
def test_a_wrong_word_of_the_user_is_refused_or_leaves_the_codebase_s_logits(kin: Kin, said: Any, tally: Any) -> None:
    mutated.test_a_wrong_word_of_the_user_is_refused_or_leaves_the_codebase_s_logits(kin, said, tally)
