"""Forms of a GPT-2-shaped and a Llama-shaped model: right, priced, and loaded by optimum."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.api import look
from ckpt2hf.report import read_report

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.api import Form

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_float32_is_proved(formed: tuple[Path, dict[str, Form]]) -> None:
    report = formed[1]["onnx"].report
    assert formed[1]["onnx"].problems == ()
    checks = {check.name: check for check in report.checks}
    assert set(checks) == {"onnx logits", "onnx cache", "onnx padding", "onnx greedy text", "bits"}
    assert all(check.passed for check in report.checks)
    for name in ("onnx logits", "onnx cache", "onnx padding"):
        assert checks[name].numbers["positions"] > 48
        assert checks[name].numbers["max_abs"] < checks[name].numbers["limit"]
    assert checks["onnx greedy text"].numbers["new_tokens"] == 16
    assert report.price is None


def test_int8_and_int4_have_a_price(formed: tuple[Path, dict[str, Form]]) -> None:
    for name, bits in (("onnx-q8", 8), ("onnx-q4", 4)):
        report = formed[1][name].report
        assert report.price is not None
        assert 0 < report.price.mean_kl < report.price.p99_kl
        assert 0.3 < report.price.top1 < 1
        assert report.price.ppl_ratio is None
        assert bits < report.matrix_bits < bits + 3
        assert report.made_from == "onnx/model.onnx"
        assert report.tokens.kind == "drawn"
    int4, int8 = formed[1]["onnx-q4"].report, formed[1]["onnx-q8"].report
    assert int8.price
    assert int4.price
    assert int8.price.mean_kl < int4.price.mean_kl
    assert int4.price.cache_top1 == 1.0  # nothing is rounded on the way
    assert all("looked up" in kept.why for kept in int4.kept)


def test_almost_all_of_the_weights_that_multiply_are_int4(formed: tuple[Path, dict[str, Form]]) -> None:
    share = next(check.numbers["share"] for check in formed[1]["onnx-q4"].report.checks if check.name == "bits")
    assert share >= 0.95


def test_the_directory_knows_of_them(formed: tuple[Path, dict[str, Form]]) -> None:
    out, forms = formed
    report = read_report(out / "conversion.json")
    assert [each.id for each in report.stages] == ["onnx", "onnx-q8", "onnx-q4"]
    assert {each.id: each for each in report.stages} == {name: form.report for name, form in forms.items()}
    assert look(out, threads=1).proved
    words = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    assert subprocess.run(words, cwd=out, check=False).returncode == 0
    sums = (out / "SHA256SUMS").read_text(encoding="utf-8")
    for form in forms.values():
        assert [file.bytes for file in form.report.files] == [(out / f.name).stat().st_size for f in form.report.files]
        assert all(f"  {file.name}\n" in sums for file in form.report.files)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "## Other forms" in card
    assert "`onnx/model_q4.onnx`" in card
    assert not list(out.parent.glob("*partial*"))


def test_a_report_of_a_strange_form_is_refused(formed: tuple[Path, dict[str, Form]], tmp_path: Path) -> None:
    from ckpt2hf.errors import UsageError  # noqa: PLC0415

    tree = json.loads((formed[0] / "conversion.json").read_text(encoding="utf-8"))
    for change in ({"id": "onnx-q5"}, {"files": []}, {"tokens": {**tree["stages"][0]["tokens"], "kind": "guessed"}}):
        other = {**tree, "stages": [{**tree["stages"][0], **change}]}
        (tmp_path / "conversion.json").write_text(json.dumps(other), encoding="utf-8")
        with pytest.raises(UsageError, match="is not a report"):
            read_report(tmp_path / "conversion.json")


def test_optimum_loads_them_and_generates_with_cache(formed: tuple[Path, dict[str, Form]]) -> None:
    import torch  # noqa: PLC0415
    from optimum.onnxruntime import ORTModelForCausalLM  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    out = formed[0]
    ids = torch.tensor([[5, 3, 8, 2]])
    settings: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    plain = AutoModelForCausalLM.from_pretrained(out).eval()
    wanted = plain.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    for file in ("model.onnx", "model_quantized.onnx"):
        model: Any = ORTModelForCausalLM.from_pretrained(out, subfolder="onnx", file_name=file, use_io_binding=False)
        assert model.use_cache
        found = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
        assert found.shape == wanted.shape
        if file == "model.onnx":
            assert np.array_equal(found.numpy(), wanted.numpy())
