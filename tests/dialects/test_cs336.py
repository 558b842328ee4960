"""Students' own versions of CS336's model: their ablations are asked for, and their buffers go both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import BackRequest, BackWriting, Request, Writing, convert, convert_back, plan
from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import FactsError, MappingError, UnsupportedError
from dialects.llama_cases import AS_THE_HANDOUT, CASES, oracle

if TYPE_CHECKING:
    from pathlib import Path

STUDENTS = ["cs336, wqkv", "cs336, fc_qkv", "cs336, Linear.w"]
ABLATIONS = ("norm_placement=pre", "norm_placement=post", "position=rope", "position=none", "rope_layout=pairs")
WITHOUT_ROPE = ("position=none", "rope_layout=none", "rope_theta=0", "rope_dims=0")


@pytest.mark.parametrize("named", [None, "cs336"])
@pytest.mark.parametrize("name", STUDENTS)
def test_what_an_ablation_changes_is_asked_even_of_a_file_that_is_named(
    name: str, named: str | None, tmp_path: Path
) -> None:
    with pytest.raises(FactsError) as refused:
        plan(Request(source=CASES[name].write(tmp_path / "run", oracle(name)), dialect=named))
    assert all(f"--set {fact}" in str(refused.value) for fact in ABLATIONS)


@pytest.mark.parametrize("name", STUDENTS)
def test_norms_after_the_sum_are_refused_by_name(name: str, tmp_path: Path) -> None:
    facts = tuple(fact.replace("=pre", "=post") for fact in CASES[name].said["facts"])
    with pytest.raises(UnsupportedError, match="norm_placement is post"):
        plan(Request(source=CASES[name].write(tmp_path / "run", oracle(name)), facts=facts))


def test_the_ablation_without_rope(tmp_path: Path, proved: Any) -> None:
    """A base so large that nothing turns but by what a float rounds away."""
    model = oracle("cs336, wqkv")
    model._turn = lambda x, *, local: x  # type: ignore[method-assign]  # noqa: ARG005 - the ablation
    facts = ("heads=4", "norm_placement=pre", "norm_eps=1e-5", "context=16", *WITHOUT_ROPE)
    path = CASES["cs336, wqkv"].write(tmp_path / "run", model)
    assert proved(path, model, dialect="cs336", facts=facts).spec["position"] == "none"


def test_buffers_are_left_out_and_made_again(tmp_path: Path) -> None:
    """The student's code loads only what has its mask and its tables, both columns of a pair side by side."""
    name = "cs336, Linear.w"
    source = CASES[name].write(tmp_path / "run", oracle(name))
    out, back = tmp_path / "hf", tmp_path / "back.pt"
    report = convert(Request(source=source, facts=AS_THE_HANDOUT), Writing(out=out))
    request = BackRequest(source=out, dialect="cs336", layout=report.dialect.layout, facts=AS_THE_HANDOUT)
    assert convert_back(request, BackWriting(out=back)).verdict.proved
    before, after = (open_checkpoint(path).tensors for path in (source, back))
    assert before.keys() == after.keys()
    for tensor, value in before.items():
        assert after[tensor].meta == value.meta
        assert np.allclose(after[tensor].load(), value.load(), rtol=0, atol=3e-6 if "rope" in tensor else 0)


def test_a_table_whose_columns_stand_elsewhere_is_not_left_out(tmp_path: Path) -> None:
    name = "cs336, Linear.w"
    state = CASES[name].wrap(oracle(name).state_dict())
    for tensor in [tensor for tensor in state if ".rope." in tensor]:
        columns = state[tensor][:, 0::2]
        state[tensor] = torch.cat([columns, columns], 1)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(MappingError, match="cos_cached"):
        convert(Request(source=tmp_path / "model.pth", facts=AS_THE_HANDOUT), Writing(out=tmp_path / "hf"))


def test_the_base_is_read_off_the_tables(tmp_path: Path) -> None:
    name = "cs336, Linear.w"
    case = replace(CASES[name], said={})
    made = plan(Request(source=case.write(tmp_path / "run", oracle(name)), facts=AS_THE_HANDOUT))
    assert made.candidate.resolution.facts["rope_theta"].origin.value == "tensors"
