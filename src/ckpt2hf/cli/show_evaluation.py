"""How well a model predicts a text, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.cli.console import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.api import Evaluated


def show_evaluation(found: Evaluated) -> None:
    """The numbers on stdout, with what has to be known to compare them."""
    rows(_lines(found))


def _lines(found: Evaluated) -> Iterator[tuple[str, str, str]]:
    measured = found.measured
    yield "model", f"{found.directory}  ({found.hf_class})", ""
    stretches = f" in {found.stretches:,} stretches" if found.stretches > 1 else ""
    yield "text", f"{found.source}  ({measured.tokens:,} tokens predicted{stretches})", ""
    overlap = "not overlapping" if found.stride == found.context else f"each {found.stride:,} after the last"
    count = len(measured.window_tokens)
    windows = f"{count:,} of up to {found.context:,} tokens, {overlap}" if count > 1 else "one"
    yield "windows", f"{windows}; the first token of each stretch is not predicted", ""
    error = measured.standard_error
    spread = f"  +- {error:.6f} (standard error over windows)" if error is not None else ""
    yield "loss", f"{measured.loss:.6f} nats per token{spread}", "bold"
    yield "", f"{measured.perplexity:,.4f} perplexity", "bold"
    if measured.bits_per_byte is not None:
        yield "", f"{measured.bits_per_byte:.6f} bits per byte, over {measured.nbytes:,} bytes", "bold"
    for k, note in enumerate(found.notes):
        yield "note" if k == 0 else "", note, "dim"
