"""The values of a spec's fields as people, JSON and TOML write them."""

from __future__ import annotations

import enum
import math
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
    whole = isinstance(simple, float) and simple.is_integer() and abs(simple) < _EXACT
    return str(int(simple)) if whole else str(simple)


def parse_field(name: str, value: object) -> Any:  # noqa: ANN401 - the field decides the type
    """The value of field `name` from JSON, TOML, a command line or a pickle. Raises ValueError: what is accepted."""
    kind = KINDS[name]
    text = value.strip() if isinstance(value, str) else value
    try:
        return kind(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} takes {accepts(name)}, not {value!r}") from error


def accepts(name: str) -> str:
    """What a field takes, in words."""
    kind = KINDS[name]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "one of " + ", ".join(member.value for member in kind)
    return _ACCEPTS[kind]


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
