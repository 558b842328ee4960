"""What a report says about another form of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ckpt2hf.report.parts import CheckReport, FileReport  # noqa: TC001 - fields' types, read by pydantic

KINDS = ("text", "ids", "drawn")
"""What tokens can be."""


@dataclass(frozen=True, slots=True)
class TokensReport:
    """What a form was measured on."""

    kind: str
    """`text` or `ids` of the user, or `drawn`: ids from the whole vocabulary, the same ones every time."""
    name: str
    """The file; empty where there is none."""
    sha256: str
    """Of the ids, as little-endian int64."""
    tokens: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class PriceReport:
    """What a form costs, against float32 on the same tokens."""

    tokens: int
    """Positions that were compared."""
    mean_kl: float
    """Kullback-Leibler divergence from float32, in nats per token."""
    p99_kl: float
    """Its 99th percentile."""
    top1: float
    """Share of positions with the same most likely token."""
    ppl_ratio: float | None
    """Perplexity by that of float32; null for drawn ids, which predict nothing."""
    cache_top1: float
    """Share of positions at which the form itself has the same most likely token with and without cache."""
    cache_kl: float
    """Mean divergence between the two, in nats per token."""
    key_errors: tuple[float, ...]
    """Of each layer: the norm of its keys' difference from float32, by their norm."""
    value_errors: tuple[float, ...]
    """The same of its values."""
    logit_error: float
    """The same of the logits, each position's mean apart."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A matrix that has more bits than the form says."""

    name: str
    """In the file."""
    why: str
    """The reason."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """Another form of the model."""

    id: str
    """As after `--to`."""
    title: str
    """What it is."""
    made_from: str
    """The file it was made from."""
    files: tuple[FileReport, ...]
    """What it consists of."""
    settings: dict[str, Any]
    """How it was made."""
    versions: dict[str, str]
    """What made and measured it."""
    tokens: TokensReport
    """What it was measured on."""
    checks: tuple[CheckReport, ...]
    """What was verified."""
    price: PriceReport | None
    """What it costs; null where it computes the same function."""
    bits_per_weight: float
    """All its tensors, by the number of weights of the float32 form."""
    matrix_bits: float
    """The same of the matrices that multiply, scales included."""
    kept: tuple[KeptReport, ...]
    """Matrices that have more bits than it says."""
    notes: tuple[str, ...]
    """What else a person should know."""
