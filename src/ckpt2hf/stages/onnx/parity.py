"""The float32 ONNX file against PyTorch: the same logits, however the ids are shown, and the same greedy text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.onnx.model import OnnxModel
from ckpt2hf.verify import Check
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.language_model import class_of
from ckpt2hf.verify.tolerances import LOGITS_TOLERANCE, NOISE_ALLOWANCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.tensors import Array

BATCHES = ((1, 1), (1, 2), (2, 17), (3, 48))
"""Batch size and tokens of the sequences, context permitting; the last one is as long as the tokens that are given."""
NEW_TOKENS, PROMPT = 16, 8
"""Of the greedy text."""
_PADDED = 3
"""Tokens of padding before the first sequence of a batch."""


class _Comparison:
    """Two computations of one model, and how far they may lie apart."""

    def __init__(self, directory: Path, file: Path) -> None:
        self.torch = HuggingFaceModel(directory, class_of(directory))
        self.onnx = OnnxModel(file)

    def limit(self, apart: float, wanted: Array, ids: Array) -> float:
        """How far logits may lie from these.

        Where they lie further apart than most models', the model's own rounding noise on these ids counts: how far its
        float32 logits lie from its own in float64, which no mistake of an export can raise.
        """
        usual = LOGITS_TOLERANCE * spread(wanted)
        return usual if apart <= usual else max(usual, NOISE_ALLOWANCE * self.torch.rounding_noise(ids))


def compare(directory: Path, file: Path, tokens: Array, window: int) -> tuple[Check, ...]:
    """Every check. `tokens` `[stretches, tokens]` are shown to both, `window` at a time at most."""
    both = _Comparison(directory, file)
    batches = list(_batches(tokens, window))
    wanted = [both.torch.logits(ids).copy() for ids in batches]
    checks = [_logits(both, batches, wanted)]
    if not both.onnx.has_cache:
        return (*checks, Check("cache", passed=False, summary="the file takes no past key values"))
    checks += [_cache(both, batches, wanted), _padding(both, batches), _greedy(both, batches[-1][:1], window)]
    return tuple(checks)


def spread(logits: Array) -> float:
    """Standard deviation within the last axis: blind to a constant added to a position."""
    wide = logits.astype(np.float64)
    return float(np.sqrt(np.square(wide - wide.mean(-1, keepdims=True)).mean()))


def _batches(tokens: Array, window: int) -> Iterator[Array]:
    flat = tokens.reshape(-1)
    for batch, length in BATCHES:
        size = min(length, window)
        yield np.resize(flat, (batch, size)).astype(np.int64)
    if tokens.shape[1] > BATCHES[-1][1]:
        yield tokens[:1, :window].astype(np.int64)


def _check(name: str, both: _Comparison, pairs: Iterator[tuple[Array, Array, Array]], said: str) -> Check:
    """Whether logits that were found are those that were wanted, for these ids: `(found, wanted, ids)`."""
    worst, room, positions, count, limit = 0.0, np.inf, 0, 0, 0.0
    for found, wanted, ids in pairs:
        apart = float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf
        allowed = both.limit(apart, wanted, ids)
        worst = apart if not apart <= worst else worst
        # NaN leaves no room.
        room = min(room, allowed - apart) if np.isfinite(apart) else -np.inf
        positions, count, limit = positions + ids.size, count + 1, max(limit, allowed)
    numbers = {"max_abs": worst, "limit": limit, "positions": positions, "batches": count}
    summary = f"{said}: logits of {positions} positions differ by up to {worst:.2g}, {limit:.2g} is allowed"
    return Check(name, passed=bool(count) and room >= 0, summary=summary, numbers=numbers)


def _logits(both: _Comparison, batches: list[Array], wanted: list[Array]) -> Check:
    pairs = ((both.onnx.logits(ids), found, ids) for ids, found in zip(batches, wanted, strict=True))
    return _check("onnx logits", both, pairs, "without past key values")


def _cache(both: _Comparison, batches: list[Array], logits: list[Array]) -> Check:
    """The second half of each batch with the past of the first, and its last token alone."""

    def pairs() -> Iterator[tuple[Array, Array, Array]]:
        for ids, wanted in zip(batches, logits, strict=True):
            if ids.shape[1] < 2:  # noqa: PLR2004 - a past and a token
                continue
            half, last = ids.shape[1] // 2, ids.shape[1] - 1
            _, past = both.onnx.step(ids[:, :half])
            middle, past = both.onnx.step(ids[:, half:last], past) if half < last else (None, past)
            if middle is not None:
                yield middle, wanted[:, half:last], ids[:, half:last]
            yield both.onnx.step(ids[:, last:], past)[0], wanted[:, last:], ids[:, last:]

    if all(ids.shape[1] < 2 for ids in batches):  # noqa: PLR2004
        return Check("onnx cache", passed=True, summary="the context holds a single token: nothing is kept")
    return _check("onnx cache", both, pairs(), "with past key values")


def _padding(both: _Comparison, batches: list[Array]) -> Check:
    """Sequences that begin after padding have to give what they give alone."""

    def pairs() -> Iterator[tuple[Array, Array, Array]]:
        for ids in batches:
            if len(ids) < 2 or ids.shape[1] <= _PADDED:  # noqa: PLR2004 - a batch
                continue
            mask = np.ones_like(ids)
            mask[0, :_PADDED] = 0
            half = max(ids.shape[1] // 2, _PADDED + 1)
            for cut in dict.fromkeys((ids.shape[1], half)):
                found, past = both.onnx.step(ids[:, :cut], mask=mask[:, :cut])
                if cut < ids.shape[1]:
                    found = np.concatenate([found, both.onnx.step(ids[:, cut:], past, mask)[0]], 1)
                alone = ids[:1, _PADDED:]
                yield found[:1, _PADDED:], both.torch.logits(alone), alone
                yield found[1:], both.torch.logits(ids[1:]), ids[1:]

    if all(ids.shape[1] <= _PADDED for ids in batches):
        return Check("onnx padding", passed=True, summary="the context leaves no room for padding")
    return _check("onnx padding", both, pairs(), "in batches with padding")


def _greedy(both: _Comparison, ids: Array, window: int) -> Check:
    """Each token of a greedy text is the one that PyTorch would have taken, but for ties within the tolerance."""
    count = min(NEW_TOKENS, window - 1)
    if count < 1:
        return Check("onnx greedy text", passed=True, summary="the context holds a single token")
    prompt = ids[:, : max(1, min(PROMPT, window - count))]
    texts = {cached: greedy(both.onnx, prompt, count, cached=cached) for cached in (True, False)}
    worst, limit, same = 0.0, 0.0, bool(np.array_equal(texts[True], texts[False]))
    for text in texts.values():
        wanted = both.torch.logits(text[:, :-1])[:, prompt.shape[1] - 1 :]
        chosen = np.take_along_axis(wanted, text[:, prompt.shape[1] :, None], -1)[..., 0]
        gap = float((wanted.max(-1) - chosen).max())
        worst = gap if not gap <= worst else worst
        limit = max(limit, 2 * both.limit(gap / 2, wanted, text[:, :-1]))
    numbers = {"new_tokens": count, "gap": worst, "limit": limit, "cache_agrees": same}
    passed = worst <= limit
    said = "are PyTorch's, with and without cache" if passed else f"are not PyTorch's, by {worst:.2g} in the logits"
    return Check("onnx greedy text", passed=passed, summary=f"{count} greedy tokens {said}", numbers=numbers)


def greedy(model: OnnxModel, prompt: Array, count: int, *, cached: bool) -> Array:
    """`prompt` `[1, time]` and the `count` most likely tokens after it."""
    text, past, new = prompt, None, prompt
    for _ in range(count):
        logits, past = model.step(new, past) if cached else model.step(text)
        new = logits[:, -1:].argmax(-1).astype(np.int64)
        text = np.concatenate([text, new], 1)
    return text
