"""The file from which Ollama makes a model of a GGUF file.

Source: ollama/ollama docs/modelfile.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpt2hf.report.wording import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.stages import StageReport

MODELFILE = "gguf/Modelfile"
"""Its name in the directory."""
_FIRST = ("gguf-q4_k_m", "gguf-q5_k_m", "gguf-q6_k", "gguf-q8_0", "gguf-q4_0", "gguf-f16", "gguf-bf16", "gguf-f32")
"""Which of several is taken: the type that Ollama's own library has, then what is larger."""


def with_text(stages: Sequence[StageReport]) -> list[StageReport]:
    """The GGUF files with a tokenizer, the one that most people want first."""
    able = {each.id: each for each in stages if each.id in _FIRST and each.settings["tokenizer"] != "none"}
    return [able[name] for name in _FIRST if name in able]


def modelfile(context: int, ends: Sequence[str], stages: Sequence[StageReport]) -> str | None:
    """The text; None where there is no GGUF file, or none with a tokenizer, without which Ollama can do nothing.

    `ends` are the tokens after which there is no text.
    """
    written = with_text(stages)
    return "\n".join(_lines(context, ends, written)) + "\n" if written else None


def _lines(context: int, ends: Sequence[str], forms: Sequence[StageReport]) -> Iterator[str]:
    taken, *others = forms
    yield "# ollama create NAME -f Modelfile   (in this folder; then: ollama run NAME)"
    yield f"FROM ./{_name(taken)}"
    for form in others:
        yield f"# FROM ./{_name(form)}   ({size(sum(file.bytes for file in form.files))})"
    yield "# The context it was trained with: beyond it, it has learned nothing."
    yield f"PARAMETER num_ctx {context}"
    for token in ends:
        yield f"PARAMETER stop {json.dumps(token, ensure_ascii=False)}"
    yield "# It goes on with a text as it is: a base model knows no roles and no chat."
    yield 'TEMPLATE """{{ .Prompt }}"""'


def _name(form: StageReport) -> str:
    return form.files[0].name.rpartition("/")[2]
