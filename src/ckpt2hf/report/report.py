"""The one report of a conversion: a frozen tree, written as `conversion.json`, shown by the command line."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ckpt2hf.remote import RemotePath
from ckpt2hf.report.evidence import EvidenceReport  # noqa: TC001 - a field's type, like those below
from ckpt2hf.report.parts import CheckReport, FileReport  # noqa: TC001
from ckpt2hf.report.stages import StageReport  # noqa: TC001

SCHEMA = 4
"""Version of the tree; it grows with every change that a reader could trip over."""
PASSING = frozenset({"created", "seconds", "peak_memory_bytes"})
"""Fields about one run rather than its result: shown, but not written to `conversion.json`."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Where the weights came from."""

    path: str
    """As the user gave it."""
    container: str
    """Such as `torch zip file`."""
    weights_key: str
    """The entry of the file the weights were under; empty at the top level."""
    prefixes: tuple[str, ...]
    """What was taken off every name, such as `_orig_mod.`."""
    files: tuple[FileReport, ...]
    """Every file that was read."""
    side_files: tuple[str, ...]
    """Settings found beside the checkpoint."""


@dataclass(frozen=True, slots=True)
class DialectReport:
    """What the checkpoint was read as, and why."""

    id: str
    """As in `ckpt2hf dialects`."""
    layout: str
    """Which generation of the codebase."""
    reason: str
    """Why the file was read so."""
    source: str
    """Repository, commit and files the dialect was written from."""
    file: str | None = None
    """The user's own file it was read from, by name; null for a dialect of ckpt2hf itself."""
    sha256: str | None = None
    """Of that file."""

    @property
    def name(self) -> str:
        """The id, and the file if it is the user's own."""
        return self.id if self.file is None else f"{self.id} ({self.file})"


@dataclass(frozen=True, slots=True)
class FactReport:
    """One field of the spec and where it came from."""

    field: str
    """A field of the spec."""
    value: Any
    """As `--set` spells it."""
    origin: str
    """`metadata`, `tensors`, `module`, `side file`, `dialect`, `derived`, `user`, `reference` or `sample`."""
    where: str
    """The metadata path, the tensor names, or the reason."""


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One written tensor and how it came about."""

    name: str
    """In the output."""
    shape: tuple[int, ...]
    """In the output."""
    dtype: str
    """In the output."""
    sources: tuple[str, ...]
    """Names in the checkpoint; empty for numbers that follow from none."""
    how: str
    """The steps from the sources to this tensor, in order."""


@dataclass(frozen=True, slots=True)
class LeftOutReport:
    """A source tensor that was not written, and the proof that nothing is lost."""

    name: str
    """In the checkpoint."""
    why: str
    """What it was proved to be."""


@dataclass(frozen=True, slots=True)
class RewriteReport:
    """An identity that was applied."""

    id: str
    """Its name."""
    why: str
    """Why it was needed."""
    exactness: str
    """`bitwise`, `algebraic` or `numerically equal`."""


@dataclass(frozen=True, slots=True)
class FindingReport:
    """Something suspicious about the weights."""

    severity: str
    """`warning`, or `error` where `--allow-nonfinite` let it pass."""
    code: str
    """`non-finite`, `untrained`, `all-zero` or `duplicated-layers`."""
    message: str
    """What it means and what to do."""
    names: tuple[str, ...]
    """The tensors concerned, by slot, layers folded."""


@dataclass(frozen=True, slots=True)
class SpecialReport:
    """A token with a task."""

    role: str
    """`bos`, `eos`, `pad` or `unk`."""
    token: str
    """Its text."""
    id: int
    """Its number."""
    origin: str
    """Who says so: an option, a file, or its name."""


@dataclass(frozen=True, slots=True)
class TokenizerReport:
    """The tokenizer, and how it compares with the encoder of the training run."""

    format: str
    """What it was read from, in words."""
    files: tuple[FileReport, ...]
    """The files it was read from, the one that names it first."""
    original: str
    """The library it was compared with, and its version."""
    specials: tuple[SpecialReport, ...]
    """Tokens with a task."""
    checks: tuple[CheckReport, ...]
    """What was compared; also in the verdict, unless the policy is `warn`."""
    policy: str
    """`fail`: the directory is not left behind unless every check holds; `warn`: it is."""
    notes: tuple[str, ...]
    """What else a person should know."""

    @property
    def proved(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """The outcome of verification."""

    level: str
    """`structure`, `bytes` or `logits`; `directory` where nothing was compared with the source."""
    proved: bool
    """Whether every check passed."""
    checks: tuple[CheckReport, ...]
    """In the order in which they ran; after a failed level the next one is not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything about one conversion."""

    schema: int
    """Version of this tree."""
    created: str
    """UTC, ISO 8601; not in the file, which is the same whenever it is made."""
    versions: dict[str, str]
    """ckpt2hf, Python and the packages that wrote or proved."""
    source: SourceReport
    """Where the weights came from."""
    dialect: DialectReport
    """What they were read as."""
    facts: tuple[FactReport, ...]
    """Every field of the spec with its origin."""
    evidence: EvidenceReport | None
    """What a sample of text showed; null where none was given."""
    spec: dict[str, Any]
    """The model that was trained."""
    target: str
    """The Hugging Face class."""
    rewrites: tuple[RewriteReport, ...]
    """Identities that were applied, in order."""
    exactness: str
    """`bitwise`, `algebraic`, `numerically equal` or `rounded`: the loosest of the parts."""
    dtype: str | None
    """The type asked for with `--dtype`; null when every tensor keeps its own."""
    tensors: tuple[TensorReport, ...]
    """Every written tensor and how it came about."""
    left_out: tuple[LeftOutReport, ...]
    """Source tensors that were not written."""
    notes: tuple[str, ...]
    """What else a person should know."""
    tokenizer: TokenizerReport | None
    """What ids are made with; null where the directory has no tokenizer."""
    health: tuple[FindingReport, ...]
    """What is suspicious about the weights themselves."""
    output: str
    """The directory, as the user gave it."""
    formats: tuple[str, ...]
    """`safetensors`, `bin` or both."""
    files: tuple[FileReport, ...]
    """The weight files and their indexes."""
    verdict: VerdictReport
    """What was proved."""
    stages: tuple[StageReport, ...]
    """Other forms of the model that `ckpt2hf export` and `ckpt2hf quantize` have added."""
    options: dict[str, Any]
    """What has to be said again to verify this directory against its source."""
    seconds: dict[str, float]
    """Time spent, by phase; not in the file."""
    peak_memory_bytes: int
    """Largest resident memory of the process, mapped files included; not in the file."""

    def as_json(self) -> dict[str, Any]:
        """The tree as plain JSON values."""
        tree: dict[str, Any] = plain_tree(self)
        return tree

    def lasting(self) -> dict[str, Any]:
        """The tree without what differs from run to run: the same conversion done again gives the same file."""
        return {name: value for name, value in self.as_json().items() if name not in PASSING}


def plain_tree(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any tree of ours, one line a kind of node
    """A tree of dataclasses, enums, paths and containers as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tree(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path | RemotePath):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return str(value)  # JSON has no word for it
    return value
