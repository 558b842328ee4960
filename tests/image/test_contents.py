"""What is in the image and what is not: labels, settings, bytecode, nothing unlocked; no compiler, no caches."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

import ckpt2hf
from image.engine import IMAGE, docker

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.image

SIZE_VARIES = 0.03
"""Debian's security updates change what Python and the libraries weigh."""
PREFIX = "org.opencontainers.image."
LOCK = Path(__file__).resolve().parents[2] / "docker" / "lock" / "python.txt"

UNWANTED = """
import pathlib, shutil
for name in ("gcc", "cc", "g++", "c++", "clang", "make", "cmake", "ninja", "ld", "as", "pip", "pip3", "git", "curl"):
    if shutil.which(name):
        print("program", name)
root = pathlib.Path("/")
for pattern in ("var/lib/apt/lists/*", "var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "root/.cache", "tmp/*",
                "wheels", "lock", "project", "staged", "finish.sh", "opt/tools", "mnt/*"):
    for path in root.glob(pattern):
        print("path", path)
for pattern in ("**/pip", "**/*.a", "**/tests", "**/*.h"):
    for path in root.glob("opt/ckpt2hf/" + pattern):
        print("path", path)
"""
"""Prints what a run has no use for. pip's own vendored certificates and the like go with pip."""

WITHOUT_BYTECODE = """
import importlib.util, pathlib, sysconfig
sources = [path for name in ("purelib", "stdlib") for path in pathlib.Path(sysconfig.get_path(name)).rglob("*.py")]
print(len(sources))
for path in sources:
    made = pathlib.Path(importlib.util.cache_from_source(str(path)))
    if not made.exists():
        try:
            compile(path.read_bytes(), str(path), "exec")
        except SyntaxError:
            continue
        print(path)
"""
"""Prints how many modules there are, and those without bytecode that this Python could import."""

VERSIONS = """
import importlib.metadata, json
print(json.dumps({found.name: found.version for found in importlib.metadata.distributions()}))
"""


def test_the_labels_say_what_it_is(image: dict[str, Any], repository: Path) -> None:
    labels = {key.removeprefix(PREFIX): value for key, value in image["Config"]["Labels"].items()}
    assert labels["title"] == "ckpt2hf"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"].startswith("A from-scratch PyTorch checkpoint becomes a Hugging Face directory")
    assert labels["version"] == ckpt2hf.__version__
    assert labels["source"].startswith("https://")
    git = ["git", "-C", str(repository), "log", "-1", "--format=%H %cI"]
    commit, when = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split()
    assert labels["revision"].removesuffix("-dirty") == commit
    assert labels["created"] == when


def test_it_is_told_what_to_do_by_default(image: dict[str, Any]) -> None:
    told = image["Config"]
    assert (told["Entrypoint"], told["Cmd"]) == (["ckpt2hf"], ["batch", "/in", "-o", "/out"])
    assert told["StopSignal"] == "SIGTERM"
    assert not told.get("Volumes")
    assert not told.get("ExposedPorts")
    variables = dict(entry.split("=", 1) for entry in told["Env"])
    assert variables["HOME"] == "/tmp"  # noqa: S108 - a tmpfs in the container
    assert {variables[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")} == {"1"}


def test_nothing_is_in_it_that_no_run_needs(inside: Callable[[str], str]) -> None:
    assert inside(UNWANTED) == ""


def test_bytecode_is_there_for_every_module(inside: Callable[[str], str]) -> None:
    count, *without = inside(WITHOUT_BYTECODE).splitlines()
    assert int(count) > 5000
    assert without == []


def test_everything_in_it_is_locked(inside: Callable[[str], str]) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s\\]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    installed = {re.sub(r"[-_.]+", "-", name).lower(): found for name, found in json.loads(inside(VERSIONS)).items()}
    apart = {"ckpt2hf", "torch", "llama-cpp-python"}
    assert {name: found for name, found in installed.items() if name not in apart} == locked
    assert apart <= set(installed)
    assert installed["ckpt2hf"] == ckpt2hf.__version__
    pinned = Requirement((LOCK.parent / "llama-cpp.in").read_text(encoding="utf-8").splitlines()[-1])
    assert installed["llama-cpp-python"] in pinned.specifier


def test_llama_cpp_computes(inside: Callable[[str], str]) -> None:
    code = "import llama_cpp; llama_cpp.llama_backend_init(); print(llama_cpp.llama_print_system_info().decode())"
    assert "CPU" in inside(code)


def test_the_size_is_what_the_page_says(image: dict[str, Any], repository: Path) -> None:
    page = (repository / "docs" / "container.md").read_text(encoding="utf-8")
    said = re.search(r"On top of the base image: \*\*(\d+) MB\*\*", page)
    assert said
    rows = docker("history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", IMAGE).out.splitlines()
    first = next(k for k, row in enumerate(rows) if " libgomp1 " in row)
    ours = sum(int(row.split()[0]) for row in rows[: first + 1]) / 1e6
    assert abs(ours - int(said[1])) < SIZE_VARIES * ours, f"{ours:.0f} MB"
    assert len(image["RootFS"]["Layers"]) <= first + 6
