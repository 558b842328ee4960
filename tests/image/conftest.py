"""The image that `make image` built, and containers of it under every restriction it is said to work under."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from image.engine import IMAGE, Caller, docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    """A user id that the image has never heard of; without root, which may give files away, the id is ours."""
    ours = os.geteuid() != 0
    chance = random.SystemRandom()
    uid, gid = (os.geteuid(), os.getegid()) if ours else (chance.randrange(20_000, 60_000) for _ in range(2))
    made = Caller(uid, gid, tmp_path)
    made.source.mkdir()
    made.out.mkdir()
    if not ours:
        os.chown(made.out, uid, gid)
    yield made
    shutil.rmtree(tmp_path)  # pytest would keep it, and a result can be twelve gigabytes


@pytest.fixture
def golden_in(caller: Caller, repository: Path) -> Callable[[str], str]:
    """Puts a golden checkpoint into the caller's input; its path inside the container."""

    def put(name: str) -> str:
        shutil.copy(repository / "tests" / "golden" / name / "checkpoint.pt", caller.source / f"{name}.pt")
        return f"/in/{name}.pt"

    return put


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint of 6 GB, most of it holes."""
    path = tmp_path_factory.mktemp("large") / "large.pt"
    subprocess.run([sys.executable, Path(__file__).with_name("make_large_checkpoint.py"), path], check=True)
    yield path
    path.unlink()


@pytest.fixture
def large_in(caller: Caller, large: Path) -> str:
    """The large checkpoint in the caller's input; its path inside the container."""
    os.link(large, caller.source / large.name)
    return f"/in/{large.name}"


@pytest.fixture(scope="session")
def image() -> dict[str, Any]:
    """What the engine knows about the image; without an engine or an image the tests fail, they do not skip."""
    found = docker("image", "inspect", IMAGE, check=False)
    if found.code:
        pytest.fail(f"no image {IMAGE}, or no engine: run `make image-test`\n{found.err}")
    described: dict[str, Any] = json.loads(found.out)[0]
    return described


@pytest.fixture
def container() -> Iterator[Callable[..., str]]:
    """Starts a container and does not wait; its name. It is removed after the test."""
    names: list[str] = []

    def start(flags: Sequence[str], *words: object) -> str:
        names.append(f"ckpt2hf-test-{uuid.uuid4().hex[:12]}")
        docker("run", "--detach", "--name", names[-1], *flags, IMAGE, *words)
        return names[-1]

    yield start
    for name in names:
        docker("rm", "--force", "--volumes", name, check=False)


@pytest.fixture(scope="session")
def inside(image: dict[str, Any]) -> Callable[[str], str]:
    """What a program, given as Python source, prints inside the image."""

    def run(code: str) -> str:
        assert image
        return docker("run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "-c", code).out

    return run
