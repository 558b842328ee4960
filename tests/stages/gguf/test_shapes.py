"""The chain for models shaped like Llama, with fewer heads of keys than of queries, and like Qwen 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpt2hf.api import Command, FormsRequest, Level, Request, Writing, convert, make_forms
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.language_model import class_of
from dialects.llama_cases import CASES, oracle
from support import EVERY_FLAGS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FORMS = ("gguf-f32", "gguf-f16", "gguf-q8_0", "gguf-q4_0")


def llama(repository: Path, _folder: Path) -> Request:
    """llama2.c: 6 heads of queries, 2 of keys; RoPE on pairs, in transformers on halves, in llama.cpp on pairs."""
    return Request(source=repository / "tests" / "golden" / "llama2c" / "checkpoint.pt", **EVERY_FLAGS["llama2c"])


def qwen3(_repository: Path, folder: Path) -> Request:
    """torchtune's Qwen 3: queries and keys are normalised."""
    name = "torchtune, Qwen3"
    return Request(source=CASES[name].write(folder / "run", oracle(name)), **CASES[name].said)


@pytest.mark.parametrize(("asked", "hf_class"), [(llama, "LlamaForCausalLM"), (qwen3, "Qwen3ForCausalLM")])
def test_from_checkpoint_to_quantized(asked: object, hf_class: str, repository: Path, tmp_path: Path) -> None:
    from ckpt2hf.stages.gguf.model import LlamaModel  # noqa: PLC0415 - loads llama.cpp

    assert callable(asked)
    out = tmp_path / "out"
    assert convert(asked(repository, tmp_path), Writing(out=out, level=Level.LOGITS)).verdict.proved
    assert class_of(out) == hf_class
    request = FormsRequest(directory=out, command=Command.CONVERT, forms=FORMS, keep_rejected=True)
    forms = {form.report.id: form for form in make_forms(request)}
    assert list(forms) == list(FORMS)
    for name in ("gguf-f32", "gguf-f16"):
        assert forms[name].problems == ()
        assert forms[name].report.notes == (
            "there is no tokenizer in the file: llama.cpp takes and gives ids only",
        )  # nothing is approximate
    near = next(check for check in forms["gguf-f32"].report.checks if check.name == "gguf logits")
    assert near.numbers["max_abs"] < near.numbers["limit"] / 10
    assert near.numbers["positions"] >= 500  # a whole context, so that a wrong RoPE would show
    prices = [form.report.price for form in forms.values()]
    assert all(prices)
    divergence = [price.mean_kl for price in prices if price]
    assert divergence == sorted(divergence)
    model = HuggingFaceModel(out, hf_class)
    file = next((out / "gguf").glob("*-F16.gguf"))
    text = np.array([[3, 1, 4]])
    while text.shape[1] < model.context:
        text = np.concatenate([text, model.logits(text)[:, -1:].argmax(-1)], 1)
    taken = LlamaModel(file, model.context).logits(text[:, :-1]).argmax(-1)[0, 2:]
    assert taken.tolist() == text[0, 3:].tolist()
