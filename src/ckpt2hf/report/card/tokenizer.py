"""What a card says about a tokenizer, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.card.markdown import bullets, code, prose, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report.parts import CheckReport
    from ckpt2hf.report.report import TokenizerReport


def tokenizer_section(tokenizer: TokenizerReport | None) -> str:
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
