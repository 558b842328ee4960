"""The user's own model class as oracle: run in a process of its own, only on explicit request."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import NotFoundError, UsageError, VerificationError
from ckpt2hf.tensors import Array, DType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.tensors import Readable

CHILD = Path(__file__).with_name("oracle_child.py")
SECONDS = 120.0
"""How long the user's code may take; importing a training script by mistake trains."""
_LINES = 12
"""Lines of the user's traceback that are shown."""
_PLAIN = {DType.BF16, DType.F8_E4M3, DType.F8_E5M2}
"""Types that `.npy` files cannot name; float32 holds their values exactly."""


def run_reference(
    target: str,
    args: Sequence[str] | Mapping[str, object],
    tensors: Mapping[str, Readable],
    tokens: Array,
    timeout: float = SECONDS,
) -> Array:
    """The logits `[batch, time, vocab]` that the class `target` (`model.py:GPTModel`) computes.

    `args` are what the class is built with: `name=value` words, or one JSON object. `tensors` are the checkpoint's, by
    the names the class gives them; every parameter has to be among them. The class runs in float64 where its code
    allows, so that readings closer than float32 noise are told apart, else in float32. `tokens` is `[batch, time]`;
    `timeout` is in seconds. Raises UsageError, NotFoundError, and VerificationError for anything that goes wrong in
    the user's code.
    """
    file, name = _target(target)
    settings = dict(args) if isinstance(args, Mapping) else parse_args(args)
    with tempfile.TemporaryDirectory(prefix="ckpt2hf-oracle-") as folder:
        work = Path(folder)
        job = {"file": str(file), "name": name, "args": settings, "tensors": _hand_over(work, tensors)}
        np.save(work / "tokens.npy", np.ascontiguousarray(tokens, dtype=np.int64))
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _run(work, file, target, timeout)
        logits: Array = np.load(work / "logits.npy")
    return logits


def parse_args(words: Sequence[str]) -> dict[str, object]:
    """`n_head=12 config.bias=false` as a tree of values: Python literals, JSON, else text. Raises UsageError."""
    tree: dict[str, object] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            tree |= _json_object(word)
            continue
        name, equals, text = word.partition("=")
        *path, last = name.strip().split(".")
        if not equals or not all(part.isidentifier() for part in (*path, last)):
            raise UsageError(f"--reference-args takes name=value, not {word}", remedies=["--reference-args n_head=12"])
        node = tree
        for part in path:
            node = node.setdefault(part, {})  # type: ignore[assignment]
            if not isinstance(node, dict):
                raise UsageError(f"--reference-args gives {part} a value and parts at once", details=[word])
        node[last] = _value(text.strip())
    return tree


def _json_object(word: str) -> dict[str, object]:
    try:
        value = json.loads(word)
    except ValueError as error:
        raise UsageError("--reference-args is no JSON object", details=[f"{word}: {error}"]) from error
    return dict(value)


def _value(text: str) -> object:
    for read in (ast.literal_eval, json.loads):
        try:
            value: object = read(text)
        except (ValueError, SyntaxError):
            continue
        return value
    return text


def _target(target: str) -> tuple[Path, str]:
    text, colon, name = target.rpartition(":")
    if not colon or not text.endswith(".py") or not name.isidentifier():
        raise UsageError(
            f"--reference takes a Python file and a class in it, not {target}",
            remedies=["--reference model.py:GPTModel"],
        )
    path = Path(text).resolve()
    if not path.is_file():
        raise NotFoundError(f"cannot open {text}", remedies=["--reference path/to/model.py:ClassName"])
    return path, name


def _hand_over(work: Path, tensors: Mapping[str, Readable]) -> dict[str, str]:
    """Write every tensor where the child finds it; its file by its name. Nothing of the checkpoint is unpickled."""
    files = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        meta = tensor.meta
        array = np.asarray(tensor.read(tuple(slice(0, n) for n in meta.shape)))
        files[name] = f"{number}.npy"
        np.save(work / files[name], array.astype(np.float32) if meta.dtype in _PLAIN else array)
    return files


def _run(work: Path, file: Path, target: str, timeout: float) -> None:
    """Run the child to its end or kill it; raise VerificationError unless it left logits."""
    words = [sys.executable, "-P", str(CHILD), str(work)]
    with (work / "output.txt").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the user asked for this file to be run
            words, cwd=file.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise VerificationError(
                f"{target} gave no logits within {timeout:g} seconds",
                details=["a file that trains or downloads when it is imported never gets to its class", *_tail(work)],
                where=str(file),
                remedies=["move the class into a file of its own, without the training loop", "a longer time limit"],
            ) from error
        finally:
            _end(process)
    problem = work / "error.json"
    if problem.exists():
        told = json.loads(problem.read_text(encoding="utf-8"))
        raise VerificationError(
            f"{target}: {told['what']}", details=told["details"][-_LINES:], where=str(file), remedies=told["remedies"]
        )
    if status or not (work / "logits.npy").exists():
        raise VerificationError(
            f"{target} ended with status {status} and gave no logits", details=_tail(work), where=str(file)
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the child and everything it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _tail(work: Path) -> list[str]:
    """The last lines the user's code printed."""
    return (work / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
