"""Settings beside a checkpoint: `config.json` and `ckpt2hf.toml`, small files that people write."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.errors import Ckpt2hfError

MAX_BYTES = 1 << 20
MODEL_CONFIG = "config.json"
OWN_SETTINGS = "ckpt2hf.toml"


def read(folder: Path) -> dict[str, dict[str, Inert]]:
    """The settings in a folder by file name. Raises CheckpointError (config.json), UsageError (ckpt2hf.toml)."""
    found: dict[str, dict[str, Inert]] = {}
    for name, error in ((MODEL_CONFIG, CheckpointError), (OWN_SETTINGS, UsageError)):
        path = folder / name
        if path.is_file():
            found[name] = table(path, error)
    return found


def own_settings(folder: Path) -> dict[str, Inert] | None:
    """What `ckpt2hf.toml` in a folder holds; None if there is none. Raises UsageError, NotFoundError."""
    path = folder / OWN_SETTINGS
    try:
        return table(path, UsageError) if path.is_file() else None
    except (OSError, ValueError):  # a folder that cannot be looked into, or no path at all: opening it says so
        return None


def table(path: Path, error: type[Ckpt2hfError]) -> dict[str, Inert]:
    """The table in a JSON or TOML file. Raises `error` for one that is damaged, NotFoundError."""
    remedies = [f"correct {path.name}, or move it away"]
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise NotFoundError(f"cannot open {path}", details=[str(problem)], where=str(path)) from problem
    if len(data) > MAX_BYTES:
        raise error(f"{path.name} is larger than {MAX_BYTES} bytes", where=str(path), remedies=remedies)
    try:
        text = data.decode("utf-8-sig")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as problem:
        where = f"{path}, line {problem.lineno}, column {problem.colno}"
        raise error(f"{path.name} is not JSON: {problem.msg}", where=where, remedies=remedies) from problem
    except (ValueError, RecursionError) as problem:  # TOMLDecodeError, which names the line, is a ValueError
        raise error(f"{path.name} cannot be read: {problem}", where=str(path), remedies=remedies) from problem
    if not isinstance(values, dict):
        raise error(f"{path.name} is no table of settings", where=str(path), remedies=remedies)
    return values
