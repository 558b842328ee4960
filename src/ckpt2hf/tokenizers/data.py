"""The bytes of a tokenizer file, local or remote, with an end to its size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import NotFoundError, TokenizerError
from ckpt2hf.remote import MAX_SMALL

if TYPE_CHECKING:
    from pathlib import Path
_REMEDIES = ("copy the file again, whole", "--tokenizer FILE   (the one the model was trained with)")


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises NotFoundError, TokenizerError for one that is no tokenizer by its size."""
    try:
        with path.open("rb") as file:
            data: bytes = file.read(MAX_SMALL + 1)
    except OSError as error:
        raise not_found(path, error) from error
    if len(data) > MAX_SMALL:
        raise TokenizerError(
            f"{path.name} is larger than {MAX_SMALL} bytes: no tokenizer is", where=str(path), remedies=_REMEDIES
        )
    return data


def not_found(path: Path, error: OSError) -> NotFoundError:
    """What to say of a file that cannot be opened."""
    remedies = ["--tokenizer FILE   (wherever it is)", "--tokenizer none"]
    return NotFoundError(f"cannot open the tokenizer {path}", details=[str(error)], where=str(path), remedies=remedies)


def read_text(path: Path) -> str:
    """The whole file as text. Raises NotFoundError, TokenizerError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"{path.name} is not text in UTF-8: {error}", where=str(path), remedies=_REMEDIES
        ) from error


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The value in a JSON file. Raises NotFoundError, TokenizerError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path.name} is not JSON: {error}", where=str(path), remedies=_REMEDIES) from error
