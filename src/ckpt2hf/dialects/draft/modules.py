"""Weights with their biases: what belongs together in a block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints.checkpoint import Module
    from ckpt2hf.dialects.draft.parts import Kind

_PAIRS = (
    ("weight", "bias"),
    ("w", "b"),
    ("W", "b"),
    ("W", "B"),
    ("gamma", "beta"),
    ("scale", "shift"),
    ("g", "b"),
    ("kernel", "bias"),
)
"""What a weight and its bias are called, in names that are otherwise the same."""
_WORD = re.compile(r"[A-Za-z]+")
_INITIAL = re.compile(r"(?<![A-Za-z])[wW](?=[A-Za-z0-9])")
"""The first letter of `wq`, `w1`: its bias is `bq`, `b1`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A weight and its bias, if it has one."""

    weight: Kind
    bias: Kind | None
    made_by: str
    """The class of its module in a pickled model, such as `Linear`; else empty."""

    @property
    def name(self) -> str:
        """What it is called inside its block."""
        return self.weight.suffix

    @property
    def style(self) -> str:
        """Whose convention its matrix follows: that of a module, or that of a parameter the code multiplies itself."""
        return "module" if self.weight.module else "parameter"


def parts(kinds: Sequence[Kind], modules: Mapping[str, Module]) -> tuple[tuple[Part, ...], tuple[Kind, ...]]:
    """Matrices and stacks with their biases, norms with theirs, in the order of the file; and vectors left alone."""
    by_name = {kind.pattern: kind for kind in kinds}
    partner: dict[str, Kind] = {}
    taken: set[str] = set()
    for kind in kinds:
        other = next((by_name[name] for name in _bias_names(kind.pattern) if name in by_name), None)
        if other and other.pattern not in taken and kind.pattern not in taken and _fits(kind, other):
            partner[kind.pattern] = other
            taken.add(other.pattern)
    made = []
    alone = []
    for kind in kinds:
        if kind.pattern in taken:
            continue
        if kind.pattern in partner or len(kind.shape) > 1:
            made.append(Part(kind, partner.get(kind.pattern), _class(kind, modules)))
        elif _class(kind, modules).endswith("Norm"):
            made.append(Part(kind, None, _class(kind, modules)))
        else:
            alone.append(kind)
    return tuple(made), tuple(alone)


def _fits(weight: Kind, bias: Kind) -> bool:
    """Whether the second can be the bias of the first: all its lengths are among those of the weight."""
    short = [n for n in bias.shape if n != 1]
    return len(bias.shape) <= max(len(weight.shape) - 1, 1) and all(n in weight.shape for n in short)


def _bias_names(name: str) -> list[str]:
    found = []
    for word in reversed(list(_WORD.finditer(name))):
        found += [name[: word.start()] + bias + name[word.end() :] for weight, bias in _PAIRS if word[0] == weight]
    for first in reversed(list(_INITIAL.finditer(name))):
        found.append(f"{name[: first.start()]}b{name[first.end() :]}")
    return found


def _class(kind: Kind, modules: Mapping[str, Module]) -> str:
    """The class of the module of torch that holds these tensors."""
    module = modules.get(kind.names[0].rpartition(".")[0])
    known = module is not None and module.class_name.startswith("torch.nn.")
    return module.class_name.rpartition(".")[2] if module and known else ""
