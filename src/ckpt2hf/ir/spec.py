"""`ModelSpec`: the complete mathematical description of a decoder-only transformer. No field has a default."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any


class Activation(enum.Enum):
    """The function inside the MLP. `gelu` is always the exact erf form."""

    GELU = "gelu"
    GELU_TANH = "gelu_tanh"
    RELU = "relu"
    SILU = "silu"


class NormPlacement(enum.Enum):
    """Whether a block normalises its input (`pre`) or the sum of input and output (`post`)."""

    PRE = "pre"
    POST = "post"


@dataclass(frozen=True, slots=True)
class AttentionScale:
    """What the scores `q·k` are multiplied with: `head_dim**-0.5`, `d_model**-0.5`, or a number."""

    text: str
    """As a user writes it."""

    def __post_init__(self) -> None:
        """Accept the two formulas and positive finite numbers. Raises ValueError."""
        if self.text not in _SCALE_BASES:
            number = float(self.text)
            if not (math.isfinite(number) and number > 0):
                raise ValueError(f"an attention scale is a positive number, not {self.text}")

    def value(self, *, head_dim: int, d_model: int) -> float:
        """The factor itself."""
        bases = {"head_dim**-0.5": head_dim, "d_model**-0.5": d_model}
        base = bases.get(self.text)
        return float(self.text) if base is None else 1 / math.sqrt(base)

    def relative(self, *, head_dim: int, d_model: int) -> float:
        """The factor over `head_dim**-0.5`; exact where it is a power of two (a width of 4**n heads)."""
        bases = {"head_dim**-0.5": head_dim, "d_model**-0.5": d_model}
        base = bases.get(self.text)
        if base is None:
            return float(self.text) * math.sqrt(head_dim)
        return math.sqrt(head_dim / base)

    def __str__(self) -> str:
        """The formula or number as a user writes it."""
        return self.text


_SCALE_BASES = frozenset({"head_dim**-0.5", "d_model**-0.5"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A causal decoder with LayerNorm, learned positions and a plain (ungated) MLP.

    The field names are the words of `--set`, of dialect files and of the report.
    """

    layers: int
    """Number of blocks."""
    d_model: int
    """Width of the residual stream; the length of an embedding."""
    heads: int
    """Attention heads in each block."""
    head_dim: int
    """Width of one head."""
    d_ff: int
    """Width inside the MLP."""
    vocab: int
    """Rows of the embedding: token ids run from 0 to one less."""
    context: int
    """Rows of the position table: the longest sequence."""
    norm_placement: NormPlacement
    """Whether a block normalises its input (`pre`) or the sum of input and output (`post`)."""
    norm_eps: float
    """What every LayerNorm adds to the variance."""
    norm_bias: bool
    """Whether the LayerNorms have a bias."""
    final_norm: bool
    """Whether a LayerNorm stands between the last block and the head."""
    activation: Activation
    """The function inside the MLP; `gelu` is the exact erf form, `gelu_tanh` the tanh formula."""
    attention_scale: AttentionScale
    """What the scores `q·k` are multiplied with before the softmax."""
    qkv_bias: bool
    """Whether the projections to q, k and v have a bias."""
    out_bias: bool
    """Whether the projection after attention has a bias."""
    mlp_bias: bool
    """Whether both matrices of the MLP have a bias."""
    head_bias: bool
    """Whether the output layer has a bias."""
    tied: bool
    """Whether the output layer is the embedding itself."""

    def problems(self) -> list[str]:
        """What is impossible about these numbers taken together; empty for a sound spec."""
        found = [
            f"{name} is {value}, it must be at least 1"
            for name in ("layers", "d_model", "heads", "head_dim", "d_ff", "vocab", "context")
            if (value := getattr(self, name)) < 1
        ]
        if not 0 < self.norm_eps < 1:
            found.append(f"norm_eps is {self.norm_eps}, it must lie between 0 and 1")
        return found

    def dims(self) -> dict[str, int]:
        """The lengths that rules name: every integer field, and `inner`, the width of all heads together."""
        numbers = {name: value for name in FIELDS if type(value := getattr(self, name)) is int}
        return {**numbers, "inner": self.heads * self.head_dim}

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, in order of declaration."""
        return {name: plain(getattr(self, name)) for name in FIELDS}


FIELDS: tuple[str, ...] = tuple(ModelSpec.__dataclass_fields__)
"""The names of all fields of a spec, in order of declaration."""


def plain(value: object) -> Any:  # noqa: ANN401 - a JSON scalar
    """A field's value as JSON writes it."""
    if isinstance(value, enum.Enum):
        return value.value
    return value.text if isinstance(value, AttentionScale) else value


def parse_field(name: str, value: object) -> Any:  # noqa: ANN401 - the field decides the type
    """The value of field `name` from JSON, TOML, a command line or a pickle. Raises ValueError: what is accepted."""
    kind = _KINDS[name]
    text = value.strip() if isinstance(value, str) else value
    try:
        return kind(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} takes {_ACCEPTS[kind]}, not {value!r}") from error


def choices(name: str) -> tuple[Any, ...]:
    """Every value of a field that has a fixed set of them; empty for one that takes numbers or formulas."""
    kind = _KINDS[name]
    if kind is _truth:
        return (True, False)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, enum.Enum) else ()


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise TypeError
    number = int(value) if not isinstance(value, float) else int(value) if value.is_integer() else None
    if number is None:
        raise ValueError
    return number


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _truth(value: object) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return value if isinstance(value, bool) else known[str(value).lower()] if str(value).lower() in known else _no()


def _no() -> bool:
    raise ValueError


def _scale(value: object) -> AttentionScale:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return AttentionScale(str(value).replace(" ", ""))


_ACCEPTS = {
    _whole: "a whole number",
    _real: "a number",
    _truth: "true or false",
    _scale: "head_dim**-0.5, d_model**-0.5 or a positive number",
    Activation: "one of " + ", ".join(a.value for a in Activation),
    NormPlacement: "pre or post",
}
_KINDS: dict[str, Any] = {
    "layers": _whole,
    "d_model": _whole,
    "heads": _whole,
    "head_dim": _whole,
    "d_ff": _whole,
    "vocab": _whole,
    "context": _whole,
    "norm_placement": NormPlacement,
    "norm_eps": _real,
    "norm_bias": _truth,
    "final_norm": _truth,
    "activation": Activation,
    "attention_scale": _scale,
    "qkv_bias": _truth,
    "out_bias": _truth,
    "mlp_bias": _truth,
    "head_bias": _truth,
    "tied": _truth,
}
