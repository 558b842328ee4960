"""docs/container.md says what the Dockerfile, the scripts and the tests do."""

from __future__ import annotations

import re
from pathlib import Path

from image.engine import HARDENED

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
REGISTRIES = re.compile(r"(?:\bpypi|hosted\.org|download\.pytorch|docker\.io/|ghcr|quay)\b")


def test_the_build_arguments_are_those_of_the_dockerfile() -> None:
    table = PAGE[PAGE.index("| argument |") :]
    told = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"[A-Z_]+", row)}
    taken = dict(re.findall(r"^ARG ([A-Z_]+)=(.*)$", DOCKERFILE, re.MULTILINE))
    assert told == set(taken)
    for name in ("BASE_IMAGE", "TORCH"):
        assert f"| `{name}` | `{taken[name]}` |" in table
    assert {name for name in told if name in DOCKERFILE[: DOCKERFILE.index("ARG ")]} == told


def test_make_passes_every_build_argument_on() -> None:
    script = (ROOT / "scripts" / "image.sh").read_text(encoding="utf-8")
    passed = set(re.findall(r'--build-arg "([A-Z]+)=', script))
    (listed,) = re.findall(r"^for name in ([A-Z_ ]+); do$", script, re.MULTILINE)
    assert passed | set(listed.split()) == set(re.findall(r"^ARG ([A-Z_]+)=", DOCKERFILE, re.MULTILINE))


def test_the_restrictions_on_the_page_are_those_that_are_tested() -> None:
    example = PAGE[PAGE.index("## With every restriction") :].replace("=", " ")
    assert [flag for flag in HARDENED if flag.replace("=", " ") not in example] == []


def test_the_make_targets_on_the_page_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ((?:image|lock)[a-z-]*)", PAGE))
    assert {"image", "image-cuda", "image-test", "lock"} == named
    assert named <= targets


def test_the_dockerfile_ends_with_the_ordinary_image() -> None:
    assert re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE)[-2:] == ["cuda", "cpu"]


def test_nothing_names_a_registry() -> None:
    files = [
        path
        for folder in ("docker", "scripts")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    assert len(files) > 10
    found = [path.name for path in files if REGISTRIES.search(path.read_text(encoding="utf-8"))]
    assert found == []
