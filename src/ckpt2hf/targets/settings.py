"""A `config.json` read for the facts of a spec: each with the setting it came from, or with the class that decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt2hf.ir import parse_field, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


class Said(NamedTuple):
    """The value of a field of the spec, and where it comes from."""

    value: Any
    where: str
    told: bool
    """Whether the configuration says so; else the class does, where nothing is said."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration, and what has been found wrong with it."""

    config: Mapping[str, Any]
    hf_class: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Values of fields that a person says, for what releases of transformers read differently."""
    refused: list[str] = field(default_factory=list)
    """Settings that ask for what no spec can say, or that make no sense."""
    asked: list[str] = field(default_factory=list)
    """What a person has to say, as `--set field=value   (why)`."""

    def at(self, *names: str) -> tuple[str, Any] | None:
        """The first of these settings that is there and not null, with its name; null says nothing."""
        return next(((name, self.config[name]) for name in names if self.config.get(name) is not None), None)

    def said(
        self,
        fact: str,
        names: str | tuple[str, ...],
        default: Any,  # noqa: ANN401 - the field decides
        translate: Callable[[Any], Any] = lambda value: value,
    ) -> Said:
        """The value of a field from a setting, which may have several names, or as the class has it without one."""
        names = (names,) if isinstance(names, str) else names
        found = self.at(*names)
        if found is None:
            value = parse_field(fact, plain(default))
            return Said(value, f"{self.hf_class}, where {names[0]} is not said", told=False)
        others = [name for name in names if self.config.get(name) not in (None, found[1])]
        if others:
            self.refused.append(f"{found[0]} is {found[1]!r}, and {others[0]}, the same, {self.config[others[0]]!r}")
        try:
            value = parse_field(fact, plain(translate(found[1])))
        except (ValueError, TypeError, KeyError) as error:
            why = f": {error}" if isinstance(error, ValueError) else ", which is not known here"
            self.refused.append(f"{found[0]} is {found[1]!r}{why}")
            return Said(parse_field(fact, plain(default)), found[0], told=True)
        return Said(value, f"config.json: {found[0]}", told=True)

    @property
    def generation(self) -> int | None:
        """The generation of transformers that wrote the file, if it says so: 4 or 5."""
        number = str(self.config.get("transformers_version", "")).partition(".")[0]
        return int(number) if number in ("4", "5") else None

    def between(self, fact: str, four: float, five: float, why: str) -> Said:
        """The value that the generation which wrote the file means, or a person; else it is asked for."""
        if four == five:
            return self.follows(four, why)
        if fact in self.answers:
            return Said(self.answers[fact], f"--set {fact}", told=True)
        if self.generation is None:
            self.asked.append(f"--set {fact}={plain(four)}   (as transformers 4 reads it)")
            self.asked.append(f"--set {fact}={plain(five)}   (as transformers 5 does)")
        value = five if self.generation == 5 else four  # noqa: PLR2004 - a generation by its number
        return Said(value, f"config.json: transformers_version; {why}", told=True)

    def follows(self, value: Any, why: str) -> Said:  # noqa: ANN401 - the field decides
        """A value that the class derives."""
        return Said(value, f"{self.hf_class}: {why}", told=False)

    def only(self, name: str, allowed: Collection[Any], why: str) -> None:
        """Refuse a setting whose value no spec can say; where it is absent or null the class is as it should be."""
        found = self.config.get(name)
        if found is not None and found not in allowed:
            self.refused.append(f"{name} is {found!r}: {why}")

    def must(self, name: str, value: Any, default: Any, why: str) -> None:  # noqa: ANN401 - any JSON
        """Refuse a setting that has another value than this, be it because nothing is said."""
        found = self.config.get(name, default)
        if found != value:
            self.refused.append(f"{name} is {found!r}: {why}")
