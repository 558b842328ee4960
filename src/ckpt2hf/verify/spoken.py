"""The very call people make, `model(**tokenizer(text))`: a tokenizer can give a model more than the ids it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ckpt2hf.verify.huggingface import load_tokenizer, quiet
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.tolerances import Distance, float32_tolerance
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec

NAME = "model(**tokenizer(text))"
_REFUSALS = (IndexError, KeyError, RuntimeError, TypeError, ValueError, OSError)
"""What transformers raises about a call it cannot answer."""


def check_spoken(
    model: Any,  # noqa: ANN401 - transformers is untyped
    directory: Path,
    source: tuple[ModelSpec, Mapping[str, torch.Tensor]],
    text: str,
    noise: float,
) -> Check:
    """Whether a text, through tokenizer and model, has the logits the trained model gives to the text's ids.

    `noise` is the source's float32 rounding noise.
    """
    spec, weights = source
    try:
        with quiet(), torch.no_grad():
            said = load_tokenizer(directory)(text, return_tensors="pt", truncation=True, max_length=spec.context)
            found = model(**said).logits
    except _REFUSALS as error:
        return Check(NAME, passed=False, summary=f"it does not run: {type(error).__name__}: {error}")
    ids = said["input_ids"]
    wanted = reference(spec, weights, ids)
    distance = Distance.between(found, wanted)
    tolerance = float32_tolerance(distance.scale, noise)
    numbers = {"max_abs": distance.max_abs, "tolerance": tolerance, "tokens": ids.numel()}
    what = f"{ids.numel()} tokens of text"
    if distance.within(tolerance):
        return Check(NAME, True, f"agrees to {distance.max_abs:.1e} (tolerance {tolerance:.1e}) on {what}", numbers)
    given = ", ".join(said.keys())
    said_so = f"logits differ by {distance.max_abs:.2g} (tolerance {tolerance:.1e}) on {what}; given were {given}"
    return Check(NAME, False, said_so, numbers)
