"""Small models of other people's codebases, saved as they save them, converted and held against their own logits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from ckpt2hf.api import Request, Writing, convert
from module_file import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import Report

MODELS = Path(__file__).with_name("models.py")
NOISE = 2e-5
"""Largest float32 difference of two right implementations at these sizes, in the logits' own unit (measured: 3e-6)."""


@pytest.fixture(scope="session")
def models() -> Any:
    """The module of small models."""
    return load_module(MODELS, "small_models")


@pytest.fixture(scope="session")
def gpts() -> Any:
    """The module of small models of further GPT-2-like codebases."""
    return load_module(MODELS.with_name("models_gpt.py"), "small_gpts")


@pytest.fixture(scope="session")
def kin() -> Any:
    """The module of small models whose tensors are oddly named or stacked."""
    return load_module(MODELS.with_name("models_kin.py"), "small_kin")


@pytest.fixture(scope="session")
def models_file() -> Path:
    return MODELS


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes anything as a torch file, in a folder of its own."""

    def save(content: Any, name: str = "ckpt.pt") -> Path:
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        torch.save(content, folder / name)
        return folder / name

    return save


@pytest.fixture
def tokens(models: Any) -> torch.Tensor:
    return torch.randint(models.VOCAB, (2, models.TIME), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def proved(tmp_path: Path, tokens: torch.Tensor) -> Callable[..., Report]:
    """Converts a file and shows that transformers computes what the model itself computes."""

    def check(source: Path, model: Any, *, noise: float = NOISE, **said: Any) -> Report:
        out = tmp_path / "converted"
        report = convert(Request(source=source, **said), Writing(out=out, force=True))
        assert report.verdict.proved, report.verdict
        theirs = AutoModelForCausalLM.from_pretrained(out).eval()
        with torch.no_grad():
            difference = float((theirs(tokens).logits - model(tokens)[0]).abs().max())
        assert difference <= noise
        return report

    return check


@pytest.fixture
def pickled(tmp_path: Path) -> Callable[..., tuple[Path, Any]]:
    """A whole model pickled by a module that nobody can import any more, and the model."""

    def save(make: Callable[[Any], Any]) -> tuple[Path, Any]:
        name = "somebodys_training_script"
        module = load_module(MODELS, name)
        model = make(module)
        sys.modules[name] = module
        try:
            torch.save(model, tmp_path / "model.pth")
        finally:
            del sys.modules[name]
        with pytest.raises(ImportError):
            torch.load(tmp_path / "model.pth", weights_only=False)
        return tmp_path / "model.pth", model

    return save
