"""The dialect a user names, by its id or by a file of their own, which may name any target there is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckpt2hf import dialects
from ckpt2hf.naming import UnsoundRuleError
from ckpt2hf.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.dialects import Dialect


def dialect(named: str | Path) -> Dialect:
    """The dialect of an id, or of a path, checked. Raises UsageError with all that is wrong, NotFoundError."""
    return dialects.dialect(named, [target.id for target in TARGETS])


def dialect_text(named: str | Path) -> str:
    """Its TOML file, as written. Raises UsageError with all that is wrong, NotFoundError."""
    return dialects.dialect_text(dialect(named))


@contextmanager
def named(word: str | Path | None) -> Iterator[Dialect | None]:
    """The dialect, if one is named. Inside, a rule of a user's own file that does not fit is the user's to correct.

    Raises UsageError that points at the rule.
    """
    known = None if word is None else dialect(word)
    try:
        yield known
    except UnsoundRuleError as error:
        first = error.__cause__ if isinstance(error.__cause__, UnsoundRuleError) else error
        told = dialects.blamed(known, first) if known else None
        if told is None:
            raise
        raise told from error
