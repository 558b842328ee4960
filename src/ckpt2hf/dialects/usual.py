"""The usual answers to what a file does not say: what is tried when code or a sample of text is to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.ir import choices, written

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Usual:
    """Values of one field that codebases use, as `--set` spells them."""

    answers: tuple[str, ...]
    source: str
    """Where these values come from."""


NUMBERS: Mapping[str, Usual] = {
    "norm_eps": Usual(
        ("1e-05", "1e-06", "1.1920928955078125e-07", "1e-08", "1e-12"),
        "torch.nn.LayerNorm; Llama and Gemma; torch.nn.RMSNorm, whose eps is that of float32; minGPT-like code; BERT",
    ),
    "rope_theta": Usual(
        ("10000.0", "500000.0", "1000000.0", "100000.0"),
        "RoFormer and Llama 2; Llama 3; Qwen 2 and Mixtral; code that was made for longer contexts",
    ),
}
"""Fields that take a number, with the numbers to try. A field of another kind needs no entry: see `usual`."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "activation": ("gelu", "gelu_tanh", "relu", "silu"),
    "attention_scale": ("head_dim**-0.5", "d_model**-0.5"),
    "norm_placement": ("pre", "post"),
    "rope_layout": ("halves", "pairs"),
    # Llama 2 and most others; 3.1; 3.2.
    "rope_scaling": ("none", "llama3:8,1,4,8192", "llama3:32,1,4,8192"),
}
"""Fields that take a word, where not every word is usual."""

DIVISORS: Mapping[str, str] = {"heads": "d_model", "kv_heads": "d_model"}
"""Fields whose answers are the divisors of another field. What does not fit the rest of the facts is no reading."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("heads", "kv_heads", "head_dim", "attention_scale"),
    ("rope_layout", "rope_theta"),
)
"""Fields that change each other's effect: a search that does not try every combination tries all of these."""


def usual(field: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """The answers to try for a field, given what is known of the others; none for a field that could be anything."""
    if field in NUMBERS:
        return NUMBERS[field].answers
    if field in DIVISORS:
        whole = known.get(DIVISORS[field])
        return tuple(str(n) for n in range(1, whole + 1) if whole % n == 0) if isinstance(whole, int) else ()
    if field in CHOICES:
        return CHOICES[field]
    return tuple(written(choice) for choice in choices(field))


def group(field: str) -> tuple[str, ...]:
    """The fields that have to be tried together with this one, itself included."""
    return next((fields for fields in TOGETHER if field in fields), (field,))


OFFERED: Mapping[str, tuple[str, ...]] = {
    **CHOICES,
    **{field: each.answers for field, each in NUMBERS.items()},
}
"""What a person is offered as the answer to a question, where a dialect names no answers."""
