"""The other forms of a model: what each costs, as a table and as plots."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ckpt2hf.report.html.form_plots import plots
from ckpt2hf.report.html.markup import block, bullets, checks, code, folded, number, pairs, safe, section, table, value
from ckpt2hf.report.wording import counted, size
from ckpt2hf.stages import STAGES, Command
from ckpt2hf.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.report import Report
    from ckpt2hf.report.stages import PriceReport, StageReport, TokensReport

_HEADS = ("Form", "Size", "Bits/weight", "KL", "KL 99 %", "Top-1", "Ppl ratio", "Cache top-1", "Checks")
_LEGEND = (
    "<em>KL</em> is the divergence from float32 in nats per token: the mean, and the 99th percentile. <em>Top-1</em>: "
    "positions with the same most likely token. <em>Ppl ratio</em>: perplexity by that of float32. <em>Cache top-1</em>"
    ": positions at which a form has the same most likely token reading at once and token by token."
)
_KINDS = {
    "drawn": "drawn from the whole vocabulary, the same every time; text is kinder to most models",
    "ids": "token ids of the file {name}",
    "text": "the text {name}",
}


def forms(report: Report, directory: str) -> str:
    """The section; without forms, how to get some."""
    stages = report.stages
    if not stages:
        return section("Other forms", "forms", *_none(report, directory))
    return section(
        "Other forms",
        "forms",
        f"<p>{_measured(stages)}</p>",
        table(_HEADS, map(_row, stages), "forms", label="Forms by size and price"),
        f"<p class=small>{_LEGEND}</p>",
        plots(report),
        "<h3>How each was made and checked</h3>",
        *(folded(_summary(form), _details(form)) for form in stages),
    )


def _none(report: Report, directory: str) -> Iterator[str]:
    """That there are none, and how to get one, if one can be made of this class."""
    target = next((each.id for each in TARGETS if each.hf_class == report.target), "")
    able = [stage.id for stage in STAGES if target in stage.targets and stage.command is Command.QUANTIZE]
    if not able:
        yield f"<p>There are none: ckpt2hf {safe(report.versions.get('ckpt2hf', ''))} makes none of this class.</p>"
        return
    yield "<p>There are none yet. This adds a smaller file, and measures its price:</p>"
    yield block([f"ckpt2hf quantize {shlex.quote(directory)} --to {able[0]}"])


def _measured(stages: Sequence[StageReport]) -> str:
    """What all were measured on; where that differs, each says it for itself."""
    kinds = list(dict.fromkeys(form.tokens for form in stages))
    if len(kinds) == 1:
        return f"All were measured on the same {_tokens(kinds[0])}. The digest of the ids is {code(kinds[0].sha256)}."
    told = ", ".join(f"{code(form.id)} on {_tokens(form.tokens)}" for form in stages)
    return f"They were <b>not</b> measured on the same tokens, so compare with care: {told}."


def _tokens(tokens: TokensReport) -> str:
    kind = safe(_KINDS.get(tokens.kind, tokens.kind)).replace("{name}", code(tokens.name))
    return f"{number(tokens.tokens, counted(tokens.tokens, 'token'))}, {kind}"


def _row(form: StageReport) -> tuple[str, ...]:
    files = "".join(f"<small>{code(file.name)}</small>" for file in form.files)
    whole = sum(file.bytes for file in form.files)
    held = sum(each.passed for each in form.checks)
    return (
        f"<b>{code(form.id)}</b> {safe(form.title)}{files}",
        number(whole, size(whole)),
        number(form.bits_per_weight, f"{form.bits_per_weight:.2f}"),
        *_price(form.price),
        f"{held} of {len(form.checks)}",
    )


def _price(price: PriceReport | None) -> tuple[str, ...]:
    if price is None:
        return ('<span class="proved"><i>✓</i> proved</span>', "", "", "", "")
    ratio = "" if price.ppl_ratio is None else number(price.ppl_ratio, f"{price.ppl_ratio:.4f}")
    return (
        number(price.mean_kl, f"{price.mean_kl:.1e}"),
        number(price.p99_kl, f"{price.p99_kl:.1e}"),
        number(price.top1, f"{price.top1:.2%}"),
        ratio,
        number(price.cache_top1, f"{price.cache_top1:.2%}"),
    )


def _summary(form: StageReport) -> str:
    kept = f" <small>{counted(len(form.kept), 'tensor')} with more bits</small>" if form.kept else ""
    return f"{code(form.id)} {safe(form.title)}{kept}"


def _details(form: StageReport) -> str:
    parts = [pairs(_making(form), "made")]
    if form.kept:
        rows = ((code(each.name), safe(each.why)) for each in form.kept)
        parts.append(table(("With more bits", "Why"), rows, "kept", label=f"Tensors of {form.id} with more bits"))
    parts += [checks(form.checks, label=f"Checks of {form.id}"), bullets(map(safe, form.notes))]
    return "\n".join(parts)


def _making(form: StageReport) -> Iterator[tuple[str, str]]:
    yield "made from", code(form.made_from)
    yield "bits of matrices", number(form.matrix_bits, f"{form.matrix_bits:.2f}")
    if form.price is not None:
        yield "positions compared", number(form.price.tokens)
        yield "KL with and without cache", number(form.price.cache_kl, f"{form.price.cache_kl:.1e}")
    for name, each in form.settings.items():
        yield safe(name.replace("_", " ")), value(each)
    yield "with", safe(", ".join(f"{name} {version}" for name, version in form.versions.items()))
