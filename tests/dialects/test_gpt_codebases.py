"""Further GPT-2-like codebases: small models of each, saved as it saves them, held against their own logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import Ckpt2hfError, FactsError, MappingError
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots
from dialects.gpt_cases import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dialects.gpt_cases import Case, State

NOISE = 2e-5
"""Largest float32 difference of a right reading at these sizes (measured: 4e-6); exchanged tensors cost 1e-2 and more,
tanh for erf GELU 5e-4."""


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest, saved: Any) -> tuple[Case, Path, Any]:
    case = CASES[request.param]
    model = case.model()
    return case, saved(case.save(model.state_dict())), model


def test_it_computes_what_its_own_code_computes(made: tuple[Case, Path, Any], proved: Any) -> None:
    case, path, model = made
    report = proved(path, model, noise=NOISE, **case.said)
    assert report.exactness == case.exactness
    if not case.named:
        assert report.dialect.id == case.dialect


def test_without_the_needed_facts_the_refusal_names_the_flags(made: tuple[Case, Path, Any]) -> None:
    case, path, _ = made
    if not (case.named or case.facts):
        assert plan(Request(source=path)).candidate.fit.dialect.id == case.dialect
        return
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    said = str(refused.value)
    assert f"--dialect {case.dialect}" in said
    asked = {fact.partition("=")[0] for fact in case.facts} - {"heads", "head_dim"}
    assert all(f"--set {name}=" in said or f"--set '{name}=" in said for name in asked)
    assert "--reference" in said


def off(path: Path, flags: dict[str, Any], wanted: torch.Tensor, tokens: torch.Tensor) -> float | str:
    """Why a file is refused, or how far its function lies from the logits."""
    try:
        made = plan(Request(source=path, **flags))
    except Ckpt2hfError as error:
        return str(error)
    return float((reference(made.spec, load_slots(made.slots, torch.float32), tokens) - wanted).abs().max())


def mixed_up(state: State, trained: Iterable[str]) -> list[tuple[str, State]]:
    """The file with two tensors of one shape exchanged, or a square one turned."""
    found: list[tuple[str, State]] = []
    names = list(trained)
    for k, name in enumerate(names):
        part = state[name]
        if part.ndim == 2 and part.shape[0] == part.shape[1]:
            found.append((f"{name} turned", {**state, name: part.T.contiguous()}))
        other = next((each for each in names[k + 1 :] if state[each].shape == part.shape), None)
        if other and not torch.equal(part, state[other]):
            found.append((f"{name} for {other}", {**state, name: state[other], other: part}))
    return found


def test_tensors_in_one_another_s_place_show(made: tuple[Case, Path, Any], saved: Any, tokens: torch.Tensor) -> None:
    """So every tensor is used, each in its own place: what verification compares with is not blind to any."""
    case, _, model = made
    with torch.no_grad():
        wanted = model(tokens)[0]
    state = {name: part.clone() for name, part in model.state_dict().items()}
    right = off(saved(case.save(state)), case.said, wanted, tokens)
    assert isinstance(right, float)
    assert right <= NOISE
    tried = mixed_up(state, [name for name, _ in model.named_parameters()])
    assert len(tried) > 8
    for title, mutant in tried:
        found = off(saved(case.save(mutant)), case.said, wanted, tokens)
        assert isinstance(found, str) or found > NOISE, title


OPTIONAL = {
    "head.bias",
    "unembed.b_U",
    "to_logits.weight",
    "head.weight",
    "lm_head.weight",
    "language_model_head.weight",
}
"""A model without one of these is a model, too; it is another one, with a tied head or without a bias."""


def test_one_tensor_more_or_less_is_refused(made: tuple[Case, Path, Any], saved: Any) -> None:
    case, _, model = made
    state, flags = dict(model.state_dict()), {**case.said, "dialect": case.dialect}
    twins = [
        name
        for name, part in state.items()
        if any(part is not p and part.data_ptr() == p.data_ptr() for p in state.values())
    ]
    needed = {name for name, _ in model.named_parameters()} - OPTIONAL - set(twins)
    assert len(needed) > 10
    for name in needed:
        rest = {other: part for other, part in state.items() if other != name}
        with pytest.raises((FactsError, MappingError)):
            plan(Request(source=saved(case.save(rest)), **flags))
    with pytest.raises((FactsError, MappingError)):
        plan(Request(source=saved(case.save({**state, "extra.weight": torch.ones(3)})), **flags))


@pytest.mark.parametrize("name", ["commented-transformers", "affjljoo", "rasbt, fast", "nanogptplus", "makemore"])
def test_another_number_of_heads_is_another_function(name: str, saved: Any, tokens: torch.Tensor) -> None:
    case = CASES[name]
    model = case.model()
    with torch.no_grad():
        wanted = model(tokens)[0]
    path = saved(case.save(model.state_dict()))
    for heads in (1, 2, 4, 6, 8, 12, 24):
        found = off(path, {**case.said, "facts": (f"heads={heads}",)}, wanted, tokens)
        assert isinstance(found, str) or found > 0.1


def test_padding_that_the_training_code_hides_is_told(gpts: Any, saved: Any) -> None:
    path = saved(gpts.loud(gpts.Swish()).state_dict())
    assert any("pad_idx" in note for note in plan(Request(source=path, facts=("heads=3",))).notes)


def test_the_header_of_llm_c_is_a_mark_and_padding_rows_are_cut_off(models: Any, saved: Any, proved: Any) -> None:
    """What a .bin gives: one matrix for embedding and head, rows beyond the vocabulary, no mask, and its header."""
    model = models.loud(models.Fused("gelu_tanh"))
    state = {name: part for name, part in model.state_dict().items() if name != "lm_head.weight"}
    table = state["transformer.wte.weight"]
    state["transformer.wte.weight"] = torch.cat([table, torch.zeros(8, table.shape[1])])
    sizes = {"n_layer": models.LAYERS, "n_head": 3, "n_embd": models.WIDTH, "block_size": models.TIME}
    report = proved(saved({"model": state, "llmc": {**sizes, "vocab_size": models.VOCAB}}), model, noise=NOISE)
    assert report.dialect.id == "llmc"
    assert "llmc.n_head" in report.dialect.reason
    assert [made.id for made in report.rewrites] == ["8 unused rows cut off the embedding"]
    assert report.exactness == "bitwise"
