"""Models trained for the purpose, once a session, and text they were not trained on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import Request, inspect
from module_file import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.run.ask_sample import Judgement

STEPS = 250
"""Four seconds on one core, after which wrong heads cost 0.03 nats and more."""


@dataclass(frozen=True)
class Trained:
    """Checkpoints by their true number of heads, and the text to ask about."""

    six: Path
    two: Path
    untrained: Path
    ids: Path
    text: Path


@pytest.fixture(scope="session")
def trained_module() -> Any:
    return load_module(Path(__file__).with_name("trained.py"), "trained")


@pytest.fixture(scope="session")
def trained(trained_module: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Six heads with the tanh GELU, two heads with the erf GELU, and six heads as they are drawn before training."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    stream = trained_module.example_ids(trained_module.example_text(11, 1500))
    held_out = trained_module.example_text(2718, 200)
    (folder / "text.txt").write_text("\n".join(held_out), encoding="utf-8")
    np.save(folder / "ids.npy", trained_module.example_ids(held_out).astype(np.int32))
    for name, heads, activation, steps in (
        ("six", 6, "gelu_tanh", STEPS),
        ("two", 2, "gelu", STEPS),
        ("untrained", 6, "gelu", 0),
    ):
        torch.manual_seed(0)
        model = trained_module.Fused(heads, activation)
        if steps:
            trained_module.train(model, stream, steps)
        torch.save(model.state_dict(), folder / f"{name}.pt")
    names = ("six.pt", "two.pt", "untrained.pt", "ids.npy", "text.txt")
    return Trained(*(folder / name for name in names))


@pytest.fixture(scope="session")
def example(repository: Path) -> Path:
    """The folder of the trained example: its checkpoint, held-out ids and tokenizer."""
    return repository / "examples" / "az-mini"


@pytest.fixture
def judged() -> Callable[..., Judgement]:
    """What a sample says about a checkpoint."""

    def ask(source: Path, sample: Path, *facts: str, **said: Any) -> Judgement:
        judgement = inspect(Request(source=source, sample=sample, facts=facts, **said)).judgement
        assert judgement is not None
        return judgement

    return ask


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `ckpt2hf` with these words; `columns` makes it believe in a terminal of that width."""

    def run(*words: object, cwd: Path = tmp_path, columns: int = 0) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}}
        terminal = {"COLUMNS": str(columns), "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb"} if columns else {}
        return subprocess.run(
            [str(Path(sys.executable).with_name("ckpt2hf")), *map(str, words)],
            cwd=cwd,
            env={**kept, "OMP_NUM_THREADS": "1", **terminal},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
