"""docs/add-a-dialect.md, followed in an empty directory as a reader would: every command runs, every file is made."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "add-a-dialect.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *words = shlex.split(command)
    beside = Path(sys.executable).with_name("python" if program == "python" else program)
    env = {**{k: v for k, v in os.environ.items() if k not in {"COLUMNS", "FORCE_COLOR"}}, "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(beside), *words], cwd=folder, env=env, capture_output=True, text=True, check=False)


def answered(text: str, answers: str) -> str:
    """The file with each of these lines in the place of the lines that ask for it."""
    for line in answers.splitlines():
        key = line.partition(" = ")[0]
        lines = text.splitlines()
        asking = [k for k, old in enumerate(lines) if old.startswith((f"{key} = ", f"{key}."))]
        assert asking, f"nothing in the file asks for {key}"
        text = "\n".join([*lines[: asking[0]], line, *lines[asking[-1] + 1 :]]) + "\n"
    return text


@pytest.mark.slow
def test_the_guide_can_be_followed(tmp_path: Path) -> None:
    printed = ""
    commands = 0
    for kind, body in BLOCK.findall(GUIDE):
        first, _, rest = body.partition("\n")
        own = tmp_path / "mine.toml"
        if kind == "sh":
            done = follow(body.strip(), tmp_path)
            assert done.returncode == 0, body + done.stdout + done.stderr
            printed, commands = done.stdout, commands + 1
        elif kind == "text":
            assert printed.split() == body.split()
        elif first == "# excerpt":
            assert all(line in own.read_text(encoding="utf-8").splitlines() for line in rest.splitlines() if line)
        elif first == "# answers":
            own.write_text(answered(own.read_text(encoding="utf-8"), rest), encoding="utf-8")
        else:
            (tmp_path / first.removeprefix("# ")).write_text(rest, encoding="utf-8")
    assert commands >= 7
    made = {path.name for path in tmp_path.iterdir() if not path.name.startswith("__")}
    assert made == {"model.py", "story.pt", "mine.toml", "ckpt2hf.toml", "story-hf", "story-by-hand", "story-again"}
    weights = {(tmp_path / name / "model.safetensors").read_bytes() for name in made if name.startswith("story-")}
    assert len(weights) == 1


def test_the_guide_is_where_people_look_for_it() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "docs/dialect-file.md"):
        assert "add-a-dialect.md" in (ROOT / name).read_text(encoding="utf-8"), name
