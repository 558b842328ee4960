"""A converted model as one page that can be sent to somebody: complete in itself, and without any script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.card import loading_code, loading_notes
from ckpt2hf.report.html.frame import framed, part
from ckpt2hf.report.html.markup import block, bullets, checks, safe, section
from ckpt2hf.report.html.model_facts import facts
from ckpt2hf.report.html.model_forms import forms
from ckpt2hf.report.html.model_head import head, headline, unproved
from ckpt2hf.report.html.model_origin import cautions, changes, files, origin, strange, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report.html.model_origin import ModelFile
    from ckpt2hf.report.report import Report


def render_model(report: Report, found: Sequence[ModelFile], directory: str) -> str:
    """The page of a directory with these files. Without lone surrogates: it can be written as UTF-8."""
    notes = "".join(f"<p>{safe(note)}</p>" for note in loading_notes(report))
    alarm = bullets((f'<span class="failed"><i>✕</i> {each}</span>' for each in strange(report, found)), "alarm")
    body = "\n".join(
        each
        for each in (
            head(report),
            "<main>",
            alarm,
            "<div class=pair>",
            section("How to load it", "load", block(loading_code(report)), notes),
            section("What this does not show", "unproved", unproved(report)),
            "</div>",
            cautions(report),
            forms(report, directory),
            section("What was proved", "proof", checks(report.verdict.checks, label="Checks")),
            tokenizer(report),
            facts(report),
            changes(report),
            origin(report),
            files(report, found, directory),
            "</main>\n",
        )
        if each
    )
    return framed(f"{headline(report)} · {report.output}", body, part("model.css"))
