"""What one source of a dialect file finds in one checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import Record, lookup
from ckpt2hf.dialects.angles import rope_base
from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.ir import read_field
from ckpt2hf.naming import NameIndex
from ckpt2hf.ops import identical

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.dialects.fact_source import FactSource, When
    from ckpt2hf.naming import Pattern, Tie
    from ckpt2hf.tensors import Stored

_ACTIVATION_CLASSES = {
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.SiLU": "silu",
}
_FILE = re.compile(r"([^:]+\.[a-z]+):\s*(.+)")
"""A settings file and a path in it, such as `params.json: n_heads`."""


@dataclass(frozen=True)
class Evidence:
    """A checkpoint as one layout sees it: a tied tensor saved under one of its two names stands for both."""

    checkpoint: Checkpoint
    ties: tuple[Tie, ...]
    given: NameIndex | None = None
    """The names of the checkpoint's tensors, where somebody has sorted them before."""

    @cached_property
    def _names(self) -> NameIndex:
        """The names in the file."""
        return self.given or NameIndex(self.checkpoint.tensors)

    @cached_property
    def _stand_ins(self) -> Mapping[str, Stored]:
        """Tied names the file lacks, each with the tensor that was saved under the other name."""
        names = ((tie, name) for tie in self.ties for name in self._names.matching(tie.name))
        found = {tie.same_as.format(tie.name.match(name) or {}): name for tie, name in names}
        tensors = self.checkpoint.tensors
        return {absent: tensors[name] for absent, name in found.items() if absent not in tensors}

    @cached_property
    def tensors(self) -> Mapping[str, Stored]:
        """The tensors, with stand-ins for tied names the file lacks."""
        return {**self.checkpoint.tensors, **self._stand_ins}

    def matching(self, pattern: Pattern) -> list[str]:
        """The tensor names a pattern matches."""
        return [*self._names.matching(pattern), *(n for n in self._stand_ins if pattern.match(n) is not None)]

    def at(self, path: str) -> Inert | None:
        """What stands at a path of the metadata, or, as `params.json: n_heads`, of a settings file."""
        named = _FILE.fullmatch(path)
        return lookup(self.checkpoint.settings(named[1])[1], named[2]) if named else self.checkpoint.lookup(path)

    def holds(self, when: When) -> bool:
        """Whether all parts of a condition are met."""
        return (
            all(self.at(path) is not None for path in when.has)
            and all(self.at(path) is None for path in when.lacks)
            and all(str(self.at(path)) == text for path, text in when.equal.items())
            and all(str(self.at(path)) != text for path, text in when.unequal.items())
            and all(self.matching(name) for name in when.tensor)
            and not any(self.matching(name) for name in when.no_tensor)
            and not any(p.match(name) is not None for p in when.no_module for name in self.checkpoint.modules)
        )

    def find(self, field: str, source: FactSource, known: Callable[[str], Any]) -> Fact | None:
        """The fact this source gives, or None. `known` gives the value of another field, or None."""
        if not self.holds(source.when):
            return None
        found = _FINDERS[source.kind](self, source, known)
        if found is None or found[0] is None:
            return None
        value, origin, where = found
        value = _translated(value, source, known)
        where = where + "".join(f" {sign} {name}" for sign, name in source.arithmetic)
        try:
            return Fact(field, read_field(field, value), origin, where)
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
        named = _FILE.fullmatch(source.side)
        file, path = (named[1], named[2]) if named else ("config.json", source.side)
        where, settings = self.checkpoint.settings(file)
        return lookup(settings, path), Origin.SIDE_FILE, f"{where}: {path}"

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

    def _equals(self, source: FactSource, known: Callable[[str], Any]) -> _Found:
        assert source.equals is not None  # noqa: S101 - the kind says so
        return known(source.equals), Origin.DERIVED, f"the same as {source.equals}"

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

    def _angles(self, source: FactSource, _known: Callable[[str], Any]) -> _Found:
        assert source.angles is not None  # noqa: S101 - the kind says so
        names = self.matching(source.angles)
        base = rope_base(self.tensors[names[0]]) if names else None
        return None if base is None else (base, Origin.TENSORS, f"the angles in {names[0]}")

    def _quotient(self, source: FactSource, known: Callable[[str], Any]) -> _Found:
        assert source.quotient is not None  # noqa: S101 - the kind says so
        over, under = source.quotient
        a, b = known(over), known(under)
        if a is None or not b or a % b:
            return None
        return a // b, Origin.DERIVED, f"{over} / {under}"

    def _ask(self, _source: FactSource, _known: Callable[[str], Any]) -> _Found:
        return None


def _translated(value: object, source: FactSource, known: Callable[[str], Any]) -> object:
    """What was found, put through what the source says to do with it; None where that cannot be done."""
    for name, apply in ((source.per, _divided), (source.times, _multiplied), (source.less, _lessened)):
        if name is not None:
            operand = known(name)
            value = apply(value, operand) if _is_number(value) and _is_number(operand) else None
    if source.matches is not None:
        value = bool(re.search(source.matches, value)) if isinstance(value, str) else None
    if source.compose is not None:
        value = _composed(source.compose, value)
    return source.map.get(str(value)) if source.map else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _divided(value: Any, by: Any) -> object:  # noqa: ANN401 - numbers
    return value // by if by and value % by == 0 else None


def _multiplied(value: Any, by: Any) -> object:  # noqa: ANN401 - numbers
    return value * by


def _lessened(value: Any, by: Any) -> object:  # noqa: ANN401 - numbers
    return value - by


def _composed(text: str, value: object) -> str | None:
    """The text with the fields of a table in it; None where one is missing."""
    table = value.fields if isinstance(value, Record) else value
    if not isinstance(table, Mapping):
        return None
    try:
        return text.format_map({str(key): part for key, part in table.items()})
    except KeyError:
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
    "angles": Evidence._angles,  # noqa: SLF001
    "quotient": Evidence._quotient,  # noqa: SLF001
    "equals": Evidence._equals,  # noqa: SLF001
}
