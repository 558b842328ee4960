"""The vocabulary of `ckpt2hf.toml`, checked by pydantic: every word, and what it takes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ckpt2hf.dialects import TOKEN_IDS, dialects, own_file, said_in_file
from ckpt2hf.errors import UsageError
from ckpt2hf.ir import FIELDS
from ckpt2hf.output import WeightFormat
from ckpt2hf.report.card import License, languages_of, license_of, model_name_of
from ckpt2hf.rewrites import Exactness  # noqa: TC001 - pydantic reads the annotations
from ckpt2hf.run import units
from ckpt2hf.run.settings import Settings
from ckpt2hf.tensors import DType  # noqa: TC001 - pydantic reads the annotations
from ckpt2hf.tokenizers import ROLES, AskedTokenizer, Policy
from ckpt2hf.verify import Level

MAX_RETRIES = 100
SAMPLE_TYPES = ("uint16", "uint32")


def near(word: str, known: list[str]) -> str:
    """`; did you mean …?`, or nothing where nothing is close."""
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"takes text in quotes, not {shown(value)}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else [value]
    if not words:
        raise ValueError("takes at least one text in quotes")
    return tuple(_text(word) for word in words)


def _dialect(value: object) -> str:
    known = [each.id for each in dialects()]
    if value not in known and not (isinstance(value, str) and own_file(value)):
        raise ValueError(f"{shown(value)} is none of {', '.join(known)}{near(str(value), known)}, and no path")
    return str(value)


def _facts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("takes a table: [set], and below it lines such as heads = 12")  # noqa: TRY004 - pydantic collects ValueErrors
    problems = []
    for name, each in value.items():
        if name in WORDS:
            problems.append(
                f"{name} is no fact: it belongs above [set], because all lines below a heading are part of it"
            )
            continue
        try:
            said_in_file({"set": {name: each}})
        except UsageError as error:
            problems.append("; ".join((error.what, *error.remedies)))
    if problems:
        raise ValueError("\n".join(problems))
    return {name: str(each).lower() if isinstance(each, bool) else str(each) for name, each in value.items()}


def _dtype(value: object) -> DType:
    return units.number_type(_text(value))


def _path(value: object) -> Path:
    return Path(_text(value))


def _sample_dtype(value: object) -> str:
    if value not in SAMPLE_TYPES:
        raise ValueError(f"{shown(value)} is none of {', '.join(SAMPLE_TYPES)}")
    return str(value)


def _special_tokens(value: object) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(number) is int and number >= 0 for number in value.values()):
        raise ValueError('takes a table of ids such as { "<|endoftext|>" = 50256 }')
    return value


def _policy(value: object) -> Policy:
    known = [policy.value for policy in Policy]
    if value not in known:
        raise ValueError(f"{shown(value)} is none of {', '.join(known)}{near(str(value), known)}")
    return Policy(value)


def _allow(value: object) -> tuple[Exactness, ...]:
    return units.allowed(_texts(value))


def _license(value: object) -> License:
    return license_of(_text(value))


def _languages(value: object) -> tuple[str, ...]:
    return languages_of(_texts(value))


def _model_name(value: object) -> str:
    return model_name_of(_text(value))


def _level(value: object) -> Level:
    known = [level.value for level in Level]
    if value not in known:
        raise ValueError(f"{shown(value)} is none of {', '.join(known)}{near(str(value), known)}")
    return Level(value)


def _formats(value: object) -> tuple[WeightFormat, ...]:
    known = {kind.value: kind for kind in WeightFormat}
    words = [w.strip() for w in value.split(",")] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or any(not isinstance(w, str) or w not in known for w in words):
        raise ValueError(f"takes a list out of {', '.join(known)}, not {shown(value)}")
    return tuple(kind for name, kind in known.items() if name in words)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"takes true or false, not {shown(value)}")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'takes a size such as "5GB", not {shown(value)}')  # noqa: TRY004 - pydantic collects ValueErrors
    return units.byte_count(value)


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f'takes a time such as "30m", or seconds, not {shown(value)}')  # noqa: TRY004 - the same
    return units.seconds(value)


def _grace(value: object) -> float:
    return 0.0 if value == 0 and not isinstance(value, bool) else _time(value)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"takes a whole number from 0 on, not {shown(value)}")
    return value


def _retries(value: object) -> int:
    if _number(value) > MAX_RETRIES:
        raise ValueError(f"takes a whole number up to {MAX_RETRIES}, not {shown(value)}")
    return _number(value)


def _name(value: object) -> str:
    parts = _text(value).split("/")
    if any(not part or part.startswith(".") or not part.isprintable() or ".partial-" in part for part in parts):
        raise ValueError(f"takes a relative path such as runs/big, not {shown(value)}")
    return "/".join(parts)


def shown(value: object) -> str:
    """A value as TOML writes it, not longer than a line."""
    text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004


class _Table(BaseModel):
    """A table that knows every word it may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Words(_Table):
    """What can be said about checkpoints."""

    dialect: Annotated[str | None, BeforeValidator(_dialect)] = None
    weights_key: Annotated[str | None, BeforeValidator(_text)] = None
    facts: Annotated[dict[str, str], BeforeValidator(_facts), Field(alias="set")] = Field(default_factory=dict)
    dtype: Annotated[DType | None, BeforeValidator(_dtype)] = None
    sample: Annotated[Path | None, BeforeValidator(_path)] = None
    sample_dtype: Annotated[str | None, BeforeValidator(_sample_dtype)] = None
    tokenizer: Annotated[Path | None, BeforeValidator(_path)] = None
    bos_token: Annotated[str | None, BeforeValidator(_text)] = None
    eos_token: Annotated[str | None, BeforeValidator(_text)] = None
    pad_token: Annotated[str | None, BeforeValidator(_text)] = None
    unk_token: Annotated[str | None, BeforeValidator(_text)] = None
    tokenizer_pattern: Annotated[str | None, BeforeValidator(_text)] = None
    special_tokens: Annotated[dict[str, int], BeforeValidator(_special_tokens)] = Field(default_factory=dict)
    tokenizer_policy: Annotated[Policy | None, BeforeValidator(_policy)] = None
    allow: Annotated[tuple[Exactness, ...] | None, BeforeValidator(_allow)] = None
    verify: Annotated[Level | None, BeforeValidator(_level)] = None
    formats: Annotated[tuple[WeightFormat, ...] | None, BeforeValidator(_formats)] = None
    max_shard_size: Annotated[int | None, BeforeValidator(_size)] = None
    allow_nonfinite: Annotated[bool | None, BeforeValidator(_truth)] = None
    license: Annotated[License | None, BeforeValidator(_license)] = None
    language: Annotated[tuple[str, ...] | None, BeforeValidator(_languages)] = None
    model_name: Annotated[str | None, BeforeValidator(_model_name)] = None
    timeout: Annotated[float | None, BeforeValidator(_time)] = None
    retries: Annotated[int | None, BeforeValidator(_retries)] = None

    @property
    def settings(self) -> Settings:
        """The same as settings."""
        return Settings(
            dialect=self.dialect,
            facts=self.facts,
            weights_key=self.weights_key,
            dtype=self.dtype,
            sample=self.sample,
            sample_dtype=self.sample_dtype,
            tokenizer=AskedTokenizer(
                path=self.tokenizer,
                tokens={role: token for role in ROLES if (token := getattr(self, f"{role}_token")) is not None},
                pattern=self.tokenizer_pattern,
                special_tokens=self.special_tokens,
                policy=self.tokenizer_policy,
            ),
            allow=self.allow,
            level=self.verify,
            formats=self.formats,
            max_shard_bytes=self.max_shard_size,
            allow_nonfinite=self.allow_nonfinite,
            license=self.license,
            languages=self.language,
            model_name=self.model_name,
            timeout=self.timeout,
            retries=self.retries,
        )


