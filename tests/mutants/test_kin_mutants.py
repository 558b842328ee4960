"""Wrong dialects of Llama's kin, also of codebases that have no golden case: the logits are those of small models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request
from conftest import GoldenCase
from dialects.llama_cases import CASES, oracle
from dialects.llama_oracle import TIME, VOCAB
from mutants.test_dialect_mutants import survivors

if TYPE_CHECKING:
    from pathlib import Path


def recorded(name: str, folder: Path) -> GoldenCase:
    """What the codebase saves, and the logits of its model in float64."""
    model = oracle(name)
    path = CASES[name].write(folder, model)
    tokens = torch.randint(VOCAB, (2, TIME), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model.double()(tokens)[0].numpy()
    return GoldenCase(name, path, {}, {}, tokens.numpy(), logits)


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_dialect_is_refused_or_leaves_the_model_s_logits(name: str, tmp_path: Path, tally: Any) -> None:
    case = recorded(name, tmp_path / "run")
    assert survivors(Request(source=case.path, **CASES[name].said), case, tally) == []
