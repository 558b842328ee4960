"""docker/compose.yaml as an engine takes it: what its container is allowed, and that it works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image.engine import DOCKER, SECONDS, Caller, docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.image, pytest.mark.usefixtures("image")]

FILE = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"


def program() -> list[str]:
    """Compose as a plugin of the client, or as a program of its own; without either the tests fail."""
    if docker("compose", "version", check=False).code == 0:
        return [DOCKER, "compose"]
    found = shutil.which("docker-compose")
    return [found] if found else pytest.fail("neither `docker compose` nor docker-compose is installed")


@pytest.fixture
def compose(caller: Caller) -> Iterator[Callable[..., str]]:
    """Runs compose on our file in a project of its own, which is taken down afterwards; what it printed."""
    project = f"ckpt2hftest{uuid.uuid4().hex[:12]}"
    told = {"IN": str(caller.source), "OUT": str(caller.out), "USER": f"{caller.uid}:{caller.gid}", "MEMORY": "1g"}
    environment = {**os.environ, **{f"CKPT2HF_{name}": value for name, value in told.items()}}
    command = [*program(), "--project-name", project, "--file", str(FILE)]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.project = project  # type: ignore[attr-defined]
    yield run
    run("down")


def test_its_container_has_every_restriction(compose: Callable[..., str], caller: Caller) -> None:
    compose("up", "--no-start", "ckpt2hf")
    label = f"label=com.docker.compose.project={compose.project}"  # type: ignore[attr-defined]
    (identity,) = docker("ps", "--all", "--quiet", "--filter", label).out.split()
    made = json.loads(docker("inspect", identity).out)[0]
    host = made["HostConfig"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["Privileged"]) == ("none", True, False)
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert [option.replace("=", ":") for option in host["SecurityOpt"]] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 - in the container
    assert made["Config"]["User"] == f"{caller.uid}:{caller.gid}"
    assert made["Config"]["Cmd"] == ["batch", "/in", "-o", "/out"]
    assert {mount["Destination"]: mount["RW"] for mount in made["Mounts"]} == {"/in": False, "/out": True}


def test_its_container_works(compose: Callable[..., str], golden_in: Callable[[str], str], caller: Caller) -> None:
    words = ["convert", golden_in("build_nanogpt"), "-o", "/out/model", "--verify", "bytes"]
    assert "proved" in compose("run", "--rm", "ckpt2hf", *words)
    assert (caller.out / "model" / "config.json").stat().st_uid == caller.uid
