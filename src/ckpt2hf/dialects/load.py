"""The built-in dialects: one TOML file each, beside this module."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import ValidationError

from ckpt2hf.dialects import families
from ckpt2hf.dialects.schema import Dialect
from ckpt2hf.errors import BrokenPromiseError, UsageError

_FOLDER = resources.files("ckpt2hf.dialects")


@cache
def dialects() -> tuple[Dialect, ...]:
    """Every built-in dialect, by id."""
    entries = (entry for entry in _FOLDER.iterdir() if entry.name.endswith(".toml") and entry.name != families.FILE)
    files = sorted(entries, key=lambda entry: entry.name)
    return tuple(_parse(file.name, file.read_text(encoding="utf-8")) for file in files)


def dialect(name: str) -> Dialect:
    """The dialect of that id. Raises UsageError that lists the known ones."""
    for known in dialects():
        if known.id == name:
            return known
    raise UsageError(
        f"there is no dialect {name!r}",
        details=[f"{known.id:18} {known.title}" for known in dialects()],
        remedies=["ckpt2hf dialects"],
    )


def dialect_text(name: str) -> str:
    """The TOML file of a dialect, as written."""
    return (_FOLDER / f"{dialect(name).id}.toml").read_text(encoding="utf-8")


def _parse(file: str, text: str) -> Dialect:
    try:
        parsed = Dialect.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise BrokenPromiseError(f"the built-in dialect file {file} is wrong", details=[str(error)]) from error
    if file != f"{parsed.id}.toml":
        raise BrokenPromiseError(f"{file} holds the dialect {parsed.id}")
    return parsed
