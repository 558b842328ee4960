"""The trained example as a directory with its tokenizer, small models of other kinds, and the command as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ckpt2hf.api import Level, Request, Writing, convert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

COMMAND = Path(sys.executable).with_name("ckpt2hf")
SETTINGS = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "attention_mask"],
    "clean_up_tokenization_spaces": False,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def example(repository: Path) -> Path:
    return repository / "examples" / "az-mini"


@pytest.fixture(scope="session")
def bare(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example converted, without a tokenizer."""
    out = tmp_path_factory.mktemp("evaluate") / "bare"
    facts = ("attention_scale=head_dim**-0.5",)
    request = Request(source=example / "az_llm_mini_final.pt", dialect="az-course", facts=facts)
    convert(request, Writing(out=out, level=Level.BYTES))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (out / name).unlink(missing_ok=True)
    return out


@pytest.fixture(scope="session")
def mini(bare: Path, example: Path) -> Path:
    """The same with the tokenizer it was trained with."""
    out = Path(shutil.copytree(bare, bare.with_name("mini")))
    return with_tokenizer(out, Tokenizer.from_file(str(example / "tokenizer.json")))


@pytest.fixture
def changed(mini: Path, tmp_path: Path) -> Path:
    """A copy of the example's directory, to be changed."""
    return Path(shutil.copytree(mini, tmp_path / "changed"))


@pytest.fixture(scope="session")
def heldout(example: Path) -> NDArray[np.int32]:
    found: NDArray[np.int32] = np.load(example / "heldout.npy")
    return found


@pytest.fixture(scope="session")
def hf(mini: Path) -> Any:
    """The example as transformers loads it, in float64."""
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    return AutoModelForCausalLM.from_pretrained(mini, dtype=torch.float64).eval()


def with_tokenizer(directory: Path, tokenizer: Tokenizer, **settings: Any) -> Path:
    """The directory after a tokenizer was put in it."""
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps({**SETTINGS, **settings}), encoding="utf-8")
    return directory


def byte_level() -> Tokenizer:
    """A token for each byte: no text is unknown, and letters of Azerbaijani are two tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: k for k, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}}
    return {**kept, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `ckpt2hf` with these words in an empty directory; `given` is its standard input."""

    def run(*words: object, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, words)],
            cwd=tmp_path,
            env=environment(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
