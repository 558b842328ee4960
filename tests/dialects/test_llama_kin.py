"""Llama's kin: what each codebase saves becomes a class that computes what the codebase computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError
from dialects.llama_cases import CASES, oracle
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
