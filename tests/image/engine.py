"""The container engine from a test's side: one command to it, and containers under every restriction at once."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DOCKER = os.environ.get("DOCKER", "docker")
IMAGE = os.environ.get("CKPT2HF_IMAGE", "ckpt2hf:cpu")
HARDENED = (
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp",
)
"""What an image has to bear; the user is added by `Caller`."""
SECONDS = 600
"""Far above what any of these takes."""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def docker(*words: object, check: bool = True) -> Done:
    """One command to the engine. Raises AssertionError with what it said if it fails and `check` is set."""
    done = subprocess.run(
        [DOCKER, *map(str, words)], capture_output=True, text=True, check=False, timeout=SECONDS, errors="replace"
    )
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Caller:
    """Somebody with a folder to read and one to write, and no name or home inside the container."""

    uid: int
    gid: int
    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def flags(self) -> list[str]:
        """Every restriction at once, with the input read-only."""
        mounts = [f"--volume={self.source}:/in:ro", f"--volume={self.out}:/out"]
        return [*HARDENED, f"--user={self.uid}:{self.gid}", *mounts]

    def run(self, *words: object, more: Sequence[str] = ()) -> Done:
        """The image with these words, removed afterwards."""
        return docker("run", "--rm", *self.flags, *more, IMAGE, *words, check=False)
