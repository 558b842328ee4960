"""What a whole family of models has in common, so that a layout states only what is its own."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "_families.toml"


def _read() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    return tomllib.loads(resources.files("ckpt2hf.dialects").joinpath(FILE).read_text(encoding="utf-8"))


FAMILIES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {"none": {}, **_read()}
"""For each family, the one source of each fact that all its members share."""
