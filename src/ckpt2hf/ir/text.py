"""The values of a spec's fields as people, JSON and TOML write them."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import Any

from ckpt2hf.ir.values import (
    Activation,
    Factor,
    LayerPattern,
    Mlp,
    Norm,
    NormPlacement,
    Position,
    QkNorm,
    RopeLayout,
    RopeScaling,
)

_BITS = 128
"""Of the largest number that is written with all its digits."""
_EXACT = 1e15
"""Whole floats below it are written without an exponent."""


def plain(value: object) -> Any:  # noqa: ANN401 - a JSON scalar
    """A field's value as JSON writes it."""
    if isinstance(value, enum.Enum):
        return value.value
    return value.text if isinstance(value, Factor | RopeScaling | LayerPattern) else value


def written(value: object) -> str:
    """A field's value as a person writes it: `true`, `1e-05`, `1000000`, `head_dim**-0.5`."""
    simple = plain(value)
    if isinstance(simple, bool):
        return str(simple).lower()
    if isinstance(simple, int) and simple.bit_length() > _BITS:
        return f"a number of {simple.bit_length()} bits"  # Python refuses to write very long ones
    whole = isinstance(simple, float) and simple.is_integer() and abs(simple) < _EXACT
    return str(int(simple)) if whole else str(simple)


def parse_field(name: str, value: object) -> Any:  # noqa: ANN401 - the field decides the type
    """The value of field `name` from JSON, TOML, a command line or a pickle. Raises ValueError: what is accepted."""
    read = read_field(name, value)
    if not within_bounds(name, read):
        raise ValueError(f"{name} takes {accepts(name)}, not {_shown(value)}")
    return read


def read_field(name: str, value: object) -> Any:  # noqa: ANN401 - the field decides the type
    """The same, of what a file shows: a number that no model has is read, too, so that it contradicts what is sound."""
    kind = KINDS[name]
    text = value.strip() if isinstance(value, str) else value
    try:
        return kind(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} takes {accepts(name)}, not {_shown(value)}") from error


def within_bounds(name: str, value: object) -> bool:
    """Whether some model could have this value of a field, whatever its other fields are."""
    if isinstance(value, Factor):
        return value.number is None or 1 / LARGEST <= value.number <= LARGEST
    return name not in _BOUNDS or value in _BOUNDS[name]


def accepts(name: str) -> str:
    """What a field takes, in words."""
    kind = KINDS[name]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(member.value for member in kind)
    return _ACCEPTS[kind] + (f" {_BOUNDS[name]}" if name in _BOUNDS else "")


def _shown(value: object) -> str:
    """A value as it was written, cut where nobody reads on."""
    text = written(value) if isinstance(value, int | float) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def choices(name: str) -> tuple[Any, ...]:
    """Every value of a field that has a fixed set of them; empty for one that takes numbers or formulas."""
    kind = KINDS[name]
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
    if isinstance(value, bool):
        return value
    if str(value).lower() not in known:
        raise ValueError
    return known[str(value).lower()]


def _factor(value: object) -> Factor:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    text = str(value).replace(" ", "")
    try:
        number = float(text)
    except ValueError:
        return Factor(text)
    return Factor(f"{number:g}" if float(f"{number:g}") == number else repr(number))


def _scaling(value: object) -> RopeScaling:
    if not isinstance(value, str):
        raise TypeError
    kind, _, rest = value.replace(" ", "").partition(":")
    words = [str(_factor(word)) for word in rest.split(",")] if rest else []
    return RopeScaling(f"{kind}:{','.join(words)}" if words else kind)


def _pattern(value: object) -> LayerPattern:
    if not isinstance(value, str):
        raise TypeError
    text = value.lower()
    periods = (k for k in range(1, len(text) + 1) if text == text[:k] * (len(text) // k))
    return LayerPattern(text[: next(periods, 0)])


_LONGEST = 80
"""Characters of a refused value that are shown."""
LARGEST = 1e12
"""Of a factor, a base of RoPE, a cap: far beyond any model's, and far from what overflows."""
_MOST = 1 << 16
"""Of layers, heads, experts: each layer and expert has names of its own, so that more could not even be listed."""
_LONG = 10**9
"""Of a length."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: float
    high: float
    between: bool = False
    """Whether the bounds themselves are excluded."""

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return self.low < value < self.high if self.between else self.low <= value <= self.high

    def __str__(self) -> str:
        low, high = (re.sub(r"e\+0*", "e", f"{bound:.6g}") for bound in (self.low, self.high))
        return f"between {low} and {high}" if self.between else f"from {low} to {high}"


_BOUNDS = {
    **dict.fromkeys(("layers", "heads", "kv_heads"), _Bounds(1, _MOST)),
    **dict.fromkeys(("experts", "experts_per_token"), _Bounds(0, _MOST)),
    **dict.fromkeys(("d_model", "head_dim", "d_ff", "vocab", "context", "embed_rows", "head_rows"), _Bounds(1, _LONG)),
    **dict.fromkeys(("rope_dims", "sliding_window"), _Bounds(0, _LONG)),
    **dict.fromkeys(("rope_theta", "rope_local_theta", "logit_softcap"), _Bounds(0, LARGEST)),
    "norm_eps": _Bounds(0, 1, between=True),
}
"""Of every number, wherever it comes from: command line, dialect, file. What makes sense together is in `ir.sense`."""
_ACCEPTS: dict[Any, str] = {
    _whole: "a whole number",
    _real: "a number",
    _truth: "true or false",
    _factor: "head_dim**-0.5, d_model**-0.5, d_model**0.5, or a positive number such as 0.125 or 24**-0.5",
    _scaling: "none, linear:FACTOR or llama3:FACTOR,LOW,HIGH,ORIGINAL",
    _pattern: "letters f (full) and s (sliding), such as sssssf",
}
KINDS: dict[str, Any] = {
    "layers": _whole,
    "d_model": _whole,
    "heads": _whole,
    "kv_heads": _whole,
    "head_dim": _whole,
    "d_ff": _whole,
    "vocab": _whole,
    "context": _whole,
    "embed_rows": _whole,
    "head_rows": _whole,
    "norm": Norm,
    "norm_placement": NormPlacement,
    "norm_eps": _real,
    "norm_weight": _truth,
    "norm_offset": _truth,
    "norm_bias": _truth,
    "embed_norm": _truth,
    "final_norm": _truth,
    "mlp": Mlp,
    "activation": Activation,
    "experts": _whole,
    "experts_per_token": _whole,
    "position": Position,
    "position_scale": _factor,
    "rope_layout": RopeLayout,
    "rope_reversed": _truth,
    "rope_theta": _real,
    "rope_dims": _whole,
    "rope_scaling": _scaling,
    "rope_local_theta": _real,
    "rope_everywhere": _truth,
    "layer_pattern": _pattern,
    "sliding_window": _whole,
    "attention_scale": _factor,
    "qk_norm": QkNorm,
    "qk_norm_weight": _truth,
    "qk_norm_after_rope": _truth,
    "qkv_bias": _truth,
    "out_bias": _truth,
    "mlp_bias": _truth,
    "head_bias": _truth,
    "tied": _truth,
    "embed_scale": _factor,
    "logit_scale": _factor,
    "logit_softcap": _real,
}
"""How the value of each field is read."""
