"""A directory's model in this process, in float32, as `verify` loads it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from ckpt2hf.errors import UsageError, VerificationError
from ckpt2hf.verify.huggingface import load, quiet
from ckpt2hf.verify.wide import widened

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tensors import Array

_FORMATS = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}
"""Weight files, the one that is preferred first."""


class HuggingFaceModel:
    """A `LanguageModel` of transformers. Code that lies in the directory is never run."""

    def __init__(self, directory: Path, hf_class: str) -> None:
        """Load it. Raises UsageError for what is no such model, VerificationError where it does not load as it says."""
        if not hasattr(transformers, hf_class):
            raise UsageError(
                f"transformers {transformers.__version__} has no class {hf_class}",
                details=["code that lies in the directory is not run"],
                where=str(directory / "config.json"),
                remedies=["a directory that ckpt2hf made, or one of a class of transformers"],
            )
        found = load(directory, _file_format(directory))
        if found.model is None or found.problems:
            raise VerificationError(
                f"{directory} does not load as what it says it is",
                details=found.problems,
                where=str(directory),
                remedies=["ckpt2hf verify DIR --against CHECKPOINT   (says more)", "convert it again"],
            )
        config = found.model.config
        self.hf_class = hf_class
        self.context = int(config.max_position_embeddings)
        self.vocab = int(config.vocab_size)
        self.heads = int(config.num_attention_heads)
        self.ends = _ends(found.model.generation_config.eos_token_id)
        self._model: Any = found.model
        # OpenAIGPTLMHeadModel keeps nothing between two calls: it is shown the whole text again.
        self._keeps = "past_key_values" in inspect.signature(found.model.forward).parameters
        self._before: Any = None

    def logits(self, ids: Array) -> Array:
        """Logits `[batch, time, vocab]` of ids `[batch, time]`. Raises VerificationError."""
        found: Array = self._forward(ids).logits.numpy()
        return found

    def following(self, ids: Array, *, anew: bool) -> Array:
        """Logits `[vocab]` of what follows these ids `[time]` and, unless anew, those of the calls before."""
        before = None if anew else self._before
        if self._keeps:
            given = self._forward(ids[None], past_key_values=before, use_cache=True)
            self._before = given.past_key_values
        else:
            self._before = ids if before is None else np.concatenate([before, ids])
            given = self._forward(self._before[None])
        found: Array = given.logits[0, -1].numpy()
        return found

    def rounding_noise(self, ids: Array) -> float:
        """How far the float32 logits of ids `[batch, time]` lie from those of the same weights in float64, at most."""
        narrow = self.logits(ids).copy()
        with widened(self._model):
            wide = self.logits(ids)
        return float(np.abs(wide - narrow).max())

    def _forward(self, ids: Array, **more: object) -> Any:  # noqa: ANN401 - transformers is untyped
        with torch.inference_mode(), quiet():
            try:
                return self._model(torch.from_numpy(np.ascontiguousarray(ids)), **more)
            except (IndexError, RuntimeError, ValueError) as error:
                raise VerificationError(f"{self.hf_class} fails: {type(error).__name__}: {error}") from error


def _ends(said: int | list[int] | None) -> frozenset[int]:
    """The ids of `eos_token_id`, which may be one, several or none."""
    return frozenset() if said is None else frozenset([said] if isinstance(said, int) else said)


def _file_format(directory: Path) -> str:
    for name, file in _FORMATS.items():
        if any((directory / f"{file}{end}").is_file() for end in ("", ".index.json")):
            return name
    raise UsageError(
        f"{directory} holds no weights",
        where=str(directory),
        tried=" and ".join(_FORMATS.values()),
        remedies=["ckpt2hf convert CHECKPOINT -o DIR   (makes one of a checkpoint)"],
    )
