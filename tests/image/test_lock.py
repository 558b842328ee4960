"""The lock holds what pyproject.toml asks for, all of it with hashes, and says nothing about where things come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted(FOLDER.glob("*.txt"))
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
IMAGE_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux", "extra": ""}


def locked(name: str) -> dict[str, Version]:
    """The versions in a lock, by name."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return {canonicalize_name(found): Version(version) for found, version, _ in PIN.findall(text)}


def asked(name: str) -> list[Requirement]:
    """The requirements in a file that a lock is made from."""
    lines = (FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def unmet(requirements: list[Requirement], versions: dict[str, Version]) -> list[str]:
    """What is asked for and not there, or there in a version that does not fit."""
    return [
        str(requirement)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(IMAGE_PYTHON)
        if (version := versions.get(canonicalize_name(requirement.name))) is None
        or version not in requirement.specifier
    ]


def of_the_project() -> list[Requirement]:
    """What ckpt2hf asks for in the image, torch apart."""
    tables = PROJECT["project"]
    both = [*tables["dependencies"], *tables["optional-dependencies"]["verify"]]
    return [requirement for requirement in map(Requirement, both) if requirement.name != "torch"]


def torch_said_in(path: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{path} names no torch"
    return found[1]


def test_the_lock_has_what_the_project_asks_for() -> None:
    assert len(of_the_project()) >= 7
    assert not unmet([*of_the_project(), *asked("python")], locked("python")), "run `make lock`"


@pytest.mark.parametrize("change", ["numpy>=99", "typer<0.15", "ckpt2hf-wants-this"])
def test_a_stale_lock_is_found(change: str) -> None:
    assert unmet([*of_the_project(), Requirement(change)], locked("python")) == [change]


def test_what_builds_is_locked_as_well() -> None:
    system = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    assert not unmet([*system, *asked("build")], locked("build")), "run `make lock`"
    assert not unmet(asked("llama-cpp"), locked("llama-cpp")), "run `make lock`"


def test_torch_is_the_same_one_everywhere() -> None:
    pinned = torch_said_in("Makefile", r"^TORCH \?= torch==(\S+)$")
    assert torch_said_in("docker/Dockerfile", r"^ARG TORCH=torch==(\S+)$") == pinned
    assert torch_said_in("scripts/lock.sh", r"^torch=\$\{TORCH:-torch==(\S+)\}$") == pinned
    assert torch_said_in("scripts/docker-engine.sh", r"^torch=\$\{TORCH:-torch==(\S+)\}$") == pinned
    assert locked("cuda")["torch"] == Version(pinned)
    verify = map(Requirement, PROJECT["project"]["optional-dependencies"]["verify"])
    assert Version(pinned) in next(asked for asked in verify if asked.name == "torch").specifier


def test_both_kinds_of_image_share_their_versions() -> None:
    cuda, python = locked("cuda"), locked("python")
    shared = cuda.keys() & python.keys()
    assert {"numpy", "filelock", "sympy"} & shared
    assert {name: cuda[name] for name in shared} == {name: python[name] for name in shared}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_line_of_a_lock_is_a_pin_with_hashes(path: Path) -> None:
    rest = PIN.sub("", path.read_text(encoding="utf-8"))
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert len(PIN.findall(path.read_text(encoding="utf-8"))) >= 1


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_no_lock_says_where_things_come_from(path: Path) -> None:
    assert not re.search(r"://|--(?:extra-)?index|--find-links|\.(?:org|com|net)\b", path.read_text(encoding="utf-8"))


def test_all_locks_are_known() -> None:
    assert [path.stem for path in LOCKS] == ["build", "cuda", "llama-cpp", "python"]
