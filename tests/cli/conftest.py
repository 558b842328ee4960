"""The command line as a process: what it printed, how it ended, what it left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMAND = Path(sys.executable).with_name("ckpt2hf")
DECIDED = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5")


@dataclass(frozen=True)
class Done:
    """A finished run of the command."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would make the output depend on who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., Done]:
    """Runs `ckpt2hf` with these words in an empty directory."""

    def run(*words: object, cwd: Path = tmp_path, **extra: str) -> Done:
        done = subprocess.run(
            [str(COMMAND), *map(str, words)],
            cwd=cwd,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr or done.returncode == 70
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `ckpt2hf` with these words and does not wait."""

    def begin(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), *map(str, words)],
            cwd=tmp_path,
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def mini(tmp_path: Path, repository: Path) -> Path:
    """The trained example, under the name that people give theirs."""
    return Path(shutil.copy(repository / "examples" / "az-mini" / "az_llm_mini_final.pt", tmp_path / "model.pt"))


@pytest.fixture
def decided() -> tuple[str, ...]:
    """What has to be said about the example."""
    return DECIDED


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The example converted once and proved on bytes. Copy it before changing it."""
    out = tmp_path_factory.mktemp("finished") / "model"
    source = repository / "examples" / "az-mini" / "az_llm_mini_final.pt"
    words = [str(COMMAND), "convert", str(source), "-o", str(out), *DECIDED, "--verify", "bytes"]
    subprocess.run(words, env=environment({}), check=True, capture_output=True)
    return out


@pytest.fixture
def changed(mini: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """The example after a function has changed its state dict."""

    def change(edit: Callable[[dict[str, Any]], None]) -> Path:
        state = torch.load(mini, weights_only=True)
        edit(state)
        torch.save(state, mini)
        return mini

    return change


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A nanoGPT checkpoint of 100 MB: long enough at work to be disturbed."""
    vocab, width = 50_000, 512
    block = {
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "attn.c_attn.weight": (3 * width, width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width),
        "mlp.c_proj.bias": (width,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (vocab, width),
        "transformer.wpe.weight": (64, width),
        **{f"transformer.h.0.{name}": shape for name, shape in block.items()},
        "transformer.ln_f.weight": (width,),
        "transformer.ln_f.bias": (width,),
    }
    made = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=made) for name, shape in shapes.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    settings = {"n_layer": 1, "n_head": 8, "n_embd": width, "block_size": 64, "bias": True, "vocab_size": vocab}
    torch.save({"model": state, "model_args": settings}, tmp_path / "large.pt")
    return tmp_path / "large.pt"
