"""Wrong dialects and wrong words of GPT-2's kin and Llama's, also of codebases that have no golden case.

The logits are those of small models, in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from conftest import GoldenCase
from dialects import gpt_cases, llama_cases
from dialects.llama_oracle import TIME, VOCAB
from mutants import test_dialect_mutants as mutated

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

GPTS, LLAMAS = gpt_cases.CASES, llama_cases.CASES


def case(name: str) -> tuple[Any, nn.Module]:
    """What a codebase saves and what a person types, and its model."""
    if name in GPTS:
        return GPTS[name], GPTS[name].model()
    return LLAMAS[name], llama_cases.oracle(name)


@pytest.fixture(params=[*GPTS, *LLAMAS])
def kin(request: pytest.FixtureRequest, tmp_path: Path) -> GoldenCase:
    """What the codebase saves, and the logits of its model."""
    saves, model = case(request.param)
    path = saves.write(tmp_path / "run", model)
    tokens = torch.randint(VOCAB, (2, TIME), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model.double()(tokens)[0].numpy()
    return GoldenCase(request.param, path, {}, {}, tokens.numpy(), logits)


@pytest.fixture
def flags(kin: GoldenCase) -> dict[str, Any]:
    """What the user says about it."""
    return {kin.name: (GPTS.get(kin.name) or LLAMAS[kin.name]).said}


def test_no_name_stands_for_two() -> None:
    assert not set(GPTS) & set(LLAMAS)


def test_a_wrong_dialect_is_refused_or_leaves_the_model_s_logits(kin: GoldenCase, flags: Any, tally: Any) -> None:
    mutated.test_a_wrong_dialect_is_refused_or_leaves_the_codebase_s_logits(kin, flags, tally)


@pytest.mark.slow
def test_a_wrong_word_of_the_user_is_refused_or_leaves_the_model_s_logits(
    kin: GoldenCase, flags: Any, tally: Any
) -> None:
    mutated.test_a_wrong_word_of_the_user_is_refused_or_leaves_the_codebase_s_logits(kin, flags, tally)
