"""A GPT-2-shaped and a Llama-shaped directory with loud weights, with and without other forms."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import Command, Form, FormsRequest, Level, Request, Writing, convert, make_forms
from support import EVERY_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LOUD = 3.0
"""What the matrices of a golden case are multiplied with: as drawn, they hardly move the logits."""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def loud(value: Any) -> Any:
    """The tree with its matrices larger."""
    if isinstance(value, dict):
        return {key: loud(item) for key, item in value.items()}
    return value * LOUD if isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim > 1 else value


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Path]:
    """The directories by the name of the golden case: copy one before changing it."""
    folder = tmp_path_factory.mktemp("shaped")
    found = {}
    for name in ("nanogpt_bias", "llama2c"):
        tree = torch.load(repository / "tests" / "golden" / name / "checkpoint.pt", weights_only=False)
        source = folder / f"{name}.pt"
        torch.save({**tree, "model": loud(tree["model"])}, source)
        convert(Request(source=source, **EVERY_FLAGS[name]), Writing(out=folder / name, level=Level.BYTES))
        found[name] = folder / name
    return found


@pytest.fixture(scope="session", params=["nanogpt_bias", "llama2c"])
def formed(
    request: pytest.FixtureRequest, shaped: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Form]]:
    """Each directory with float32, int8 and int4 in it, and what became of each."""
    out = Path(shutil.copytree(shaped[request.param], tmp_path_factory.mktemp("formed") / request.param))
    made = make_forms(FormsRequest(directory=out, command=Command.EXPORT, forms=("onnx",)))
    asked = FormsRequest(directory=out, command=Command.QUANTIZE, forms=("onnx-q8", "onnx-q4"))
    made += make_forms(asked)
    return out, {form.report.id: form for form in made}


@pytest.fixture(scope="session")
def _exported(shaped: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = Path(shutil.copytree(shaped["nanogpt_bias"], tmp_path_factory.mktemp("exported") / "gpt"))
    make_forms(FormsRequest(directory=out, command=Command.EXPORT, forms=("onnx",)))
    return out


@pytest.fixture
def exported(_exported: Path, tmp_path: Path) -> Path:
    """A copy of the GPT-2-shaped directory that has its float32 file."""
    return Path(shutil.copytree(_exported, tmp_path / "exported"))


@pytest.fixture
def gpt(shaped: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the GPT-2-shaped directory."""
    return Path(shutil.copytree(shaped["nanogpt_bias"], tmp_path / "gpt"))


@pytest.fixture
def tokens() -> Callable[[int], NDArray[np.int64]]:
    """Ids `[2, 40]` of a vocabulary."""
    return lambda vocab: np.random.default_rng(5).integers(vocab, size=(2, 40))
