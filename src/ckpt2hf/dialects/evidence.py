"""What one source of a dialect file finds in one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import lookup
from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.ir.spec import parse_field
from ckpt2hf.ops import identical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.schema import FactSource, When
    from ckpt2hf.naming import Pattern, Tie
    from ckpt2hf.tensors import Stored

_ACTIVATION_CLASSES = {
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.SiLU": "silu",
}


@dataclass(frozen=True)
class Evidence:
    """A checkpoint as one layout sees it: a tied tensor saved under one of its two names stands for both."""

    checkpoint: Checkpoint
    ties: tuple[Tie, ...]

    @cached_property
    def tensors(self) -> Mapping[str, Stored]:
        """The tensors, with stand-ins for tied names the file lacks."""
        found = dict(self.checkpoint.tensors)
        for name, ref in self.checkpoint.tensors.items():
            for tie in self.ties:
                if (values := tie.name.match(name)) is not None:
                    found.setdefault(tie.same_as.format(values), ref)
        return found

    def matching(self, pattern: Pattern) -> list[str]:
        """The tensor names a pattern matches."""
        if not pattern.variables:
            return [pattern.text] if pattern.text in self.tensors else []
        return [name for name in self.tensors if pattern.match(name) is not None]

    def beside(self, text: str) -> tuple[object, str]:
        """What is at a path of a settings file, None if nothing is, and both in words: `params.json: n_heads`."""
        file, _, path = text.rpartition(":")
        file, path = file.strip() or "config.json", path.strip()
        return lookup(self.checkpoint.side.get(file, {}), path), f"{file}: {path}"

    def holds(self, when: When) -> bool:
        """Whether a condition on the metadata is met."""
        has = all(self.checkpoint.lookup(path) is not None for path in when.has)
        return has and all(self.checkpoint.lookup(path) is None for path in when.lacks)

    def find(self, field: str, source: FactSource, known: Callable[[str], Any]) -> Fact | None:
        """The fact this source gives, or None. `known` gives the value of another field, or None."""
        if not self.holds(source.when):
            return None
        found = _FINDERS[source.kind](self, source, known)
        if found is None or found[0] is None:
            return None
        value, origin, where = found
        if source.map:
            value = source.map.get(str(value))
            if value is None:
                return None
        try:
            return Fact(field, parse_field(field, value), origin, where)
        except ValueError:
            return None  # a value that is not understood does not count

    def _count(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.count is not None  # noqa: S101 - the kind says so
        seen = {(source.count.match(name) or {})[source.of] for name in self.matching(source.count)}
        return (max(seen) + 1, Origin.TENSORS, f"number of {source.count}") if seen else None

    def _shape(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.shape is not None  # noqa: S101 - the kind says so
        names = self.matching(source.shape)
        shape = self.tensors[names[0]].meta.shape if names else ()
        where = f"axis {source.axis} of {source.shape}"
        return (shape[source.axis], Origin.TENSORS, where) if source.axis < len(shape) else None

    def _meta(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.meta is not None  # noqa: S101 - the kind says so
        return self.checkpoint.lookup(source.meta), Origin.METADATA, source.meta

    def _side(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.side is not None  # noqa: S101 - the kind says so
        value, where = self.beside(source.side)
        return value, Origin.SIDE_FILE, where

    def _module(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.module is not None  # noqa: S101 - the kind says so
        for name, module in self.checkpoint.modules.items():
            if source.module.match(name) is None:
                continue
            if source.attribute:
                return module.attributes.get(source.attribute), Origin.MODULE, f"{name}.{source.attribute}"
            known = _ACTIVATION_CLASSES.get(module.class_name)
            if known == "gelu" and module.attributes.get("approximate", "none") != "none":
                known = "gelu_tanh"
            return known, Origin.MODULE, f"{name} is a {module.class_name}"
        return None

    def _const(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        return source.const, Origin.DIALECT, source.why

    def _same(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.same is not None  # noqa: S101 - the kind says so
        names = [pattern.text for pattern in source.same]
        refs = [self.checkpoint.tensors.get(name) for name in names]
        first, second = refs
        if first is None or second is None:
            absent = names[refs.index(None)]
            dropped = "safetensors" in self.checkpoint.container and (first or second)
            where = f"{absent} is absent: safetensors files keep one of two tied tensors"
            return (True, Origin.TENSORS, where) if dropped else None
        if first.same_place(second):
            return True, Origin.TENSORS, f"{names[0]} and {names[1]} share storage"
        same = identical(first, second)
        return same, Origin.TENSORS, f"{names[0]} and {names[1]} are {'equal' if same else 'different'}"

    def _present(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.present is not None  # noqa: S101 - the kind says so
        there = bool(self.matching(source.present))
        return there, Origin.TENSORS, f"{source.present} {'exists' if there else 'does not exist'}"

    def _quotient(self, source: FactSource, known: Callable[[str], Any]) -> _Found:
        assert source.quotient is not None  # noqa: S101 - the kind says so
        over, under = source.quotient
        a, b = known(over), known(under)
        if a is None or not b or a % b:
            return None
        return a // b, Origin.DERIVED, f"{over} / {under}"

    def _ask(self, _source: FactSource, _known: Callable[[str], Any]) -> _Found:
        return None


_Found = tuple[object, Origin, str] | None
_FINDERS: dict[str, Callable[[Evidence, FactSource, Callable[[str], Any]], _Found]] = {
    "count": Evidence._count,  # noqa: SLF001 - the table of this class
    "shape": Evidence._shape,  # noqa: SLF001
    "meta": Evidence._meta,  # noqa: SLF001
    "side": Evidence._side,  # noqa: SLF001
    "module": Evidence._module,  # noqa: SLF001
    "const": Evidence._const,  # noqa: SLF001
    "ask": Evidence._ask,  # noqa: SLF001
    "same": Evidence._same,  # noqa: SLF001
    "present": Evidence._present,  # noqa: SLF001
    "quotient": Evidence._quotient,  # noqa: SLF001
}
