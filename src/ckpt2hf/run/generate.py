"""A first look at a converted model: it continues a text. Nothing here is a proof."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError, UsageError
from ckpt2hf.remote import is_remote
from ckpt2hf.run.request import Silence
from ckpt2hf.verify.directory_tokenizer import directory_tokenizer, listed
from ckpt2hf.verify.language_model import class_of, language_model, require_libraries
from ckpt2hf.verify.sampling import Sampling, Stop, continuation, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ckpt2hf.run.request import Progress
    from ckpt2hf.verify.directory_tokenizer import DirectoryTokenizer
    from ckpt2hf.verify.language_model import LanguageModel

_PARTIAL = "\N{REPLACEMENT CHARACTER}"
"""What a decoder gives for the first bytes of a character whose other bytes are in tokens to come."""


_LIKELIEST = Sampling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What is to be continued, and how."""

    directory: Path
    prompts: tuple[str, ...]
    as_ids: bool = False
    """Prompts are token ids, as in `5 17 3`, and so is what is said: no tokenizer is needed."""
    most: int = 100
    """Tokens to generate, at most."""
    sampling: Sampling = _LIKELIEST
    python_5x: Path | None = None
    """An interpreter whose transformers has the classes that ours does not have."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue, as the model reads it."""

    text: str
    ids: tuple[int, ...]
    note: str = ""
    """What a person should know about how it was read."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """How one prompt was continued."""

    prompt: str
    text: str
    """What was added; ids where ids were asked for. A token that ends the text is not in it."""
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    """What was added, with the token that ends the text, if there is one."""
    stop: Stop


@dataclass(frozen=True, slots=True)
class Speaker:
    """A loaded model with the prompts it is to continue, all of which it can read."""

    model: LanguageModel
    tokenizer: DirectoryTokenizer | None
    """None for ids."""
    prompts: tuple[Prompt, ...]
    speech: Speech

    def speak(self, prompt: Prompt, say: Callable[[str], None] = lambda _text: None) -> Spoken:
        """One prompt, continued; `say` is told each piece of text as it comes. Raises VerificationError."""
        ids: list[int] = []
        said = ""
        for number in continuation(self.model, prompt.ids, self.speech.sampling, self.speech.most):
            ids.append(number)
            text = self._added(prompt, ids)
            if not text.endswith(_PARTIAL):
                say(text[len(said) :])
                said = text
        text = self._added(prompt, ids)
        say(text[len(said) :])
        return Spoken(prompt.text, text, prompt.ids, tuple(ids), stopped(self.model, ids, self.speech.most))

    def _added(self, prompt: Prompt, ids: list[int]) -> str:
        """The text of what was added, which may begin with the space that parts it from the prompt."""
        shown = ids[:-1] if ids and ids[-1] in self.model.ends else ids
        if self.tokenizer is None:
            return "".join(f" {number}" for number in shown)
        before = self.tokenizer.decode(prompt.ids)
        return self.tokenizer.decode([*prompt.ids, *shown])[len(before) :]


@contextmanager
def speaker(speech: Speech, progress: Progress | None = None) -> Iterator[Speaker]:
    """The model of a directory, ready to speak. All that can be wrong with what is asked is said before it does.

    Raises NotFoundError, UsageError, TokenizerError, VerificationError.
    """
    require_libraries("generate")
    if is_remote(speech.directory):
        raise UsageError("generate takes a local directory", where=str(speech.directory), remedies=["fetch it first"])
    _require_sense(speech)
    class_of(speech.directory)
    (progress or Silence()).phase("read", 0)
    tokenizer = None if speech.as_ids else _tokenizer(speech.directory)
    prompts = tuple(_read(text, tokenizer) for text in speech.prompts)
    with language_model(speech.directory, speech.python_5x) as model:
        for prompt in prompts:
            _require_readable(prompt, model)
        yield Speaker(model, tokenizer, prompts, speech)


def _require_sense(speech: Speech) -> None:
    """Raises UsageError for numbers that mean nothing."""
    how = speech.sampling
    if not speech.prompts:
        raise UsageError("there is no prompt", remedies=['ckpt2hf generate DIR "Once upon a time"'])
    if speech.most < 1:
        raise UsageError(f"--max-new-tokens is 1 at least, not {speech.most}")
    if not (math.isfinite(how.temperature) and how.temperature >= 0):
        raise UsageError(f"--temperature is 0 or more, not {how.temperature}", remedies=["--temperature 0.8"])
    if how.top_k is not None and how.top_k < 1:
        raise UsageError(f"--top-k is 1 at least, not {how.top_k}", remedies=["--top-k 50"])
    if how.top_p is not None and not 0 < how.top_p <= 1:
        raise UsageError(f"--top-p is above 0 and at most 1, not {how.top_p}", remedies=["--top-p 0.95"])
    if how.seed < 0:
        raise UsageError(f"--seed is 0 or more, not {how.seed}")


def _tokenizer(directory: Path) -> DirectoryTokenizer:
    found = directory_tokenizer(directory)
    if found is None:
        raise UsageError(
            "there is no tokenizer in the directory",
            where=str(directory),
            remedies=["convert again with --tokenizer FILE", "--ids '5 17 3'   (token ids in place of a text)"],
        )
    return found


def _read(text: str, tokenizer: DirectoryTokenizer | None) -> Prompt:
    """A prompt as ids. Raises UsageError, TokenizerError."""
    if tokenizer is None:
        return Prompt(text, _numbers(text))
    ids = tokenizer.encode_prompt(text)
    left_out, unknown = tokenizer.unknown(text)
    if left_out:
        raise TokenizerError(
            f"the tokenizer of the directory has no token for {listed(left_out)}",
            tried=text,
            remedies=["text of the characters that the model was trained on"],
        )
    if not ids:
        raise UsageError(
            "the prompt is empty, and the tokenizer has no token that begins a text (bos)",
            tried=repr(text),
            remedies=["a prompt of one character at least"],
        )
    name = tokenizer.token(tokenizer.unknown_id) if unknown else ""
    note = f"the tokenizer does not know {listed(unknown)}: read as {name}" if unknown else ""
    return Prompt(text, tuple(ids), note)


def _numbers(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise UsageError("with --ids, a prompt is token ids", tried=repr(text), remedies=["--ids '5 17 3'"])
    return tuple(map(int, words))


def _require_readable(prompt: Prompt, model: LanguageModel) -> None:
    """Raises UsageError for a prompt that the model cannot read."""
    outside = next((number for number in prompt.ids if number >= model.vocab), None)
    if outside is not None:
        raise UsageError(
            f"the token id {outside} is outside the vocabulary of {model.vocab}",
            tried=repr(prompt.text),
            remedies=[f"ids from 0 to {model.vocab - 1}, made by the tokenizer the model was trained with"],
        )
    if len(prompt.ids) > model.context:
        raise UsageError(
            f"the prompt has {len(prompt.ids)} tokens, and the model reads {model.context} at most",
            tried=repr(prompt.text if len(prompt.text) <= 60 else f"{prompt.text[:60]}…"),  # noqa: PLR2004 - a line
            remedies=["a shorter prompt"],
        )
