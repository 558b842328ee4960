"""The commands of the model card, run as they stand there: llama.cpp's programs go on with a text as PyTorch does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llama_programs import free_port, program, serving
from stages.command import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = "The cow eats"
NEW = 12
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def of_the_card(directory: Path, begin: str) -> list[str]:
    """The words of the card's command that begins so."""
    card = (directory / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(f"^{re.escape(begin)} .*$", card, flags=re.MULTILINE)
    return shlex.split(line)


def with_float16(words: list[str], files: dict[str, Path]) -> list[str]:
    """The command with the float16 file, whose text is PyTorch's."""
    assert f"gguf/{files['Q4_K_M'].name}" in words
    return [f"gguf/{files['F16'].name}" if word.endswith(".gguf") else word for word in words]


@pytest.fixture(scope="module")
def wanted(formed: Path) -> str:
    """How PyTorch goes on."""
    line = [COMMAND, "generate", formed, PROMPT, "--max-new-tokens", str(NEW)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    text = done.stdout.strip()
    assert len(text) > len(PROMPT) + NEW
    return text


def completed(words: list[str], folder: Path) -> str:
    """What llama-completion writes, the prompt included."""
    name, *rest = words
    line = [program(name), *rest, "-n", str(NEW), "--temp", "0"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.llama_cpp
def test_llama_completion_goes_on_as_pytorch_does(formed: Path, files: dict[str, Path], wanted: str) -> None:
    words = of_the_card(formed, "llama-completion")
    assert "Once upon a time" in words
    asked = [PROMPT if word == "Once upon a time" else word for word in words]
    assert completed(with_float16(asked, files), formed) == wanted
    # The file that the card names is a quantized one: it goes on, too, and need not go on alike.
    assert completed(words, formed).startswith("Once upon a time")


@pytest.mark.llama_cpp
def test_llama_server_goes_on_as_pytorch_does(formed: Path, files: dict[str, Path], wanted: str) -> None:
    name, *rest = with_float16(of_the_card(formed, "llama-server"), files)
    port = free_port()
    with serving([program(name), *rest, "--host", "127.0.0.1", "--port", str(port)], formed, port) as server:
        own = server.ask("/completion", prompt=PROMPT, n_predict=NEW, temperature=0)
        usual = server.ask("/v1/completions", prompt=PROMPT, max_tokens=NEW, temperature=0)
    assert f"{PROMPT}{own['content']}".strip() == wanted
    assert f"{PROMPT}{usual['choices'][0]['text']}".strip() == wanted


def test_the_server_of_llama_cpp_python_goes_on_as_pytorch_does(
    formed: Path, files: dict[str, Path], wanted: str
) -> None:
    _, *rest = with_float16(of_the_card(formed, "python -m llama_cpp.server"), files)
    port = free_port()
    with serving([sys.executable, *rest, "--port", str(port)], formed, port) as server:
        found = server.ask("/v1/completions", prompt=PROMPT, max_tokens=NEW, temperature=0)
    assert f"{PROMPT}{found['choices'][0]['text']}".strip() == wanted
