"""House rules about the text of the source files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ckpt2hf"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYTHON = sorted(path for folder in ("src", "tests", "scripts", "examples") for path in (ROOT / folder).rglob("*.py"))
# The tests are left out of rules about words: they have to be able to name what is forbidden.
PROSE = [path for path in PYTHON if ROOT / "tests" not in path.parents]
WRITTEN = sorted(
    path
    for folder in (".", ".ci", ".github", "docs", "docker", "examples", "scripts", "src", "tests")
    for path in ((ROOT / folder).glob("*") if folder == "." else (ROOT / folder).rglob("*"))
    if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
)
TEXT_SUFFIXES = {"", ".cfg", ".ini", ".json", ".md", ".mjs", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
LONGEST_MODULE = 300
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
SOMEBODYS_MACHINE = re.compile(r"(?<![\w.])/(?:ho" + r"me|ro" + r"ot|Us" + r"ers)/")
# One idea has one name; these say that no name was found.
NAMELESS = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_a_module_is_one_idea_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__main__.py"], ids=short)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_or_package_is_nameless() -> None:
    named = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not named & NAMELESS


def test_nothing_is_left_for_later_in_comments() -> None:
    found = [short(path) for path in PROSE if UNFINISHED.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    found = [
        f"{short(path)}:{number}"
        for path in WRITTEN
        if path.suffix in TEXT_SUFFIXES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if SOMEBODYS_MACHINE.search(line)
    ]
    assert not found
