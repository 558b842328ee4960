"""A directory as something that continues text: its logits, by transformers beside us or in another interpreter.

Importing this imports no torch.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.targets import TARGETS
from ckpt2hf.verify.elsewhere import OPTION, needs_other

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.tensors import Array

_CONFIG = "config.json"
_CONVERT = "ckpt2hf convert CHECKPOINT -o DIR   (makes one of a checkpoint)"


class LanguageModel(Protocol):
    """What is asked of a model that is measured or that writes text."""

    @property
    def hf_class(self) -> str:
        """The class that computes it."""
        ...

    @property
    def context(self) -> int:
        """The longest text it was trained on, in tokens."""
        ...

    @property
    def vocab(self) -> int:
        """Ids are below this."""
        ...

    @property
    def heads(self) -> int:
        """Attention heads, which cost memory."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """The ids that end a text."""
        ...

    def logits(self, ids: Array) -> Array:
        """Logits `[batch, time, vocab]` of ids `[batch, time]`. Raises VerificationError."""
        ...

    def following(self, ids: Array, *, anew: bool) -> Array:
        """Logits `[vocab]` of what follows these ids `[time]` and, unless anew, those of the calls before."""
        ...


@contextmanager
def language_model(directory: Path, python: Path | None = None) -> Iterator[LanguageModel]:
    """The model of a converted directory; `python` is an interpreter for classes that only transformers 5 has.

    Raises NotFoundError, UsageError for what is no such directory, VerificationError where it does not load.
    """
    hf_class = class_of(directory)
    known = next((target for target in TARGETS if target.hf_class == hf_class), None)
    if known is not None and needs_other(known):
        if python is None or not os.access(python, os.X_OK) or not python.is_file():
            raise UsageError(
                f"{hf_class} needs transformers {known.transformers} or later, and the one beside ckpt2hf is older",
                details=[f"{python} is no interpreter that can be run"] if python else (),
                where=str(directory),
                remedies=[f"{OPTION} .venv-5x/bin/python   (an interpreter with torch and that transformers)"],
            )
        from ckpt2hf.verify.model_elsewhere import ModelElsewhere  # noqa: PLC0415 - only for such classes

        with ModelElsewhere(directory, python) as model:
            yield model
        return
    from ckpt2hf.verify.huggingface_model import HuggingFaceModel  # noqa: PLC0415 - imports torch

    yield HuggingFaceModel(directory, hf_class)


def require_libraries(command: str) -> None:
    """Refuse what needs torch and transformers where they are absent. Raises UsageError."""
    absent = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if absent:
        raise UsageError(f"{command} needs {' and '.join(absent)}", remedies=["pip install 'ckpt2hf[verify]'"])


def class_of(directory: Path) -> str:
    """The class that config.json names. Raises NotFoundError, UsageError."""
    if not directory.exists():
        raise NotFoundError(f"there is no directory {directory}", remedies=[_CONVERT])
    if not directory.is_dir():
        what = f"{directory.name} is a file, not a Hugging Face directory"
        raise UsageError(what, where=str(directory), remedies=[_CONVERT])
    path = directory / _CONFIG
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
        names = config["architectures"]
        hf_class = str(names[0])
    except FileNotFoundError as error:
        what = f"{directory} is no Hugging Face model: it holds no {_CONFIG}"
        raise UsageError(what, where=str(directory), remedies=[_CONVERT]) from error
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(
            f"{_CONFIG} does not say which class the model has",
            details=[f"{type(error).__name__}: {error}"],
            where=str(path),
            tried='"architectures"',
            remedies=[_CONVERT],
        ) from error
    return hf_class
