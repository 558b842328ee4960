"""The command line run on directories, and what is in these."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("ckpt2hf")


def cli(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def contents(directory: Path) -> dict[str, str]:
    """The digest of every file."""
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
