"""The sections of a card that tell what was converted, proved, changed and found."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ckpt2hf.ir import written
from ckpt2hf.report.card.markdown import bullets, code, prose, table
from ckpt2hf.report.card.tokenizer import checks_table
from ckpt2hf.report.wording import EXACTNESS, LEVELS, counted, parameters, reasons_left_out, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report.card.words import CardWords
    from ckpt2hf.report.parts import FileReport
    from ckpt2hf.report.report import Report

_FILES = 20
"""Source files that are named; a distributed checkpoint has thousands."""


def proof(report: Report) -> str:
    """What was proved, in a paragraph."""
    head, meaning = LEVELS[report.verdict.level]
    return f"**{head}.** {meaning}\n"


def at_a_glance(report: Report) -> str:
    """The model in numbers."""
    spec = report.spec
    total = sum(math.prod(tensor.shape) for tensor in report.tensors)
    heads = f"{spec['heads']}" + (f", {spec['kv_heads']} for keys" if spec["kv_heads"] != spec["heads"] else "")
    kinds = ", ".join(code(kind) for kind in dict.fromkeys(tensor.dtype for tensor in report.tensors))
    return table(
        ("class", code(report.target)),
        [
            ("parameters", parameters(total)),
            ("layers, width, heads", f"{spec['layers']}, {spec['d_model']}, {heads}"),
            ("context", counted(spec["context"], "token")),
            ("vocabulary", counted(spec["vocab"], "token")),
            ("number type", kinds),
            ("files", ", ".join(f"{code(file.name)} ({size(file.bytes)})" for file in report.files)),
        ],
    )


def what_was_proved(report: Report) -> str:
    """Every check with its numbers, and how exact the result is."""
    meaning = EXACTNESS.get(report.exactness, "").format(dtype=report.dtype)
    parts = ["## What was proved\n", f"Exactness: **{prose(report.exactness)}** ({prose(meaning)}).\n"]
    return "\n".join([*parts, checks_table(report.verdict.checks)])


def facts(report: Report) -> str:
    """What weights do not show by themselves, and who said it."""
    rows = [
        (code(fact.field), code(written(fact.value)), prose(fact.origin), prose(fact.where))
        for fact in report.facts
        if fact.origin != "family"
    ]
    head = (
        "## Where its facts come from\n\nWeights do not say what was computed with them. Each answer has an origin.\n"
    )
    return "\n".join([head, table(("fact", "value", "origin", "where"), rows)])


def changes(report: Report) -> str:
    """What was done to the weights besides giving them other names."""
    items = [f"{prose(each.id)} ({prose(each.exactness)}): {prose(each.why)}" for each in report.rewrites]
    if report.dtype:
        items.append(f"every number rounded to {code(report.dtype)}, as asked; the price is among the checks above")
    left_out = reasons_left_out(report.left_out)
    items += [f"left out: {counted(count, 'tensor')}, {prose(why)}" for why, count in left_out.items()]
    said = bullets(items) if items else "Nothing: every number of the checkpoint is there, as it was.\n"
    return f"## What was changed\n\n{said}"


def cautions(report: Report, words: CardWords) -> str:
    """What falls short, or looks strange; never empty, because this tool knows nothing of the training."""
    return "## What to keep in mind\n\n" + bullets(_cautions(report, words))


def _cautions(report: Report, words: CardWords) -> Iterator[str]:
    for finding in report.health:
        names = ", ".join(code(name) for name in finding.names[:_FILES])
        yield f"**{prose(finding.severity)}**: {prose(finding.message)} ({names})"
    for note in report.notes:
        yield prose(note)
    if report.exactness == "numerically equal":
        yield "The result is close to the checkpoint's, not equal: the difference is among the checks above."
    if report.exactness == "rounded":
        yield "Rounding has changed every logit a little: by how much is among the checks above."
    if report.verdict.level != "logits":
        yield "The logits were not compared: `ckpt2hf verify --against` can do that later."
    if report.evidence is not None and not report.evidence.learned:
        yield "On the sample of text that was given, this model is no better than word counts."
    if words.license is None:
        yield "Nobody has stated a licence for this model."
    yield "How well the model writes, and what it was trained on, is not known here: only that it is the same model."


def provenance(report: Report) -> str:
    """The source files by digest, the code that describes them, the programs."""
    source, dialect = report.source, report.dialect
    rows = [(code(each.name), size(each.bytes), _digest(each)) for each in source.files[:_FILES]]
    parts = ["## Where it comes from\n", table(("file", "size", "SHA-256"), rows)]
    if len(source.files) > _FILES:
        parts.append(f"and {counted(len(source.files) - _FILES, 'more file')}, named in `conversion.json`.\n")
    own = f", from the file {code(dialect.file)} with SHA-256 {code(dialect.sha256 or '')}" if dialect.file else ""
    key = f", its entry {code(source.weights_key)}" if source.weights_key else ""
    items = [
        f"container: {prose(source.container)}{key}",
        f"read as: {code(dialect.id)}, {prose(dialect.layout)}{own}",
        f"why: {prose(dialect.reason)}",
        f"described from: {code(dialect.source)}",
        *_sample(report),
        f"made by: {', '.join(prose(f'{name} {version}') for name, version in report.versions.items())}",
    ]
    return "\n".join([*parts, bullets(items)])


def _digest(file: FileReport) -> str:
    if file.sha256:
        return code(file.sha256)
    return f"not read whole; the store calls it {code(file.etag)}" if file.etag else "not known"


def _sample(report: Report) -> Iterator[str]:
    if (seen := report.evidence) is not None:
        decided = ", ".join(code(f"{name}={written(value)}") for name, value in seen.decided.items()) or "nothing"
        name = PurePosixPath(seen.sample).name
        yield f"a sample of text, {code(name)} with SHA-256 {code(seen.sha256)}, decided: {decided}"
