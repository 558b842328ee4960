"""House rules about the project as a whole: layers, licence, changelog, documents, the second environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ckpt2hf

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIALECTS = sorted((ROOT / "src" / "ckpt2hf" / "dialects").glob("[a-z]*.toml"))


def text(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_imports_point_down_the_layers() -> None:
    beside = str(Path(sys.executable).parent)
    program = shutil.which("lint-imports", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    assert program, "import-linter is not installed: run `make setup`"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_a_layer() -> None:
    layers = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    placed = {name.strip() for layer in layers["layers"] for name in re.split(r"[|:]", layer)}
    present = {path.stem for path in (ROOT / "src" / "ckpt2hf").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert layers["exhaustive"]
    assert present - {"__init__", "__main__", "__pycache__"} <= placed


def test_the_architecture_page_lists_the_layers_as_they_are() -> None:
    layers = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")["layers"]
    assert re.findall(r"^    ([a-z]+(?: \| [a-z]+)*)  +\S", text("docs/architecture.md"), re.MULTILINE) == layers


def test_every_ignored_lint_rule_has_its_reason_beside_it() -> None:
    lines = text("pyproject.toml").splitlines()
    ignored = [line for line in lines if re.match(r'\s+"[A-Z]+[0-9]*",', line)]
    assert ignored
    assert not [line for line in ignored if "# " not in line]


def test_the_licence_is_apache_2() -> None:
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s", text("LICENSE"))
    assert "END OF TERMS AND CONDITIONS" in text("LICENSE")


def test_the_changelog_tells_about_what_is_here() -> None:
    assert re.search(rf"^## \[(Unreleased|{re.escape(ckpt2hf.__version__)})\]", text("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("path", DIALECTS, ids=lambda path: path.stem)
def test_every_dialect_is_documented(path: Path) -> None:
    dialect = tomllib.loads(path.read_text(encoding="utf-8"))["id"]
    assert dialect == path.stem
    assert re.search(rf"(?<![\w-]){re.escape(dialect)}(?![\w-])", text("README.md") + text("docs/dialects.md"))


@pytest.mark.transformers5
def test_the_second_environment_has_transformers_5(python_5x: Path) -> None:
    code = "import transformers; print(transformers.__version__)"
    done = subprocess.run([python_5x, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("5.")
