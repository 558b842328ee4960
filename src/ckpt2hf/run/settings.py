"""What is said about a checkpoint besides its path, wherever it is said: one value for each word, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects import own_file
from ckpt2hf.remote import joined
from ckpt2hf.report import CardWords
from ckpt2hf.run.request import Request, Writing
from ckpt2hf.tokenizers import AskedTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.report.card import License
    from ckpt2hf.rewrites import Exactness
    from ckpt2hf.tensors import DType
    from ckpt2hf.verify import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one place says; None and a missing fact mean that it says nothing."""

    dialect: str | Path | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """Values by field, as after `--set field=`."""
    weights_key: str | None = None
    dtype: DType | None = None
    sample: Path | None = None
    """Text or token ids that decide, from the directory of the file that says so."""
    sample_dtype: str | None = None
    tokenizer: AskedTokenizer = field(default_factory=AskedTokenizer)
    allow: tuple[Exactness, ...] | None = None
    level: Level | None = None
    formats: tuple[WeightFormat, ...] | None = None
    max_shard_bytes: int | None = None
    allow_nonfinite: bool | None = None
    license: License | None = None
    languages: tuple[str, ...] | None = None
    model_name: str | None = None
    python_5x: Path | None = None
    timeout: float | None = None
    """Seconds."""
    retries: int | None = None

    def over(self, other: Settings) -> Settings:
        """Both; where they speak of the same word, or of the same fact, this one counts."""
        said = {
            each.name: value
            for each in fields(self)
            if each.name not in ("facts", "tokenizer") and (value := getattr(self, each.name)) is not None
        }
        tokenizer = self.tokenizer.over(other.tokenizer)
        return replace(other, **said, facts={**other.facts, **self.facts}, tokenizer=tokenizer)

    @property
    def card(self) -> CardWords:
        """What is said for the model card."""
        return CardWords(license=self.license, languages=self.languages, model_name=self.model_name)

    def placed(self, folder: Path) -> Settings:
        """The same, said by a file in this folder: its paths begin there."""
        places: dict[str, Any] = {"sample": folder / self.sample} if self.sample else {}
        if self.tokenizer.file is not None:
            places["tokenizer"] = replace(self.tokenizer, path=folder / self.tokenizer.file)
        if self.dialect is not None and own_file(self.dialect) is not None:
            places["dialect"] = joined(folder, str(self.dialect).removeprefix("./"))
        return replace(self, **places)

    def request(self, source: Path) -> Request:
        """The checkpoint at a path, with what is said about it."""
        return Request(
            source=source,
            dialect=self.dialect,
            facts=tuple(f"{name}={value}" for name, value in self.facts.items()),
            weights_key=self.weights_key,
            dtype=self.dtype,
            sample=self.sample,
            tokenizer=self.tokenizer,
            sample_dtype=self.sample_dtype,
            allow=self.allow or (),
        )

    def writing(self, out: Path, *, threads: int = 0) -> Writing:
        """How it is written and proved; what nobody says has the default of `Writing`."""
        words = {
            "level": self.level,
            "formats": self.formats,
            "max_shard_bytes": self.max_shard_bytes,
            "allow_nonfinite": self.allow_nonfinite,
            "python_5x": self.python_5x,
        }
        said = {name: value for name, value in words.items() if value is not None}
        return replace(Writing(out=out, threads=threads, card=self.card), **said)  # type: ignore[arg-type]
