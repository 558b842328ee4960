"""The facts of a model, by who said them: what a person decided comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.ir import written
from ckpt2hf.report.evidence import evidence_lines
from ckpt2hf.report.html import escaping
from ckpt2hf.report.html.markup import code, folded, safe, section, table
from ckpt2hf.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report.report import FactReport, Report

_ORIGINS = {
    "user": "a person decided",
    "reference": "the trainer's own code decided",
    "sample": "text decided",
    "side file": "a settings file beside it",
    "module": "the pickled module",
    "metadata": "the file's metadata",
    "dialect": "the published code",
    "tensors": "the tensors",
    "derived": "follows from others",
    "family": "all models of the family",
}
"""What each origin means, in the order in which a reader has to judge them."""
_HEADS = ("Fact", "Value", "Who says so", "Where")


def facts(report: Report) -> str:
    """The section: what is this model's own, then, folded away, what all models of its family have."""
    order = list(_ORIGINS)
    ranked = sorted(report.facts, key=lambda fact: order.index(fact.origin) if fact.origin in order else len(order))
    own = [fact for fact in ranked if fact.origin != "family"]
    shared = [fact for fact in ranked if fact.origin == "family"]
    told = "<p>Weights do not say what was computed with them. Each answer has an origin.</p>"
    return section(
        "Facts",
        "facts",
        told,
        _table(own, "Facts of this model"),
        folded(f"{counted(len(shared), 'fact')} that all models of the family share", _table(shared, "Shared facts"))
        if shared
        else "",
        _evidence(report),
    )


def _table(found: Sequence[FactReport], label: str) -> str:
    rows = (
        (
            code(fact.field),
            code(written(fact.value)),
            _who(fact),
            safe(fact.where),
        )
        for fact in found
    )
    return table(_HEADS, rows, "facts", label=label)


def _who(fact: FactReport) -> str:
    said = safe(_ORIGINS.get(fact.origin, fact.origin))
    return f"<span class=decided>{said}</span>" if fact.origin == "user" else said


def _evidence(report: Report) -> str:
    """What a sample of text showed."""
    if report.evidence is None:
        return ""
    body = f"<pre tabindex=0><code>{escaping.lines(chr(10).join(evidence_lines(report.evidence)))}</code></pre>"
    learned = "" if report.evidence.learned else "<p>It decides nothing: the model is no better than word counts.</p>"
    return folded("What a sample of text showed", body + learned)
