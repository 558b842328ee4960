"""What a card says about a tokenizer, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ckpt2hf.report.card.markdown import bullets, code, prose, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report.report import CheckReport, FileReport


class Special(Protocol):
    """A token with a task."""

    @property
    def role(self) -> str:
        """Such as `eos`."""
        ...

    @property
    def token(self) -> str:
        """Its text."""
        ...

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def origin(self) -> str:
        """Who says so."""
        ...


class CardTokenizer(Protocol):
    """What a card needs to know of a tokenizer."""

    @property
    def format(self) -> str:
        """What it was read from, in words."""
        ...

    @property
    def files(self) -> Sequence[FileReport]:
        """The files it was read from."""
        ...

    @property
    def specials(self) -> Sequence[Special]:
        """Tokens with a task."""
        ...

    @property
    def checks(self) -> Sequence[CheckReport]:
        """What was compared with the encoder of the training run."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know, such as that decoding loses spaces."""
        ...


def tokenizer_section(tokenizer: CardTokenizer | None) -> str:
    """The section; empty without a tokenizer, which the section on use says."""
    if tokenizer is None:
        return ""
    files = ", ".join(code(file.name) for file in tokenizer.files)
    parts = ["## The tokenizer\n", f"Read from {files}: {prose(tokenizer.format)}.\n"]
    if tokenizer.specials:
        rows = [(prose(each.role), code(each.token), str(each.id), prose(each.origin)) for each in tokenizer.specials]
        parts.append(table(("role", "token", "id", "who says so"), rows))
    if tokenizer.checks:
        parts.append(checks_table(tokenizer.checks))
    if tokenizer.notes:
        parts.append(bullets(prose(note) for note in tokenizer.notes))
    return "\n".join(parts)


def checks_table(checks: Sequence[CheckReport]) -> str:
    """What was looked at, whether it held, and the numbers."""
    rows = [(code(each.name), "yes" if each.passed else "**no**", prose(each.summary)) for each in checks]
    return table(("check", "held", "result"), rows)
