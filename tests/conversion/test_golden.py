"""The golden checkpoints: what transformers computes from both weight files is what the codebase itself computed."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report

TOLERANCE = 5e-5  # on logits of unit scale: float32 noise of these models is 2e-6 to 6e-6, a wrong eps is 1e-4 and more
HEADS = ("n_head", "n_heads", "num_heads", "num_attention_heads", "heads")
"""What codebases call the number of heads."""
BIT_IDENTICAL = {"nanogpt_bias", "nanogpt_nobias_origmod", "nanogpt_nobias_raw", "build_nanogpt"}


@pytest.mark.parametrize("use_safetensors", [True, False])
def test_both_files_compute_the_original_logits(
    every_golden: Any, converted: Callable[[str], tuple[Path, Report]], use_safetensors: bool
) -> None:
    out, report = converted(every_golden.name)
    assert report.verdict.proved
    model = AutoModelForCausalLM.from_pretrained(out, use_safetensors=use_safetensors).eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(every_golden.input_ids)).logits.numpy()
    assert every_golden.off(logits) <= (0.0 if every_golden.name in BIT_IDENTICAL else TOLERANCE)


@pytest.mark.transformers5
def test_transformers_5_computes_the_original_logits(
    flags: dict[str, Any],
    converted: Callable[[str], tuple[Path, Report]],
    golden: Callable[[str], Any],
    python_5x: Path,
    tmp_path: Path,
) -> None:
    script = tmp_path / "client.py"
    script.write_text(CLIENT, encoding="utf-8")
    jobs = [
        [
            name,
            str(converted(name)[0]),
            str(golden(name).path.parent / "expected.safetensors"),
            golden(name).gives_log_probabilities,
        ]
        for name in flags
    ]
    done = subprocess.run(
        [python_5x, "-W", "ignore", script, json.dumps(jobs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"].startswith("5.")
    assert set(found["differences"]) == {f"{name} {kind}" for name in flags for kind in ("safetensors", "bin")}
    for name, difference in found["differences"].items():
        assert difference <= (0.0 if name.split()[0] in BIT_IDENTICAL else TOLERANCE), name


CLIENT = """
import json, os, shutil, sys, tempfile
import torch, transformers
from safetensors.torch import load_file
found = {}
for name, out, expected, logarithms in json.loads(sys.argv[1]):
    wanted = load_file(expected)
    for kind, unwanted in (("safetensors", "pytorch_model.bin"), ("bin", "model.safetensors")):
        with tempfile.TemporaryDirectory() as alone:  # transformers 5 prefers safetensors: each file has to stand alone
            for file in os.listdir(out):
                if file != unwanted:
                    shutil.copy(os.path.join(out, file), alone)
            model, info = transformers.AutoModelForCausalLM.from_pretrained(
                alone, dtype=torch.float32, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], (name, info)
        with torch.no_grad():
            logits = model.eval()(wanted["input_ids"]).logits
        logits = logits.log_softmax(-1) if logarithms else logits
        found[f"{name} {kind}"] = (logits - wanted["logits"]).abs().max().item()
print(json.dumps({"version": transformers.__version__, "differences": found}))
"""


def test_without_the_needed_facts_the_refusal_names_the_flags(every_golden: Any, flags: dict[str, Any]) -> None:
    needed = flags[every_golden.name]
    if not needed:
        assert plan(Request(source=every_golden.path)).spec.heads in [every_golden.config.get(name) for name in HEADS]
        return
    with pytest.raises(FactsError) as refused:
        plan(Request(source=every_golden.path))
    said = str(refused.value)
    assert refused.value.exit_code == 2
    assert f"--dialect {needed['dialect']}" in said if "dialect" in needed else True
    assert all(fact.partition("=")[0] in said for fact in needed["facts"])


def test_what_the_flags_decide_is_what_the_codebase_did(every_golden: Any, flags: dict[str, Any]) -> None:
    spec = plan(Request(source=every_golden.path, **flags[every_golden.name])).spec.as_json()
    says = every_golden.semantics
    heads = [every_golden.config.get(name) for name in HEADS if name in every_golden.config]
    assert [spec["heads"]] * len(heads) == heads != []
    if not says:
        return  # a case of Llama's kin: its configuration is all that it says
    assert spec["activation"] == {"gelu_erf": "gelu"}.get(says["activation"], says["activation"])
    assert (spec["tied"], spec["head_bias"], spec["norm_eps"]) == (says["tied"], says["lm_head_bias"], says["ln_eps"])


def test_report_accounts_for_every_source_tensor(
    every_golden: Any, converted: Callable[[str], tuple[Path, Report]], flags: dict[str, Any]
) -> None:
    out, report = converted(every_golden.name)
    used = {source for tensor in report.tensors for source in tensor.sources}

    left_out = {left.name for left in report.left_out}
    tensors = plan(Request(source=every_golden.path, **flags[every_golden.name])).checkpoint.tensors
    assert used | left_out == set(tensors)
    assert not used & left_out
    assert json.loads((out / "conversion.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report.lasting()))
    assert set(load_file(out / "model.safetensors")) == {tensor.name for tensor in report.tensors}
