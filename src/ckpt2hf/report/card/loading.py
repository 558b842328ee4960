"""How the model is loaded, as code that runs from its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.card.markdown import one_line
from ckpt2hf.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report.report import Report

_NEW, _PROMPT = 20, 3
"""Tokens that the code makes, and of what it begins with; a model with a short context gets fewer."""


def loading(report: Report) -> str:
    """The section: a block of Python, and what it needs."""
    notes = [f"{note}\n" for note in loading_notes(report)]
    return "\n".join(["## How to use it\n", "```python", *loading_code(report), "```\n", *notes])


def loading_code(report: Report) -> list[str]:
    """The lines of Python."""
    return [*_head(report), "", *_use(report)]


def loading_notes(report: Report) -> Iterator[str]:
    """What the code needs besides."""
    if needs := _needs(report):
        yield f"The class needs transformers {needs} or later."
    if not report.tokenizer:
        yield (
            "There is no tokenizer here. Token ids come from the one that the model was trained with, and must be "
            f"smaller than {report.spec['vocab']}."
        )


def _head(report: Report) -> list[str]:
    kind = "" if {tensor.dtype for tensor in report.tensors} <= {"float32"} else ', dtype="auto"'
    classes = "AutoModelForCausalLM, AutoTokenizer" if report.tokenizer else "AutoModelForCausalLM"
    return [
        *([] if report.tokenizer else ["import torch"]),
        f"from transformers import {classes}",
        "",
        'place = "."  # this directory, or the name of its repository on the Hub',
        *(["tokenizer = AutoTokenizer.from_pretrained(place)"] if report.tokenizer else []),
        f"model = AutoModelForCausalLM.from_pretrained(place{kind})  # a {one_line(report.target)}",
    ]


def _use(report: Report) -> list[str]:
    context, vocab = report.spec["context"], report.spec["vocab"]
    prompt = max(1, min(_PROMPT, vocab - 1, context - 1))
    words = f"max_new_tokens={max(1, min(_NEW, context - prompt))}, do_sample=False"
    ids = list(range(min(prompt, vocab - 1), 0, -1)) or [0]
    if report.tokenizer:
        return [
            f"text = tokenizer.decode({ids})  # your own text goes here",
            'inputs = tokenizer(text, return_tensors="pt")',
            f"output = model.generate(**inputs, {words})",
            "print(tokenizer.decode(output[0]))",
        ]
    return [
        f"ids = torch.tensor([{ids}])  # your own token ids go here",
        "seen = torch.ones_like(ids)",
        f"output = model.generate(ids, attention_mask=seen, {words})",
        "print(output[0].tolist())",
    ]


def _needs(report: Report) -> str:
    """The first release of transformers that has the class; empty where every supported one has it."""
    return next((each.transformers for each in TARGETS if each.hf_class == report.target), "")
