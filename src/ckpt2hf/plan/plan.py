"""A plan: everything that will happen to one checkpoint, before a byte of a weight is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt2hf.rewrites import Exactness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Candidate, Dialect, Fact, Layout, Unwritten
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming import Assignment, Link
    from ckpt2hf.ops import Mosaic
    from ckpt2hf.rewrites import Rewritten
    from ckpt2hf.targets import Target
    from ckpt2hf.targets.settings import Said
    from ckpt2hf.tensors import DType, Readable
    from ckpt2hf.tokenizers import Tokenizer, TokenizerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a user can decide about the result."""

    dtype: DType | None = None
    """Round (or widen) every weight to this type; None keeps each as it is."""
    token_ids: Mapping[str, int | None] | None = None
    """`bos_token_id`, `eos_token_id` and `pad_token_id`, as far as somebody said."""
    tokenizer: TokenizerSource | None = None
    """What the training run encoded text with, where it is known."""
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    """The user's special tokens: role -> token, None for a role that none shall have."""
    allow: tuple[Exactness, ...] = ()
    """Degrees of exactness that are only for those who ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way(ABC):
    """A model read by one naming and written by another, whichever way it goes."""

    checkpoint: Checkpoint
    """What is read."""
    spec: ModelSpec
    """The model that is read."""
    assignment: Assignment
    sources: Mapping[str, Mosaic]
    """The tensors the links take, stand-ins in place."""
    slots: Mapping[str, Mosaic]
    """Its slots."""
    rewrites: tuple[Rewritten, ...]
    links: tuple[Link, ...]
    """The naming that is written, for the rewritten spec."""
    tensors: Mapping[str, Readable]
    """What will be written, by the name it will have."""
    dtype: DType | None
    notes: tuple[str, ...]

    @property
    @abstractmethod
    def read_as(self) -> str:
        """As what the source is read, in words."""

    @property
    def final_spec(self) -> ModelSpec:
        """The model that will be written."""
        return self.rewrites[-1].spec if self.rewrites else self.spec

    @property
    def final_slots(self) -> Mapping[str, Mosaic]:
        """The slots that will be written, before any rounding."""
        return self.rewrites[-1].slots if self.rewrites else self.slots

    @property
    def exactness(self) -> Exactness:
        """How equal the result will be: the loosest of its parts."""
        if self.rounds:
            return Exactness.ROUNDED
        order = list(Exactness)
        return max((made.exactness for made in self.rewrites), key=order.index, default=Exactness.BITWISE)

    @property
    def rounds(self) -> bool:
        """Whether `--dtype` changes any number's type."""
        return self.dtype is not None and any(m.meta.dtype is not self.dtype for m in self.final_slots.values())

    @property
    def activations(self) -> frozenset[str]:
        """Intermediate results that legitimately differ from the trained model's."""
        return frozenset(name for made in self.rewrites for name in made.activations)

    @property
    def nbytes(self) -> int:
        """Bytes of one weight file's tensors."""
        return sum(tensor.meta.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Way):
    """One checkpoint's way into one target."""

    candidate: Candidate
    target: Target
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tokenizer: Tokenizer | None
    """What the directory gets besides; None where it gets none."""

    @property
    def read_as(self) -> str:
        """The dialect."""
        return f"dialect {self.candidate.fit.dialect.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackPlan(Way):
    """One Hugging Face directory's way into a checkpoint of a training code."""

    target: Target
    """What is read."""
    facts: Mapping[str, Said]
    """Every field of the spec, from config.json or from the class."""
    dialect: Dialect
    layout: Layout
    file: Unwritten
    """What will be written."""
    answers: Mapping[str, Fact]
    """What the code has to share with the model, because the file does not show it."""

    @property
    def read_as(self) -> str:
        """The class."""
        return self.target.hf_class
