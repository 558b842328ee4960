"""The documents are true: generated parts are fresh, examples run, named constants have the values they are said to."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.verify import tolerances

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = Path(sys.executable).with_name("ckpt2hf")
MINI = ROOT / "examples" / "az-mini"
GOLDEN = ROOT / "tests" / "golden"
FILES = {
    "az_llm_mini_final.pt": MINI / "az_llm_mini_final.pt",
    "model.py": MINI / "model.py",
    "heldout.npy": MINI / "heldout.npy",
    "tokenizer.json": MINI / "tokenizer.json",
    "az_llm_100m_final.pt": MINI / "az_llm_mini_final.pt",
    "out/ckpt.pt": GOLDEN / "nanogpt_bias" / "checkpoint.pt",
    "out/chargpt/model.pt": GOLDEN / "mingpt" / "checkpoint.pt",
    "runs/shakespeare/ckpt.pt": GOLDEN / "nanogpt_bias" / "checkpoint.pt",
    "runs/chargpt/model.pt": GOLDEN / "mingpt" / "checkpoint.pt",
}
"""What a reader has under the names of the examples."""
NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]\d+)?")


@dataclass(frozen=True)
class Example:
    """A command of README.md and what is printed below it, if anything is."""

    command: str
    shown: str

    @property
    def exit_code(self) -> int:
        """The one that belongs to the error that is shown."""
        code = re.match(r"error\[([\w-]+)\]", self.shown)
        return next(e.exit_code for e in Ckpt2hfError.__subclasses__() if e.code == code[1]) if code else 0


BLOCK = re.compile(r"```sh\n(ckpt2hf [^\n]+)\n```\n(?:\n```text\n(.*?)```)?", re.DOTALL)
EXAMPLES = [Example(command, shown) for command, shown in BLOCK.findall(README)]
MANIFEST = "".join(re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def lay_out(folder: Path) -> None:
    for name, source in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    (folder / "runs" / "ckpt2hf.toml").write_text(MANIFEST, encoding="utf-8")


def comparable(text: str) -> list[str]:
    """The lines without numbers, which depend on the machine, and without progress."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("ckpt2hf: "))
    return [NUMBER.sub("#", line.rstrip()) for line in lines]


def test_the_generated_parts_are_fresh() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_part_is_found(tmp_path: Path) -> None:
    for name in ("README.md", "docs", "scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "errors.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| `health` |", "| `wealth` |"), encoding="utf-8")
    words = [sys.executable, str(tmp_path / "scripts" / "make_docs.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "-| `wealth` |" in done.stdout
    assert "+| `health` |" in done.stdout


@pytest.mark.slow
def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    """In order, as a reader would. Only the first is proved on logits, because that takes seconds each time."""
    lay_out(tmp_path)
    assert len(EXAMPLES) >= 8
    assert [example for example in EXAMPLES if example.exit_code]
    for k, example in enumerate(EXAMPLES):
        words = [str(COMMAND), *shlex.split(example.command)[1:]]
        cheaper = {"convert": ["--verify", "bytes"], "verify": ["--level", "bytes"]}
        cheap = cheaper.get(words[1], []) if k and not example.shown else []
        done = subprocess.run([*words, *cheap], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == example.exit_code, example.command + done.stderr
        if example.shown:
            printed = done.stderr if example.exit_code else done.stdout
            assert comparable(printed) == comparable(example.shown)
    assert (tmp_path / "az-mini-hf" / "model.safetensors").exists()


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    lay_out(tmp_path)
    convert = next(code for code in PYTHON if "import Request" in code)
    use = next(code for code in PYTHON if "from_pretrained" in code).replace("az-mini-hf", "from-python")
    done = subprocess.run(
        [sys.executable, "-c", convert + use], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True algebraic\n"


def test_the_tolerances_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    told = {name: float(value) for name, value in re.findall(r"^\| `([A-Z_]+)` \| ([^ ]+) \|", page, re.MULTILINE)}
    assert told == {
        name: value for name, value in vars(tolerances).items() if name.isupper() and name != "TYPE_CHECKING"
    }


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken
