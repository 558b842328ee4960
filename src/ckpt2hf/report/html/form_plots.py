"""The plots of a model's forms, each drawn twice: for a wide page, and for a narrow one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.html.markup import code, folded, number, safe, table
from ckpt2hf.report.html.plots import Mark, Series, layers_plot, quality_plot
from ckpt2hf.report.html.plots.quality import nameless

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.report import Report
    from ckpt2hf.report.stages import StageReport

_WIDE, _NARROW = 960.0, 358.0
"""Units of width; at most one of them to a pixel on a narrow screen."""


def plots(report: Report) -> str:
    """Both figures; what has no price is in neither."""
    return "\n".join(each for each in (_quality(report), _layers(report.stages)) if each)


def _quality(report: Report) -> str:
    marks = [
        Mark(form.id, sum(file.bytes for file in form.files), form.price.mean_kl if form.price else None)
        for form in report.stages
    ]
    source = sum(file.bytes for file in report.source.files)
    wide = quality_plot(marks, source, width=_WIDE, height=460, key="quality-wide")
    narrow = quality_plot(marks, source, width=_NARROW, height=480, key="quality-narrow")
    if not wide:
        return ""
    missing = ", ".join(map(code, nameless(marks)))
    note = f" Not shown, because its price is no number: {missing}." if missing else ""
    return _figure(
        "Size against divergence",
        "Further down is closer to float32, further left is smaller. Filled: no other form is both. "
        f"The line is the least divergence that a size can buy.{note}",
        wide + narrow,
    )


def _layers(stages: Sequence[StageReport]) -> str:
    series = [
        Series(form.id, form.price.key_errors, form.price.value_errors, form.price.logit_error)
        for form in stages
        if form.price is not None
    ]
    wide = layers_plot(series, width=_WIDE, stacked=False, key="layers-wide")
    if not wide:
        return ""
    narrow = layers_plot(series, width=_NARROW, stacked=True, key="layers-narrow")
    return _figure(
        "Error layer by layer",
        "The norm of what differs from float32, by the norm of what there is: of the keys and values that each layer "
        "leaves in its cache, and of the logits at the end.",
        wide + narrow,
        folded("The numbers of this plot", "".join(_tables(series))),
    )


def _tables(series: Sequence[Series]) -> Iterator[str]:
    """A row for each layer, a column for each form."""
    heads = ("Layer", *(safe(each.name) for each in series))
    for title, found in (("Keys", [s.keys for s in series]), ("Values", [s.values for s in series])):
        layers = max(map(len, found))
        rows = [
            (str(k), *(number(each[k], f"{each[k]:.2e}") if k < len(each) else "" for each in found))
            for k in range(layers)
        ]
        if title == "Values":
            rows.append(("logits", *(number(each.logits, f"{each.logits:.2e}") for each in series)))
        body = table(heads, rows, "plain", label=f"{title}: relative errors")
        yield f"<h4>{title}</h4><div class=wide tabindex=0 role=region aria-label='{title}'>{body}</div>"


def _figure(title: str, caption: str, drawing: str, more: str = "") -> str:
    return f"<figure><h3>{title}</h3><figcaption>{caption}</figcaption>\n{drawing}\n{more}</figure>"
