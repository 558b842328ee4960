"""What became of the forms that were asked for: one table, and the reasons why any was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ckpt2hf.cli.console import ERR, OUT, rows
from ckpt2hf.report.wording import duration, size
from ckpt2hf.stages import BY_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ckpt2hf.api import Form

_HEADS = ("form", "size", "bits/weight", "KL", "KL 99%", "top-1", "ppl ratio", "cache top-1", "")


def show_forms(forms: Sequence[Form], directory: Path, *, quiet: bool) -> None:
    """The table on stdout; what was rejected on stderr, also where all else is quiet."""
    if not quiet:
        lines = [_HEADS, *(_cells(form) for form in forms)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for k, line in enumerate(lines):
            first, *others = zip(line, widths, strict=True)
            cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            OUT.print(Text("  ".join(cells).rstrip(), "" if k else "bold"))
        rows(_below(forms, directory))
    for form in forms:
        for problem in form.problems:
            ERR.print(Text(f"{form.report.id} rejected: {problem}", "bold red"))
        if form.kept:
            ERR.print(Text(f"{form.report.id} is kept as {form.kept}"))


def _cells(form: Form) -> tuple[str, ...]:
    report, price = form.report, form.report.price
    begin = (report.id, size(sum(file.bytes for file in report.files)), f"{report.bits_per_weight:.2f}")
    end = "rejected" if form.problems else "proved" if BY_ID[report.id].exact else "added"
    if price is None:
        return (*begin, "-", "-", "-", "-", "-", end)
    ratio = "-" if price.ppl_ratio is None else f"{price.ppl_ratio:.4f}"
    divergence = (f"{price.mean_kl:.1e}", f"{price.p99_kl:.1e}")
    return (*begin, *divergence, f"{price.top1:.2%}", ratio, f"{price.cache_top1:.2%}", end)


def _taken(forms: Sequence[Form]) -> list[str]:
    """What each process took; the largest memory is what a container has to allow."""
    width = max(len(form.report.id) for form in forms)
    took = [f"{duration(form.seconds)}, {size(form.peak_memory_bytes)} of memory" for form in forms]
    return [f"{form.report.id:{width}}  {said}" for form, said in zip(forms, took, strict=True)]


def _below(forms: Sequence[Form], directory: Path) -> list[tuple[str, str, str]]:
    tokens = forms[0].report.tokens
    of = {"drawn": "drawn from the vocabulary, the same every time", "ids": f"ids of {tokens.name}"}
    said = of.get(tokens.kind, f"the text {tokens.name}")
    lines = [("tokens", f"{tokens.tokens:,}, {said}", "")]
    lines += [("took" if not k else "", line, "") for k, line in enumerate(_taken(forms))]
    added = [file.name for form in forms if not form.problems for file in form.report.files]
    lines += [("files" if not k else "", str(directory / name), "") for k, name in enumerate(added)]
    notes = dict.fromkeys(note for form in forms for note in form.report.notes)
    return [*lines, *(("note", note, "dim") for note in notes)]