class EntryTable(Words):
    """What is said about the checkpoints of one path."""

    path: Annotated[str, BeforeValidator(_text)]
    name: Annotated[str | None, BeforeValidator(_name)] = None


class BatchTable(_Table):
    """What is said about a batch as a whole."""

    inputs: Annotated[tuple[str, ...] | None, BeforeValidator(_texts)] = None
    exclude: Annotated[tuple[str, ...] | None, BeforeValidator(_texts)] = None
    workers: Annotated[int | None, BeforeValidator(_number)] = None
    memory: Annotated[int | None, BeforeValidator(_size)] = None
    grace: Annotated[float | None, BeforeValidator(_grace)] = None


class FileTable(Words):
    """The whole file."""

    batch: BatchTable | None = None
    checkpoint: tuple[EntryTable, ...] = ()


def words_of(table: type[BaseModel]) -> list[str]:
    """The words of a table, as they are written."""
    return [each.alias or name for name, each in table.model_fields.items()]


WORDS = frozenset(words_of(FileTable))


def misplaced(word: str, table: type[BaseModel]) -> str:
    """Where an unknown word belongs, or which known one is near."""
    known = words_of(table)
    if word in (*FIELDS, *TOKEN_IDS):
        where = "[checkpoint.set]" if table is EntryTable else "[set]"
        return f"; it is a fact: write it below {where}"
    if word in words_of(BatchTable):
        return "; it belongs below [batch]"
    if table is BatchTable and word in WORDS:
        return "; it belongs above [batch]"
    if word in words_of(EntryTable):
        return "; it belongs below [[checkpoint]]"
    if table is EntryTable and word in WORDS:
        return "; it belongs at the top of the file"
    return near(word, known)


KINDS: dict[str, Any] = {"": FileTable, "batch": BatchTable, "checkpoint": EntryTable}
