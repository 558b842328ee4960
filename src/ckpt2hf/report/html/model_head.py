"""The head of a model's page: what was proved, of what, and what was not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt2hf.report.html import escaping
from ckpt2hf.report.html.markup import bullets, code, number, pairs, safe
from ckpt2hf.report.wording import EXACTNESS, LEVELS, counted, parameters, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report.report import Report

_PERSON = ("user",)
_CODE = ("dialect", "family")


def headline(report: Report) -> str:
    """What was proved, in a line."""
    return LEVELS[report.verdict.level][0] if report.verdict.proved else "It was not proved"


def head(report: Report) -> str:
    """Name, verdict, and the model in numbers."""
    status, sign = _status(report)
    meaning = EXACTNESS.get(report.exactness, "").format(dtype=report.dtype)
    said = LEVELS[report.verdict.level][1] if report.verdict.proved else _failed(report)
    exact = f"Exactness: <b>{safe(report.exactness)}</b>{', ' + safe(meaning) if meaning else ''}."
    return (
        f"<header>\n<p class=output>{escaping.name(report.output)}</p>\n"
        f'<h1 class="{status}"><i>{sign}</i> {headline(report)}</h1>\n'
        f"<p class=verdict>{safe(said)}</p>\n<p class=verdict>{exact}</p>\n"
        f"{pairs(_particulars(report), 'particulars')}\n</header>"
    )


def unproved(report: Report) -> str:
    """What a reader could take for proved, and is not."""
    return bullets(_unproved(report), "open")


def _status(report: Report) -> tuple[str, str]:
    if not report.verdict.proved:
        return "failed", "✕"
    return ("proved", "✓") if report.verdict.level == "logits" else ("pending", "○")


def _failed(report: Report) -> str:
    names = ", ".join(each.name for each in report.verdict.checks if not each.passed)
    return f"Not as it should be: {names or 'nothing was checked'}."


def _particulars(report: Report) -> Iterator[tuple[str, str]]:
    spec, source = report.spec, report.source
    total = sum(math.prod(tensor.shape) for tensor in report.tensors)
    heads = f"{spec['heads']}" + (f", {spec['kv_heads']} for keys" if spec["kv_heads"] != spec["heads"] else "")
    held = sum(each.passed for each in report.verdict.checks)
    whole = sum(file.bytes for file in source.files)
    yield "class", code(report.target)
    yield "parameters", number(total, parameters(total))
    yield "layers, width, heads", safe(f"{spec['layers']}, {spec['d_model']}, {heads}")
    yield "context", counted(spec["context"], "token")
    yield "vocabulary", counted(spec["vocab"], "token")
    yield "number type", ", ".join(code(kind) for kind in dict.fromkeys(tensor.dtype for tensor in report.tensors))
    yield "checks", f"{held} of {len(report.verdict.checks)} held"
    if source.files:
        more = f" and {counted(len(source.files) - 1, 'more file')}" if len(source.files) > 1 else ""
        yield "converted from", f"{escaping.name(source.files[0].name)}{more}, {number(whole, size(whole))}"
    yield "read as", f"{code(report.dialect.name)}, {safe(report.dialect.layout)}"


def _unproved(report: Report) -> Iterator[str]:
    level = report.verdict.level
    if level != "logits":
        yield "<b>That it computes the same logits.</b> Nobody has compared them."
    if level == "structure":
        yield "<b>That its weights are those of the checkpoint.</b> They were not led back and compared."
    yield from _facts(report)
    if level == "logits":
        yield from _reach(report)
    if report.tokenizer is None:
        yield "<b>How text becomes token ids.</b> There is no tokenizer here."
    elif lost := [each.name for each in report.tokenizer.checks if not each.passed]:
        yield f"<b>That the tokenizer is that of the training.</b> Not held: {', '.join(map(safe, lost))}."
    if inexact := [form.id for form in report.stages if form.price is not None]:
        named = ", ".join(map(code, inexact))
        verb = "is" if len(inexact) == 1 else "are"
        yield f"<b>That every form is the same function.</b> {named} {verb} not; the price was measured."
    yield "<b>That the model is good.</b> How well it writes, and what it was trained on, is not known here."
    yield "<b>That no file has changed since.</b> This page tells of the conversion; <code>ckpt2hf verify</code> looks."


def _facts(report: Report) -> Iterator[str]:
    """Both sides of the proof take them from the same place, so it cannot show that they are right."""
    said = [fact.field for fact in report.facts if fact.origin in _PERSON]
    described = sum(fact.origin in _CODE for fact in report.facts)
    words = []
    if said:
        words.append(f"{', '.join(map(code, said))}: a person's word")
    if described:
        words.append(f"{counted(described, 'other')}: the published code of {code(report.dialect.id)}")
    if words:
        yield (
            "<b>That the facts are right which weights do not show.</b> Both sides of the proof use the same ones. "
            f"{'; '.join(words)}."
        )


def _reach(report: Report) -> Iterator[str]:
    """How much of all possible input was tried."""
    measured = next((each.numbers for each in report.verdict.checks if each.name.endswith("float32 logits")), {})
    tokens, last = measured.get("tokens"), measured.get("last_position")
    if isinstance(tokens, int):
        far = f", up to position {last + 1:,} of {report.spec['context']:,}" if isinstance(last, int) else ""
        yield f"<b>Every possible input.</b> Logits were compared on {counted(tokens, 'token')}{far}."
