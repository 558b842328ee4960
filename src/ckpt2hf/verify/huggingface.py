"""A directory as transformers loads it: the model, and whatever the loading complained about."""

from __future__ import annotations

import contextlib
import logging
import pickle
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.verify.probes import Probe

_AUTO: Any = transformers.AutoModelForCausalLM
_LOG: Any = transformers_logging

_SHOWN = 6
"""Names listed before the rest is counted."""
_REFUSALS = (
    OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError,
    SafetensorError, pickle.UnpicklingError,
)  # fmt: skip
"""What transformers raises about a directory it cannot load."""


class ForwardError(Exception):
    """A model that loaded, but whose forward pass fails: another negative answer, on its way to a check."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode, or the reasons why it is not what its directory says."""

    model: Any
    """A `transformers.PreTrainedModel` in float32; None where loading stopped."""
    problems: tuple[str, ...]


def load(directory: Path, file_format: str) -> Loaded:
    """The model of one weight file (`safetensors` or `bin`), loaded as a user would, from this disk only."""
    with quiet():
        try:
            model, info = _AUTO.from_pretrained(
                directory,
                use_safetensors=file_format == "safetensors",
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        except _REFUSALS as error:
            first = str(error).strip().splitlines()[:1]
            return Loaded(None, (f"transformers refuses it: {type(error).__name__}: {' '.join(first)}",))
    return Loaded(model.eval(), tuple(_problems(model, info)))


def load_tokenizer(directory: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The tokenizer of a directory, loaded as a user would, from this disk only. Raises what transformers raises."""
    with quiet():
        return transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)


def _problems(model: Any, info: dict[str, Any]) -> Iterator[str]:  # noqa: ANN401 - transformers is untyped
    for kind, meaning in (
        ("missing_keys", "missing, and therefore random"),
        ("unexpected_keys", "in the file, but not in the model"),
        ("mismatched_keys", "of another shape than the model"),
    ):
        names = sorted(str(key if isinstance(key, str) else key[0]) for key in info[kind])
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield f"{meaning}: {', '.join(names[:_SHOWN])}{more}"
    yield from (str(message) for message in info.get("error_msgs") or ())
    named = list(model.config.architectures or ())
    if named != [type(model).__name__]:
        yield f"config.json names {', '.join(named) or 'no architecture'}, transformers loads {type(model).__name__}"


def logits(model: Any, probe: Probe) -> torch.Tensor:  # noqa: ANN401 - transformers is untyped
    """The model's logits `[batch, time, vocab]`; positions are passed only where they do not start at 0.

    Raises ForwardError where the model stops.
    """
    batch, time = probe.tokens.shape
    extra = {}
    if probe.start:
        extra["position_ids"] = torch.arange(probe.start, probe.start + time).expand(batch, time)
    with torch.no_grad(), quiet():
        try:
            found: torch.Tensor = model(probe.tokens, **extra).logits
        except (IndexError, RuntimeError, ValueError) as error:
            raise ForwardError(f"{type(error).__name__}: {error}") from error
    return found


@contextlib.contextmanager
def eager_attention(model: Any) -> Iterator[None]:  # noqa: ANN401 - transformers is untyped
    """Compute attention inside with the class's own code instead of PyTorch's fused kernel.

    The two read different settings: the fused kernel ignores GPT-2's `scale_attn_weights`, so a directory that is
    right in one can be wrong in the other. Source: transformers 4.57.6, models/gpt2/modeling_gpt2.py.
    """
    config = model.config
    kept, config._attn_implementation = config._attn_implementation, "eager"  # noqa: SLF001 - no public form
    try:
        yield
    finally:
        config._attn_implementation = kept  # noqa: SLF001


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' log, progress bars and Python warnings inside, and put everything back after."""
    verbosity, bars = _LOG.get_verbosity(), _LOG.is_progress_bar_enabled()
    _LOG.set_verbosity(logging.CRITICAL)
    _LOG.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _LOG.set_verbosity(verbosity)
        if bars:
            _LOG.enable_progress_bar()
