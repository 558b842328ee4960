"""The whole card, from one report: the same report and the same words give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.card.forms import forms
from ckpt2hf.report.card.front import front_matter
from ckpt2hf.report.card.loading import loading
from ckpt2hf.report.card.markdown import code, prose
from ckpt2hf.report.card.sections import (
    at_a_glance,
    cautions,
    changes,
    facts,
    proof,
    provenance,
    what_was_proved,
)
from ckpt2hf.report.card.tokenizer import tokenizer_section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report.card.words import CardWords
    from ckpt2hf.report.report import Report

_NEXT = """\
## Check it, and go on

`conversion.json` holds the whole report. In this directory:

```sh
sha256sum -c SHA256SUMS                            # the files are as they were written
ckpt2hf verify . --against PATH_OF_THE_CHECKPOINT  # proves all of this again
```
"""


def model_card(report: Report, words: CardWords) -> str:
    """`README.md` of a converted directory: front matter for the Hub, then Markdown for people."""
    dialect = report.dialect
    tags = ["ckpt2hf", *([] if dialect.file else [dialect.id])]  # the id in a file of one's own says nothing to others
    sections = [
        _title(report, words),
        proof(report),
        at_a_glance(report),
        loading(report),
        tokenizer_section(report.tokenizer),
        forms(report.stages),
        what_was_proved(report),
        facts(report),
        changes(report),
        cautions(report, words),
        provenance(report),
        _NEXT,
    ]
    return front_matter(words, tags) + "\n" + "\n".join(section for section in sections if section)


def _title(report: Report, words: CardWords) -> str:
    return "\n".join(_introduction(report, words)) + "\n"


def _introduction(report: Report, words: CardWords) -> Iterator[str]:
    source = report.source.files[0].name if report.source.files else "a checkpoint"
    made_by = f"ckpt2hf {report.versions.get('ckpt2hf', '')}".strip()
    yield f"# {prose(words.model_name or source)}\n"
    yield (
        f"This is a {code(report.target)} for transformers, converted from the PyTorch checkpoint "
        f"{code(source)} by {prose(made_by)}."
    )
