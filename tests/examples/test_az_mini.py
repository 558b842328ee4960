"""The shipped example is what its README says: a model that learned something, in a file of the course's shape."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from module_file import load_module

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "az-mini"
LOSSES: dict[str, float] = json.loads((EXAMPLE / "losses.json").read_text(encoding="utf-8"))
# Another processor or thread count sums in another order; a wrong model is off by tenths.
LOSS_TOLERANCE = 1e-3
SIZE_LIMIT = 4_000_000  # bytes


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return load_module(EXAMPLE / "model.py", "az_mini_model")


@pytest.fixture(scope="module")
def model(module: ModuleType) -> torch.nn.Module:
    model: torch.nn.Module = module.GPTModel().eval()
    model.load_state_dict(torch.load(EXAMPLE / "az_llm_mini_final.pt", weights_only=True), strict=True)
    return model


@pytest.fixture(scope="module")
def heldout() -> torch.Tensor:
    return torch.from_numpy(np.load(EXAMPLE / "heldout.npy")).long()


def test_the_recorded_loss_is_the_loss(model: torch.nn.Module, heldout: torch.Tensor) -> None:
    with torch.no_grad():
        logits, loss = model(heldout[:, :-1], heldout[:, 1:])
    assert logits.shape == (*heldout[:, 1:].shape, 768)
    assert loss.item() == pytest.approx(LOSSES["heldout"], abs=LOSS_TOLERANCE)


def test_the_model_knows_more_than_how_often_tokens_occur(heldout: torch.Tensor) -> None:
    counts = torch.bincount(heldout[:, 1:].flatten()).double()
    share = counts[counts > 0] / counts.sum()
    unigram = -(share * share.log()).sum().item()
    assert unigram == pytest.approx(LOSSES["unigram_entropy_heldout"], abs=LOSS_TOLERANCE)
    assert LOSSES["heldout"] < unigram / 4
    assert LOSSES["uniform"] == pytest.approx(math.log(768), abs=LOSS_TOLERANCE)


def test_the_tokenizer_is_the_models(module: ModuleType) -> None:
    tokenizer = Tokenizer.from_file(str(EXAMPLE / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == module.VOCAB_SIZE
    assert tokenizer.decoder is None
    text = "Uşaqlar bağda alma yığır. The cow gives milk."
    assert tokenizer.token_to_id("[UNK]") not in tokenizer.encode(text).ids


def test_the_readme_gives_the_recorded_losses() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert not [name for name, loss in LOSSES.items() if f"{loss:.4f}" not in readme]


def test_the_example_stays_small() -> None:
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir() if path.is_file()) < SIZE_LIMIT
