"""llama.cpp's own programs, as `make llama-cpp` compiles them, and servers of this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAMS = Path(sys.prefix) / "llama.cpp" / "bin"
LOADING = 503
"""What llama-server says while it reads the model."""
_PATIENCE = 120
"""Seconds in which a server has to be up."""


def program(name: str) -> str:
    """The path of one; without it the test fails."""
    path = PROGRAMS / name
    if not path.exists():
        pytest.fail(f"{path} does not exist: run `make llama-cpp`")
    return str(path)


def free_port() -> int:
    """One of this machine's that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(words: Sequence[str], folder: Path, port: int) -> Iterator[Server]:
    """A server that runs meanwhile; `words` have to make it listen on the port."""
    process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        yield Server(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate()


class Server:
    """Answers questions in JSON."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process = process
        self._address = address

    def ask(self, path: str, **asked: Any) -> Any:
        """What it says, once it is up."""
        data, headers = json.dumps(asked).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, data, headers)  # noqa: S310 - of this machine
        until = time.monotonic() + _PATIENCE
        while True:
            assert self._process.poll() is None, self._process.communicate()[1].decode()
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != LOADING:
                    raise
            except urllib.error.URLError:
                pass
            assert time.monotonic() < until, "the server does not come up"
            time.sleep(0.2)
