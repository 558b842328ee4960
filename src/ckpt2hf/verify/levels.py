"""The levels of verification, each including the ones before it."""

from __future__ import annotations

import enum
import threading
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ckpt2hf.errors import VerificationError
from ckpt2hf.verify.bytes import check_bytes
from ckpt2hf.verify.structure import check_structure
from ckpt2hf.verify.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.plan import Plan


class Level(enum.Enum):
    """How much is proved."""

    STRUCTURE = "structure"
    """Names, shapes, types and configuration are as planned."""
    BYTES = "bytes"
    """The output turned back is the source, bit for bit."""
    LOGITS = "logits"
    """The Hugging Face model computes the logits of our own forward of the trained model. Needs torch, transformers."""


def verify(
    directory: Path,
    plan: Plan,
    formats: Sequence[WeightFormat],
    level: Level,
    *,
    threads: int,
    python: Path | None = None,
    progress: Callable[[str, int], None] = lambda _phase, _total: None,
    advance: Callable[[int], None] = lambda _nbytes: None,
) -> Verdict:
    """The verdict on a written directory. A lower level that fails ends it: the next one would only repeat it.

    `python` is the interpreter for classes that the transformers beside us does not have.
    """
    progress("verify structure", 0)
    checks: tuple[Check, ...] = check_structure(directory, plan, formats)
    verdict = Verdict(level.value, checks)
    if verdict.proved and level is not Level.STRUCTURE:
        progress("verify bytes", plan.nbytes * len(formats))
        verdict = Verdict(
            level.value, (*checks, *check_bytes(directory, plan, formats, threads=threads, progress=advance))
        )
    if verdict.proved and level is Level.LOGITS:
        progress("verify logits", 0)
        from ckpt2hf.verify.function import check_function  # noqa: PLC0415 - the only level that needs torch

        def say(line: str) -> None:
            progress(f"verify logits: {line}", 0)

        checks = check_function(directory, plan, formats, progress=say, python=python)
        verdict = Verdict(level.value, (*verdict.checks, *checks))
    return verdict


def require(level: Level) -> None:
    """Refuse a level whose libraries are absent, before any work is done in vain. Raises VerificationError."""
    absent = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if level is Level.LOGITS and absent:
        raise VerificationError(
            f"--verify logits needs {' and '.join(absent)}",
            remedies=["pip install 'ckpt2hf[verify]'", "--verify bytes   (proves the weights, not the function)"],
        )


def warm_up() -> threading.Thread:
    """Starts importing torch and transformers in the background: it takes seconds, and writing leaves a core idle."""
    thread = threading.Thread(target=lambda: import_module("ckpt2hf.verify.function"), name="import torch", daemon=True)
    thread.start()
    return thread
