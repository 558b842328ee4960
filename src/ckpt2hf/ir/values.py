"""The values a spec's fields take that are neither numbers nor yes or no."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass


class Norm(enum.Enum):
    """What is normalised: `layernorm` takes the mean off first, `rmsnorm` does not."""

    LAYERNORM = "layernorm"
    RMSNORM = "rmsnorm"


class NormPlacement(enum.Enum):
    """Where a block normalises; `f` is attention or MLP, and `x` what flows from block to block."""

    PRE = "pre"
    """`x + f(norm(x))`: GPT-2, Llama."""
    POST = "post"
    """`norm(x + f(x))`: the first GPT, and the first Transformer."""
    OUTPUT = "output"
    """`x + norm(f(x))`: OLMo 2 and 3."""
    SANDWICH = "sandwich"
    """`x + norm(f(norm(x)))`, two norms: Gemma 2 and 3."""
    PARALLEL = "parallel"
    """`x + attention(norm(x)) + mlp(norm(x))`, one norm for both: Cohere."""


class Activation(enum.Enum):
    """The function inside the MLP. `gelu` is always the exact erf form."""

    GELU = "gelu"
    GELU_TANH = "gelu_tanh"
    RELU = "relu"
    RELU2 = "relu2"
    """The square of ReLU."""
    SILU = "silu"


class Mlp(enum.Enum):
    """`plain`: down(act(up(x))); `gated`: down(act(gate(x)) * up(x))."""

    PLAIN = "plain"
    GATED = "gated"


class Position(enum.Enum):
    """How a model knows the order of tokens."""

    LEARNED = "learned"
    """A table of trained rows is added to the embedding."""
    SINUSOIDAL = "sinusoidal"
    """A computed table is added: sines in even columns, cosines in odd ones."""
    ROPE = "rope"
    """Queries and keys are turned by angles that grow with the position."""
    ROPE_ON_HEADS = "rope_on_heads"
    """A common mistake: turned by angles that grow with the number of the *head*, as axes were exchanged before."""
    NONE = "none"
    """By the causal mask alone."""


class RopeLayout(enum.Enum):
    """Which two numbers of a head are turned together."""

    HALVES = "halves"
    """Number j of the first half with number j of the second."""
    PAIRS = "pairs"
    """Neighbours: 0 with 1, 2 with 3 (`interleaved`)."""
    NONE = "none"
    """There is no RoPE."""


class QkNorm(enum.Enum):
    """Over what queries and keys are normalised."""

    NONE = "none"
    HEAD = "head"
    """Over each head, with one weight of `head_dim` numbers for all heads of a layer."""
    WIDTH = "width"
    """Over all heads together."""


_BASES = {"head_dim": "head_dim", "d_model": "d_model"}
_FORMULAS = {f"{base}**{power}": (base, float(power)) for base in _BASES for power in ("-0.5", "0.5")}


def _number(text: str) -> float:
    """The value of `0.125` or `24**-0.5`. Raises ValueError."""
    base, _, power = text.partition("**")
    if power not in ("", "0.5", "-0.5"):
        raise ValueError(f"a factor has the power 0.5 or -0.5, not {power}")
    root = math.sqrt(float(base)) if power else float(base)
    return 1 / root if power.startswith("-") and root else root


@dataclass(frozen=True, slots=True)
class Factor:
    """A positive number that something is multiplied with: a formula such as `head_dim**-0.5`, or a number.

    A number may be written as a root, too: `24**-0.5`.
    """

    text: str
    """As a user writes it."""

    def __post_init__(self) -> None:
        """Accept the formulas and positive finite numbers. Raises ValueError."""
        if self.text not in _FORMULAS:
            number = _number(self.text)
            if not (math.isfinite(number) and number > 0):
                raise ValueError(f"a factor is a positive number, not {self.text}")

    def value(self, *, head_dim: int, d_model: int) -> float:
        """The number itself."""
        if self.text not in _FORMULAS:
            return _number(self.text)
        base, power = _FORMULAS[self.text]
        root = math.sqrt({"head_dim": head_dim, "d_model": d_model}[base])
        return root if power > 0 else 1 / root

    def relative(self, *, head_dim: int, d_model: int) -> float:
        """The number over `head_dim**-0.5`; exact where it is a power of two (a width of 4**n heads)."""
        if self.text == "d_model**-0.5":
            return math.sqrt(head_dim / d_model)
        if self.text == "head_dim**-0.5":
            return 1.0
        return self.value(head_dim=head_dim, d_model=d_model) * math.sqrt(head_dim)

    @property
    def number(self) -> float | None:
        """The number; None for a formula, which is one only together with the sizes of a model."""
        return None if self.text in _FORMULAS else _number(self.text)

    @property
    def is_one(self) -> bool:
        """Whether it changes nothing."""
        return self.number == 1

    def __str__(self) -> str:
        """The formula or number as a user writes it."""
        return self.text


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """How the frequencies of RoPE are stretched: `none`, `linear:FACTOR`, or `llama3:FACTOR,LOW,HIGH,ORIGINAL`.

    Source of the formula: meta-llama/llama-models@a9c89c4 models/llama3/model.py (apply_scaling).
    """

    text: str
    """As a user writes it."""

    def __post_init__(self) -> None:
        """Accept the three forms, with positive finite numbers. Raises ValueError."""
        kind, _, rest = self.text.partition(":")
        words = [] if kind == "none" and not rest else rest.split(",")
        if _ARITY.get(kind) != len(words):
            raise ValueError(f"{self.text} is no scaling of RoPE")
        if not all(math.isfinite(float(word)) and float(word) > 0 for word in words):
            raise ValueError("the numbers of a scaling are positive")
        if kind == "llama3" and not self.numbers[1] < self.numbers[2]:
            raise ValueError("the low frequency factor is smaller than the high one")

    @property
    def kind(self) -> str:
        """`none`, `linear` or `llama3`."""
        return self.text.partition(":")[0]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers, in the order of the form."""
        _, _, rest = self.text.partition(":")
        return tuple(float(word) for word in rest.split(",")) if rest else ()

    def __str__(self) -> str:
        """As a user writes it."""
        return self.text


_ARITY = {"none": 0, "linear": 1, "llama3": 4}
_PATTERN = re.compile(r"[fs]+")


@dataclass(frozen=True, slots=True)
class LayerPattern:
    """Which layers see everything before them (`f`, full) and which a window (`s`, sliding), repeated: `sssssf`."""

    text: str

    def __post_init__(self) -> None:
        """Accept words of the two letters. Raises ValueError."""
        if not _PATTERN.fullmatch(self.text):
            raise ValueError(f"a pattern of layers is made of f and s, not {self.text}")

    def slides(self, layer: int) -> bool:
        """Whether a layer sees only a window."""
        return self.text[layer % len(self.text)] == "s"

    def __str__(self) -> str:
        """As a user writes it."""
        return self.text
