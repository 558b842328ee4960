"""How well a converted model predicts held-out text: loss, perplexity, bits per byte."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import UsageError
from ckpt2hf.remote import is_remote
from ckpt2hf.run.held_out import TEXT, TOKENS, of_text, of_tokens
from ckpt2hf.run.request import Silence
from ckpt2hf.run.sample_files import require_file
from ckpt2hf.sources import sha256_of
from ckpt2hf.verify.directory_tokenizer import directory_tokenizer
from ckpt2hf.verify.effort import windows_at_once
from ckpt2hf.verify.language_model import class_of, language_model, require_libraries
from ckpt2hf.verify.measure import measure
from ckpt2hf.verify.windows import Windows

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.run.held_out import HeldOut
    from ckpt2hf.run.request import Progress
    from ckpt2hf.verify.directory_tokenizer import DirectoryTokenizer
    from ckpt2hf.verify.language_model import LanguageModel
    from ckpt2hf.verify.measure import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is measured, and how. Either `text` or `tokens`."""

    directory: Path
    text: Path | None = None
    """UTF-8, for a directory with a tokenizer."""
    tokens: Path | None = None
    """Token ids as .bin, .npy or .pt; rows of a matrix are stretches of their own."""
    tokens_dtype: str | None = None
    """`uint16` or `uint32`: what a .bin holds, where its range leaves that open."""
    context: int | None = None
    """Tokens that a window shows; None for as many as the model was trained on."""
    stride: int | None = None
    """How far apart windows begin; None for the context, so that they do not overlap."""
    max_tokens: int | None = None
    """Predict so many tokens at most, from the beginning."""
    python_5x: Path | None = None
    """An interpreter whose transformers has the classes that ours does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What came out, and what has to be known to compare it with anything."""

    directory: Path
    hf_class: str
    source: Path
    """The file of text or token ids."""
    sha256: str
    """Of that file."""
    stretches: int
    context: int
    stride: int
    measured: Measured
    notes: tuple[str, ...]
    """What a person should know about these numbers."""

    def as_json(self) -> dict[str, Any]:
        """The tree of `eval --json`. What is unknown is null, and so is a perplexity beyond all numbers."""
        found = self.measured
        return {
            "directory": str(self.directory),
            "hf_class": self.hf_class,
            "source": str(self.source),
            "sha256": self.sha256,
            "stretches": self.stretches,
            "context": self.context,
            "stride": self.stride,
            "windows": len(found.window_tokens),
            "tokens": found.tokens,
            "bytes": found.nbytes,
            "nats": found.nats,
            "loss": found.loss,
            "standard_error": found.standard_error,
            "perplexity": found.perplexity if math.isfinite(found.perplexity) else None,
            "bits_per_byte": found.bits_per_byte,
            "notes": list(self.notes),
        }


def evaluate(evaluation: Evaluation, progress: Progress | None = None) -> Evaluated:
    """The measurement. `progress` is told of tokens rather than bytes.

    Raises NotFoundError, UsageError, TokenizerError, VerificationError.
    """
    told = progress or Silence()
    require_libraries("eval")
    source = _source(evaluation)
    class_of(evaluation.directory)
    told.phase("read", 0)
    tokenizer = _tokenizer(evaluation)
    with language_model(evaluation.directory, evaluation.python_5x) as model:
        context, stride = _window(evaluation, model)
        held_out = _held_out(evaluation, source, model.vocab, tokenizer)
        windows = Windows(held_out.stretches, context, stride)
        told.phase("predict", windows.predicted)
        measured = measure(
            model.logits,
            windows,
            at_once=windows_at_once(context, model.vocab, model.heads),
            nbytes=held_out.nbytes,
            advance=told.advance,
        )
        return Evaluated(
            directory=evaluation.directory,
            hf_class=model.hf_class,
            source=source,
            sha256=sha256_of(source),
            stretches=len(held_out.stretches),
            context=context,
            stride=stride,
            measured=measured,
            notes=held_out.notes,
        )


def _source(asked: Evaluation) -> Path:
    """The file of text or of ids. Raises UsageError, NotFoundError."""
    if asked.text is not None and asked.tokens is not None:
        raise UsageError("--text and --tokens both say what is predicted", remedies=["one of them"])
    source, option = (asked.text, TEXT) if asked.tokens is None else (asked.tokens, TOKENS)
    if source is None:
        remedies = ["--text FILE   (UTF-8)", "--tokens FILE   (token ids in a .bin, .npy or .pt)"]
        raise UsageError("eval needs a text that the model was not trained on", remedies=remedies)
    for path in (source, asked.directory):
        if is_remote(path):
            raise UsageError("eval takes local files", where=str(path), remedies=["fetch it first"])
    if asked.tokens_dtype is not None and option == TEXT:
        raise UsageError("--tokens-dtype is about .bin files only", where=str(source))
    if asked.max_tokens is not None and asked.max_tokens < 1:
        raise UsageError(f"--max-tokens is 1 at least, not {asked.max_tokens}")
    require_file(source, option)
    return source


def _window(asked: Evaluation, model: LanguageModel) -> tuple[int, int]:
    """Context and stride. Raises UsageError for what the model cannot read, and for a stride that leaves tokens out."""
    context = model.context if asked.context is None else asked.context
    if not 1 <= context <= model.context:
        raise UsageError(
            f"--context {context} is not from 1 to {model.context}, which the model was trained on",
            where=str(asked.directory),
            remedies=[f"--context {model.context}"],
        )
    stride = context if asked.stride is None else asked.stride
    if not 1 <= stride <= context:
        raise UsageError(
            f"--stride {stride} is not from 1 to the context of {context}: tokens would be left out",
            remedies=[f"--stride {max(context // 2, 1)}"],
        )
    return context, stride


def _tokenizer(asked: Evaluation) -> DirectoryTokenizer | None:
    """The one in the directory, if there is one. Raises UsageError where a text needs it."""
    found = directory_tokenizer(asked.directory)
    if found is None and asked.text is not None:
        raise UsageError(
            "there is no tokenizer in the directory",
            where=str(asked.directory),
            remedies=["convert again with --tokenizer FILE", "token ids after --tokens, in place of a text"],
        )
    return found


def _held_out(asked: Evaluation, source: Path, vocab: int, tokenizer: DirectoryTokenizer | None) -> HeldOut:
    """What is predicted. Raises UsageError, TokenizerError, NotFoundError."""
    if asked.text is not None and tokenizer is not None:
        return of_text(source, asked.max_tokens, vocab, tokenizer)
    return of_tokens(source, asked.tokens_dtype, asked.max_tokens, vocab, tokenizer)
