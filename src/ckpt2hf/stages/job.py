"""What goes to the process that makes a form, and what comes back: two JSON files in a folder of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt2hf.stages.price import Price
from ckpt2hf.verify import Check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOB, RESULT = "job.json", "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One stage to be done."""

    stage: str
    """Its id."""
    directory: str
    """The model's directory."""
    out: str
    """The file to write."""
    base: str | None
    """The float32 file of its family that it is made from; None for one that is made from the directory."""
    tokens: str
    """A `.npy` of token ids `[stretches, tokens]`."""
    real: bool
    """Whether these are of a text, so that predicting them means something."""
    window: int
    """The longest sequence that is shown, in tokens."""
    at_once: int
    """How many of them are shown at a time."""
    preset: str
    """The kind of processor that int8 is for."""
    importance: str | None = None
    """A `.npy` of token ids `[stretches, tokens]` that say which columns of a matrix matter; None for nobody's."""
    tokenizer: bool = True
    """Whether a file that has a place for it gets the directory's tokenizer."""
    general: Mapping[str, Any] = field(default_factory=dict)
    """What is said about the model in a file that has a place for it: its name, license, languages."""

    def write(self, folder: Path) -> None:
        """Put it where the process looks for it."""
        (folder / JOB).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        """What was put there."""
        return cls(**json.loads((folder / JOB).read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Use:
    """How the weights are stored."""

    bits_per_weight: float
    """All tensors of the file, in bits, by the weights of the float32 file."""
    matrix_bits: float
    """The same of the matrices that multiply, scales included."""
    share: float
    """The part of these matrices' weights that have no more bits than the form says."""
    kept: tuple[tuple[str, str], ...]
    """Matrices that have more bits, and why."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a maker says about the file it has written."""

    settings: Mapping[str, Any]
    """How."""
    notes: tuple[str, ...] = ()
    """What a person should know about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of it."""

    files: tuple[str, ...]
    """Names beside the file that was to be written, itself included."""
    checks: tuple[Check, ...]
    """What has to hold."""
    price: Price | None
    """What it costs, where it may cost something."""
    use: Use
    settings: Mapping[str, Any]
    """How it was made."""
    notes: tuple[str, ...] = ()
    """What a person should know about it."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the packages that made it."""
    seconds: float = 0.0
    """What the process took."""
    peak_memory_bytes: int = 0
    """The most it held resident, mapped files included."""

    @property
    def sound(self) -> bool:
        """Whether all that has to hold does."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def write(self, folder: Path) -> None:
        """Leave it for whoever asked."""
        # A file that is there is a whole one.
        (folder / f".{RESULT}").write_text(json.dumps(asdict(self)), encoding="utf-8")
        (folder / f".{RESULT}").rename(folder / RESULT)

    @classmethod
    def read(cls, folder: Path) -> Made:
        """What was left."""
        tree = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        use = {**tree["use"], "kept": tuple((name, why) for name, why in tree["use"]["kept"])}
        return cls(
            files=tuple(tree["files"]),
            checks=tuple(Check(**check) for check in tree["checks"]),
            price=_price(tree["price"]) if tree["price"] else None,
            use=Use(**use),
            settings=tree["settings"],
            notes=tuple(tree["notes"]),
            versions=tree["versions"],
            seconds=tree["seconds"],
            peak_memory_bytes=tree["peak_memory_bytes"],
        )


def _price(tree: Mapping[str, Any]) -> Price:
    kwargs: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in tree.items()}
    return Price(**kwargs)
