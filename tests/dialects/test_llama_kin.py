"""Llama's kin: what each codebase saves becomes a class that computes what the codebase computes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError
from dialects.llama_cases import CASES, litgpt_config, oracle
from dialects.llama_names import HABITS

if TYPE_CHECKING:
    from pathlib import Path

HERE = [name for name in CASES if name != "nanochat"]
"""Those whose class the transformers of this environment has."""
ALGEBRAIC = {"litgpt, Gemma", "qwen3-from-scratch", "torchtune, Gemma"}
"""One is added to weights, or embeddings are multiplied."""


def test_every_codebase_has_a_case() -> None:
    assert CASES.keys() == HABITS.keys()


@pytest.mark.parametrize("name", HERE)
def test_a_codebase_s_file_becomes_its_function(name: str, tmp_path: Path, proved: Any) -> None:
    case, model = CASES[name], oracle(name)
    report = proved(case.write(tmp_path / "run", model), model, **case.said)
    assert report.dialect.id in (case.said.get("dialect"), name.partition(",")[0].partition(" ")[0])
    assert report.exactness == ("algebraic" if name in ALGEBRAIC else "bitwise")


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].said.get("facts")])
def test_without_each_fact_the_refusal_names_it(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.write(tmp_path / "run", oracle(name))
    for left_out in case.said["facts"]:
        rest = {**case.said, "facts": tuple(fact for fact in case.said["facts"] if fact != left_out)}
        with pytest.raises(FactsError) as refused:
            plan(Request(source=path, **rest))
        assert f"--set {left_out.partition('=')[0]}" in str(refused.value).replace("--set '", "--set ")


@pytest.mark.parametrize("name", [name for name in CASES if "dialect" in CASES[name].said])
def test_where_others_share_the_names_the_dialect_has_to_be_named(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with pytest.raises(FactsError) as refused:
        plan(Request(source=case.write(tmp_path / "run", oracle(name))))
    assert f"--dialect {case.said['dialect']}" in str(refused.value)


OPENED = """
import sys
from transformers import AutoConfig
try:
    AutoConfig.from_pretrained(sys.argv[1])
except Exception as error:
    sys.exit(f"refused: {error}")
"""


def opened_there(python_5x: Path, out: Path) -> bool:
    done = subprocess.run([python_5x, "-W", "ignore", "-c", OPENED, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "refused: " in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.transformers5
def test_a_model_that_transformers_5_does_not_open_says_so(tmp_path: Path, proved: Any, python_5x: Path) -> None:
    beside = {"model_config.yaml": litgpt_config(n_head=6)}
    case, model = replace(CASES["litgpt"], beside=beside), oracle("litgpt", heads=6)
    report = proved(case.write(tmp_path / "run", model), model)
    assert "transformers 5 does not open this model: 6 heads do not divide the width of 32" in report.notes
    assert not opened_there(python_5x, tmp_path / "converted")
    model = oracle("litgpt")
    report = proved(CASES["litgpt"].write(tmp_path / "even", model), model)
    assert not report.notes
    assert opened_there(python_5x, tmp_path / "converted")


@pytest.mark.transformers5
@pytest.mark.parametrize(("scale", "exactness"), [(0.3, "algebraic"), (0.25, "bitwise")])
def test_a_scale_that_transformers_5_does_not_open_goes_into_a_norm(
    scale: float, exactness: str, tmp_path: Path, proved: Any, python_5x: Path
) -> None:
    case, model = CASES["rasbt-gemma3"], oracle("rasbt-gemma3", scale=scale)
    facts = (*(fact for fact in case.said["facts"] if "attention_scale" not in fact), f"attention_scale={scale}")
    report = proved(case.write(tmp_path / "run", model), model, **{**case.said, "facts": facts})
    assert (report.exactness, report.notes) == (exactness, ())
    assert opened_there(python_5x, tmp_path / "converted")
