"""Where a model comes from, what was done to it, which files there are, and how to prove it once more."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.remote import shown
from ckpt2hf.report.html import escaping
from ckpt2hf.report.html.markup import block, bullets, checks, code, folded, number, pairs, safe, section, table
from ckpt2hf.report.wording import counted, reasons_left_out, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.parts import FileReport
    from ckpt2hf.report.report import Report

_SOURCES = 20
"""Source files that are shown at once; a distributed checkpoint has thousands."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a directory."""

    name: str
    """From the directory."""
    bytes: int | None
    """Its size now; None where it is not there."""
    sha256: str | None
    """As SHA256SUMS says; None where nothing says it."""


def tokenizer(report: Report) -> str:
    """The section; empty where there is none."""
    found = report.tokenizer
    if found is None:
        return ""
    files = ", ".join(code(file.name) for file in found.files)
    rows = [(safe(s.role), code(s.token), number(s.id, str(s.id)), safe(s.origin)) for s in found.specials]
    proved = {each.name for each in report.verdict.checks}
    apart = [each for each in found.checks if each.name not in proved]
    return section(
        "Tokenizer",
        "tokenizer",
        f"<p>{safe(found.format)}, read from {files} and compared with {safe(found.original)}.</p>",
        table(("Role", "Token", "Id", "Who says so"), rows, "specials", label="Special tokens") if rows else "",
        checks(apart, label="Checks of the tokenizer") if apart else "",
        bullets(map(safe, found.notes)),
    )


def changes(report: Report) -> str:
    """The section: everything besides new names."""
    items = [f"<b>{safe(each.id)}</b> ({safe(each.exactness)}): {safe(each.why)}" for each in report.rewrites]
    if report.dtype:
        items.append(f"every number rounded to {code(report.dtype)}, as asked; the price is among the checks")
    left_out = reasons_left_out(report.left_out)
    items += [f"left out: {counted(count, 'tensor')}, {safe(why)}" for why, count in left_out.items()]
    names = "".join(f"<li>{code(each.name)} {safe(each.why)}</li>" for each in report.left_out)
    return section(
        "What was changed",
        "changes",
        bullets(items) or "<p>Nothing: every number of the checkpoint is there, as it was.</p>",
        folded(counted(len(report.left_out), "tensor") + " left out, by name", f"<ul class=names>{names}</ul>")
        if names
        else "",
    )


def cautions(report: Report) -> str:
    """The section: what looks strange, and notes; empty where there is nothing."""
    found = [
        f'<b class="{"failed" if each.severity == "error" else "refused"}"><i>⚠</i> {safe(each.severity)}</b> '
        f"{safe(each.message)} <small>{', '.join(map(code, each.names[:_SOURCES]))}"
        f"{', …' if len(each.names) > _SOURCES else ''}</small>"
        for each in report.health
    ]
    return section("What to look at", "cautions", bullets([*found, *map(safe, report.notes)]))


def origin(report: Report) -> str:
    """The section: source files by digest, the code that describes them, the programs."""
    rows = [
        (escaping.name(each.name), number(each.bytes, size(each.bytes)), _digest(each)) for each in report.source.files
    ]
    heads = ("Source file", "Size", "SHA-256")
    more = rows[_SOURCES:]
    return section(
        "Where it comes from",
        "origin",
        table(heads, rows[:_SOURCES], "files", label="Source files"),
        folded(f"{counted(len(more), 'more file')}", table(heads, more, "files", label="More source files"))
        if more
        else "",
        pairs(_particulars(report), "lines"),
    )


def files(report: Report, found: Sequence[ModelFile], directory: str) -> str:
    """The section: what is in the directory, and the commands that compare it."""
    rows = ((code(each.name), _size(each, report), code(each.sha256) if each.sha256 else "") for each in found)
    known = any(each.sha256 for each in found)
    digests = (
        "The digests are those of SHA256SUMS; this page was made without comparing them."
        if known
        else "There is no SHA256SUMS, so no digest is known."
    )
    return section(
        "Check it again",
        "files",
        "<p>In a shell, beside the directory. The first command proves all of this once more against the checkpoint; "
        "what was decided is in <code>conversion.json</code>, so it need not be said. The second compares every file "
        "with SHA256SUMS.</p>",
        block(_commands(report, directory)),
        table(("File", "Size", "SHA-256"), rows, "files", label="Files of the directory"),
        f"<p class=small>{digests}</p>",
    )


def strange(report: Report, found: Sequence[ModelFile]) -> list[str]:
    """What is in the report, and not in the directory as it says; HTML."""
    sizes = _sizes(report)
    gone = [f"{code(each.name)} is not there" for each in found if each.bytes is None]
    changed = [each for each in found if each.bytes is not None and sizes.get(each.name, each.bytes) != each.bytes]
    return [*gone, *(f"{code(each.name)} has another size than conversion.json says" for each in changed)]


def _sizes(report: Report) -> dict[str, int]:
    known = [*report.files, *(file for form in report.stages for file in form.files)]
    return {file.name: file.bytes for file in known}


def _size(each: ModelFile, report: Report) -> str:
    if each.bytes is None:
        return '<span class="failed"><i>✕</i> not there</span>'
    told = number(each.bytes, size(each.bytes))
    return (
        told
        if _sizes(report).get(each.name, each.bytes) == each.bytes
        else f'<span class="failed"><i>✕</i></span> {told}'
    )


def _commands(report: Report, directory: str) -> Iterator[str]:
    level = "" if report.verdict.level == "logits" else f" --level {report.verdict.level}"
    source = shlex.quote(shown(report.source.path))
    yield f"ckpt2hf verify {shlex.quote(directory)} --against {source}{level}"
    yield f"ckpt2hf verify {shlex.quote(directory)}"


def _digest(file: FileReport) -> str:
    if file.sha256:
        return code(file.sha256)
    return f"not read whole; the store calls it {code(file.etag)}" if file.etag else "not known"


def _particulars(report: Report) -> Iterator[tuple[str, str]]:
    source, dialect = report.source, report.dialect
    key = f", its entry {code(source.weights_key)}" if source.weights_key else ""
    yield "container", f"{safe(source.container)}{key}"
    if source.prefixes:
        yield "prefixes taken off", ", ".join(map(code, source.prefixes))
    if source.side_files:
        yield "settings beside it", ", ".join(map(code, source.side_files))
    yield "read as", f"{code(dialect.name)}, {safe(dialect.layout)}"
    if dialect.sha256:
        yield "dialect file", code(dialect.sha256)
    yield "because", safe(dialect.reason)
    yield "described from", safe(dialect.source)
    yield "made by", safe(", ".join(f"{name} {version}" for name, version in report.versions.items()))
