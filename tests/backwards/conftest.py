"""Hugging Face directories to turn back: converted golden cases, and models that transformers makes and saves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import BackRequest, BackWriting, Level, convert_back
from converted import golden_converter
from module_file import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import BackReport, Report

MODELS = Path(__file__).parents[1] / "dialects" / "models.py"


@pytest.fixture(scope="session")
def models() -> Any:
    """The module of small models of other people's codebases."""
    return load_module(MODELS, "small_models_backwards")


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[[str], tuple[Path, Report]]:
    """A golden case's directory and its report, made once."""
    return golden_converter(tmp_path_factory, repository, Level.BYTES)


@pytest.fixture
def back(tmp_path: Path) -> Callable[..., tuple[Path, BackReport]]:
    """Turns a directory back into a proved checkpoint."""

    def turn(source: Path, dialect: str | Path, *, level: Level = Level.BYTES, **said: Any) -> tuple[Path, BackReport]:
        out = tmp_path / "back" / "ckpt.pt"
        report = convert_back(
            BackRequest(source=source, dialect=dialect, **said), BackWriting(out=out, level=level, force=True)
        )
        assert report.verdict.proved, report.verdict
        return out, report

    return turn


def loud(model: Any, *, zero: tuple[str, ...] = (), seed: int = 5) -> Any:
    """Weights large enough that any mistake shows; those whose names end so are zero."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.randn(parameter.shape, generator=random)
            if parameter.ndim == 1:
                parameter.copy_(1 + 0.2 * drawn if "weight" in name else 0.3 * drawn)
            else:
                embedding = any(word in name for word in ("wte", "wpe", "embed"))
                parameter.copy_(drawn * (0.15 if embedding else 1.5 * parameter.shape[-1] ** -0.5))
            if name.endswith(zero) and zero:
                parameter.zero_()
    return model.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., tuple[Path, Any]]:
    """A model that transformers makes from a configuration and saves, with its directory."""

    def save(kind: Any, config: Any, **options: Any) -> tuple[Path, Any]:
        zero = options.pop("zero", ())
        torch.manual_seed(0)
        model = loud(kind(config), zero=zero)
        directory = tmp_path / "hf"
        model.save_pretrained(directory, **options)
        return directory, model

    return save
