"""A target: one Hugging Face architecture as data. What it accepts, its config, its naming, its modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir.spec import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir.spec import ModelSpec
    from ckpt2hf.naming import Naming


@dataclass(frozen=True, slots=True)
class Requirement:
    """A field that must have one of these values."""

    field: str
    allowed: tuple[Any, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Relation:
    """Two lengths (words of `ModelSpec.dims`) that must be equal."""

    left: str
    right: str
    why: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A feature of a spec that a target cannot express."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One Hugging Face architecture."""

    id: str
    hf_class: str
    requires: tuple[Requirement | Relation, ...]
    naming: Naming
    config: Callable[[ModelSpec], dict[str, Any]]
    """The architecture's own part of config.json."""
    modules: Mapping[str, str]
    """Names of the reference forward's activations and the modules that compute them, `{i}` for the layer."""

    def problems(self, spec: ModelSpec) -> list[Problem]:
        """Every feature of the spec that this class has no place for."""
        found, dims = [], spec.dims()
        for need in self.requires:
            if isinstance(need, Relation):
                if dims[need.left] != dims[need.right]:
                    text = f"{need.left} is {dims[need.left]}, {need.right} is {dims[need.right]}: {need.why}"
                    found.append(Problem(need.left, text))
            elif getattr(spec, need.field) not in need.allowed:
                text = f"{need.field} is {plain(getattr(spec, need.field))}: {need.why}"
                found.append(Problem(need.field, text))
        return found
