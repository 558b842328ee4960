"""The trained example with a byte-level tokenizer of our own, and its GGUF files, made by one command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from stages.command import COMMAND
from tokenizing import training_text

if TYPE_CHECKING:
    from pathlib import Path

FORMS = ("gguf-f32", "gguf-f16", "gguf-q8_0", "gguf-q4_k_m", "gguf-q4_0")
FACTS = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5")


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE of as many tokens as the example's model has rows, trained on our text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=768, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    made.train_from_iterator(training_text(), trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture(scope="session")
def formed(repository: Path, byte_level: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with every one of `FORMS`: copy it before changing it."""
    out = tmp_path_factory.mktemp("gguf") / "az-mini"
    example = repository / "examples" / "az-mini"
    words = ["--to", ",".join(FORMS), "--calibration", example / "heldout.npy", "--max-tokens", "1000"]
    tokenizer = ["--tokenizer", byte_level, "--eos-token", "<|endoftext|>"]
    line = [COMMAND, "convert", example / "az_llm_mini_final.pt", "-o", out, *FACTS, *tokenizer, *words]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def files(formed: Path) -> dict[str, Path]:
    """The file of each type, by the end of its name."""
    return {path.stem.rpartition("-")[2]: path for path in (formed / "gguf").glob("*.gguf")}
