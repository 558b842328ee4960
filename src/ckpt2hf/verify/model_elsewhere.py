"""A directory's model in another interpreter, for classes that the transformers beside us does not have.

Two pipes: a request is a line of JSON and, after it, the bytes of its ids; so is an answer, with logits.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from ckpt2hf.errors import VerificationError
from ckpt2hf.verify.elsewhere import OPTION, command_elsewhere

if TYPE_CHECKING:
    from types import TracebackType

    from ckpt2hf.tensors import Array

_PATIENCE = 10
"""Seconds in which a process ends that has stopped answering."""


class ModelElsewhere:
    """A `LanguageModel` that another process computes, as long as this is entered."""

    def __init__(self, directory: Path, python: Path) -> None:
        """Remember where; entering it starts the process."""
        self._directory, self._python = directory, python
        self._work = tempfile.TemporaryDirectory(prefix="ckpt2hf-elsewhere-")
        self.hf_class = ""
        self.context = self.vocab = self.heads = 0
        self.ends: frozenset[int] = frozenset()

    def __enter__(self) -> Self:
        work = Path(self._work.name)
        words, environment = command_elsewhere(self._python, "ckpt2hf.verify.model_child", work)
        # Its last words go to a file: a pipe that nobody reads would fill up and stop it.
        self._said = (work / "stderr").open("w+b")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter the user named
                [*words, str(self._directory.resolve())],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                cwd=work,
            )
        except OSError as error:
            self._tidy()
            raise VerificationError(f"{self._python} cannot be run", details=[str(error)]) from error
        try:
            about = self._answer()[0]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.hf_class, self.context, self.vocab, self.heads = (
            about[name] for name in ("hf_class", "context", "vocab", "heads")
        )
        self.ends = frozenset(about["ends"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # it holds nothing that would have to be put in order
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what a stopped request left in the buffer goes nowhere
                if pipe:
                    pipe.close()
        self._tidy()

    def logits(self, ids: Array) -> Array:
        """Logits `[batch, time, vocab]` of ids `[batch, time]`. Raises VerificationError."""
        return self._asked(ids, {"what": "logits"})

    def following(self, ids: Array, *, anew: bool) -> Array:
        """Logits `[vocab]` of what follows these ids `[time]` and, unless anew, those of the calls before."""
        return self._asked(ids, {"what": "following", "anew": anew})

    def _asked(self, ids: Array, how: dict[str, Any]) -> Array:
        assert self._process.stdin  # noqa: S101 - it was made with a pipe
        try:
            send(self._process.stdin, how, ids)
        except OSError as error:
            raise self._gone() from error
        return self._answer()[1]

    def _answer(self) -> tuple[dict[str, Any], Array]:
        assert self._process.stdout  # noqa: S101 - it was made with a pipe
        try:
            how, array = receive(self._process.stdout)
        except EOFError as error:
            raise self._gone() from error
        if "failed" in how:
            raise VerificationError(how["failed"], details=how["details"], where=str(self._directory))
        return how, array

    def _gone(self) -> VerificationError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self._said.seek(0)
        last = self._said.read().decode("utf-8", "replace").strip().splitlines()[-12:]
        return VerificationError(
            f"{self._python} gave no answer, and ended with status {self._process.returncode}",
            details=last,
            remedies=[f"install torch, transformers, safetensors, numpy and pydantic there, or give {OPTION} another"],
        )

    def _tidy(self) -> None:
        self._said.close()
        self._work.cleanup()


def send(pipe: IO[bytes], how: dict[str, Any], array: Array) -> None:
    """A line of JSON, and an array."""
    head = {**how, "shape": array.shape, "dtype": array.dtype.str}
    pipe.write(json.dumps(head).encode() + b"\n" + np.ascontiguousarray(array).tobytes())
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], Array]:
    """What was sent. Raises EOFError where the other side has gone, or never was one."""
    try:
        how = json.loads(pipe.readline())
        dtype, shape = np.dtype(how["dtype"]), how["shape"]
    except (ValueError, KeyError, TypeError) as error:  # nothing, a part, or what something else has printed
        raise EOFError from error
    size = dtype.itemsize * int(np.prod(shape))
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return how, np.frombuffer(data, dtype).reshape(shape)
