"""Which tokenizer belongs to a checkpoint: the one the user names, or the only one that lies beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError
from ckpt2hf.remote import is_remote
from ckpt2hf.tokenizers.agreement import same
from ckpt2hf.tokenizers.formats import FORMATS, format_of, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckpt2hf.tokenizers.asked import AskedTokenizer
    from ckpt2hf.tokenizers.format import Hints
    from ckpt2hf.tokenizers.source import TokenizerSource

PARTS = frozenset({"tokenizer_config.json", "special_tokens_map.json", "merges.txt"})
"""What belongs to a tokenizer and is none."""


def tokenizer_of(checkpoint: Path, asked: AskedTokenizer) -> TokenizerSource | None:
    """The tokenizer of a checkpoint: what the user names, else what lies beside it; None if there is none.

    Raises TokenizerError, NotFoundError.
    """
    if asked.is_off:
        return None
    if asked.file is not None:
        return named(asked.file, asked.hints)
    return in_folder(checkpoint if checkpoint.is_dir() else checkpoint.parent, asked.hints)


def named(path: Path, hints: Hints) -> TokenizerSource:
    """The tokenizer of a file, or the one in a directory. Raises TokenizerError, NotFoundError."""
    if not path.is_dir():
        return read(path, hints)
    found = in_folder(path, hints)
    if found is None:
        raise TokenizerError(
            f"no tokenizer lies in {path}",
            tried=", ".join(pattern for kind in FORMATS for pattern in kind.beside),
            remedies=["--tokenizer FILE", "--tokenizer none"],
        )
    return found


def in_folder(folder: Path, hints: Hints) -> TokenizerSource | None:
    """The one tokenizer in a folder; None if there is none.

    The same one in two forms, such as `tokenizer.json` beside `tokenizer.model`, is one: the form that says most is
    taken. Raises TokenizerError for two different ones, and for one that cannot be read.
    """
    paths = files_in(folder)
    if not paths:
        return None
    sources = [read(path, hints) for path in paths]
    first, *others = sources
    for other in others:
        if not same(first, other):
            raise TokenizerError(
                f"{len(paths)} tokenizers lie beside the checkpoint, and they are not the same",
                details=[f"{source.files[0].name:20} {source.format}" for source in sources],
                where=str(folder),
                remedies=[*(f"--tokenizer {source.files[0]}" for source in sources), "--tokenizer none"],
            )
    return first


def files_in(folder: Path) -> list[Path]:
    """The tokenizer files in a folder, by their names and beginnings, the kind that says most first.

    A remote folder is not listed, which a store may refuse or charge for: there, only whole names are tried.
    """
    names = None if is_remote(folder) else sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found: list[Path] = []
    for kind in FORMATS:
        patterns = kind.beside
        meant = [p for p in patterns if p[0] != "*"] if names is None else [n for n in names if _matches(n, patterns)]
        paths = [folder / name for name in meant]
        found += [path for path in paths if path not in found and path.is_file() and format_of(path) is kind]
    return found


def is_name(name: str) -> bool:
    """Whether a file of this name beside a checkpoint may be a tokenizer, or a part of one."""
    return name in PARTS or any(_matches(name, kind.beside) for kind in FORMATS)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of `vocab.txt` and `*.model`."""
    return any(name == pattern or (pattern[0] == "*" and name.endswith(pattern[1:])) for pattern in patterns)
