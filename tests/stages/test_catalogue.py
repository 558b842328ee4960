"""What stages there are, and what is said before any work begins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.errors import UsageError
from ckpt2hf.stages import PRESETS, STAGES, Command, Gates, Price, preflight, preset_here, stages_named
from ckpt2hf.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

_BOTH = {"gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text"}
SUPPORTED = {"onnx": _BOTH, "gguf": _BOTH | {"olmo3"}}
PRICE = Price(
    tokens=9,
    mean_kl=0.01,
    p99_kl=0.1,
    top1=0.97,
    ppl_ratio=1.02,
    cache_top1=1.0,
    cache_kl=0.0,
    key_errors=(0.01,),
    value_errors=(0.01,),
    logit_error=0.02,
)


def test_listing_them_imports_nothing_heavy() -> None:
    code = "import sys, ckpt2hf.stages; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "optimum", "onnx", "onnxruntime", "gguf", "llama_cpp"}
    assert not heavy & set(done.stdout.split())


def test_ids_and_files_are_unlike() -> None:
    assert len({stage.id for stage in STAGES}) == len({stage.path("a") for stage in STAGES}) == len(STAGES)
    assert [stage.id for stage in STAGES if stage.exact] == ["onnx", "gguf-f32"]
    for stage in STAGES:
        assert [other.id for other in STAGES if other.is_path(stage.path("My-GPT-134M-v1.0"))] == [stage.id]


@pytest.mark.parametrize("path", ["onnx/model.onnx_data", "gguf/-F16.gguf", "gguf/a/b-F16.gguf", "gguf/a-f16.gguf", ""])
def test_other_files_are_no_forms(path: str) -> None:
    assert not any(stage.is_path(path) for stage in STAGES)


def test_names_are_understood() -> None:
    names = ("onnx-q4", "onnx-q8", "onnx-q4")
    assert [stage.id for stage in stages_named(names, Command.QUANTIZE)] == ["onnx-q8", "onnx-q4"]
    for wrong, said in ((("onnx-q5",), "no form 'onnx-q5'"), (("onnx",), "not made by quantize"), ((), "no form")):
        with pytest.raises(UsageError, match=said):
            stages_named(wrong, Command.QUANTIZE)


def test_what_a_family_does_not_know_is_refused_by_name() -> None:
    for target in TARGETS:
        for family, said in (("onnx", "optimum-onnx exports"), ("gguf", "llama.cpp computes")):
            stages = [stage for stage in STAGES if stage.family == family]
            problems = preflight(target.hf_class, stages)
            if target.id in SUPPORTED[family]:
                assert problems == []
            else:
                assert len(problems) == len(stages)
                assert all(target.hf_class in problem and f"{said} GPT2LMHeadModel" in problem for problem in problems)


@pytest.mark.parametrize(("family", "package"), [("onnx", "onnxruntime"), ("gguf", "llama_cpp")])
def test_a_missing_package_has_a_remedy(monkeypatch: pytest.MonkeyPatch, family: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    problems = preflight("GPT2LMHeadModel", STAGES)
    assert len(problems) == sum(stage.family == family for stage in STAGES)
    assert all(package in problem and f"pip install 'ckpt2hf[{family}]'" in problem for problem in problems)


def test_the_processor_is_known(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags : sse4 avx2 avx512f avx512_vnni\n", encoding="utf-8")
    assert preset_here("x86_64", info) == "avx512_vnni"
    info.write_text("flags : sse4 avx2\n", encoding="utf-8")
    assert preset_here("x86_64", info) == preset_here("x86_64", tmp_path / "none") == "avx2"
    assert preset_here("aarch64", info) == "arm64"
    assert preset_here() in PRESETS


def test_gates_let_pass_what_keeps_to_them() -> None:
    assert Gates().problems(PRICE) == []
    assert Gates(max_kl=0.01, min_top1=0.97, max_ppl_ratio=1.02).problems(PRICE) == []
    problems = Gates(max_kl=0.009, min_top1=0.98, max_ppl_ratio=1.01).problems(PRICE)
    assert [problem.split()[0] for problem in problems] == ["mean", "top-1", "perplexity"]


def test_no_number_passes_no_gate() -> None:
    nan = float("nan")
    broken = replace(PRICE, mean_kl=nan, p99_kl=nan, top1=nan, ppl_ratio=nan)
    assert len(Gates(max_kl=9.0, min_top1=0.0, max_ppl_ratio=9.0).problems(broken)) == 3
