"""The written directory read back, with the reader that reads checkpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import Ckpt2hfError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.tensors import Stored


def read_weights(directory: Path, kind: WeightFormat) -> Mapping[str, Stored]:
    """The tensors of one kind of weight file, whole or sharded. Raises VerificationError if it cannot be read."""
    whole = directory / f"{kind.stem}{kind.suffix}"
    index = directory / f"{kind.stem}{kind.suffix}.index.json"
    try:
        return open_checkpoint(index if index.exists() else whole, as_named=True).tensors
    except Ckpt2hfError as error:
        raise VerificationError(f"cannot read {whole.name} back", details=str(error).splitlines()) from error


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """A JSON file of the directory. Raises VerificationError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerificationError(f"cannot read {path.name} back", details=[str(error)], where=str(path)) from error
