"""Further GPT-2-like codebases: small models of each, saved as it saves them, held against their own logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import Ckpt2hfError, FactsError, MappingError
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    State = dict[str, torch.Tensor]

NOISE = 2e-5
"""Largest float32 difference of a right reading at these sizes (measured: 4e-6); exchanged tensors cost 1e-2 and more,
tanh for erf GELU 5e-4."""


@dataclass(frozen=True)
class Case:
    """A codebase: its model, how it is saved, what a person who trained it types."""

    make: Callable[[Any, Any, Any], Any]
    dialect: str
    facts: tuple[str, ...] = ()
    named: bool = False
    """Whether the names alone do not say whose code it was, so that a person has to."""
    exactness: str = "algebraic"
    save: Callable[[State], Any] = dict

    @property
    def flags(self) -> dict[str, Any]:
        return {"dialect": self.dialect if self.named else None, "facts": self.facts}


X = ("head_dim=5", "norm_offset=true")
CASES: dict[str, Case] = {
    "makemore": Case(
        lambda m, _g, _k: m.Fused("gelu_tanh", tied=False, mask=True), "makemore", ("heads=3",), True, "bitwise"
    ),
    "llm.c": Case(lambda m, _g, _k: m.Fused("gelu_tanh", mask=True), "llmc", ("heads=3",), True, "bitwise"),
    "zero-to-hero": Case(
        lambda _m, g, _k: g.ZeroToHero(),
        "zero-to-hero",
        exactness="bitwise",
        save=lambda s: {"epoch": 2, "model_state_dict": s, "optimizer_state_dict": {}, "scheduler_state_dict": {}},
    ),
    "zero-to-hero, tied": Case(lambda _m, g, _k: g.ZeroToHero(tied=True), "zero-to-hero", exactness="bitwise"),
    "commented-transformers": Case(lambda _m, g, _k: g.Commented(), "commented-transformers", ("heads=3",)),
    "commented-transformers, untied": Case(
        lambda _m, g, _k: g.Commented(tied=False), "commented-transformers", ("heads=3",)
    ),
    "commented-transformers, no bias": Case(
        lambda _m, g, _k: g.Commented(head_bias=False, bias=False),
        "commented-transformers",
        ("heads=3",),
        exactness="bitwise",
    ),
    "nanogptplus": Case(lambda _m, g, _k: g.NanoGptPlus(), "nanogptplus", ("heads=3",)),
    "nanogptplus, head_dim said": Case(lambda _m, g, _k: g.NanoGptPlus(4), "nanogptplus", ("head_dim=4",)),
    "nanogptplus, no bias": Case(
        lambda _m, g, _k: g.NanoGptPlus(8, bias=False), "nanogptplus", ("heads=3",), exactness="bitwise"
    ),
    "affjljoo": Case(
        lambda _m, g, _k: g.Swish(),
        "affjljoo",
        ("heads=3",),
        exactness="bitwise",
        save=lambda s: {"model": s, "metrics": {"loss": 1.5}},
    ),
    "rasbt, fast": Case(lambda _m, _g, k: k.Rasbt(fused=True), "rasbt-gpt", ("heads=3",), exactness="bitwise"),
    "rasbt, fast and compiled": Case(
        lambda _m, _g, k: k.Rasbt(fused=True, bias=False),
        "rasbt-gpt",
        ("heads=3",),
        exactness="bitwise",
        save=lambda s: {f"_orig_mod.{name}": part for name, part in s.items()},
    ),
    "rasbt, einsum": Case(lambda _m, _g, k: k.Rasbt(fused=False), "rasbt-gpt", ("heads=3",), exactness="bitwise"),
    "rasbt, einsum without bias": Case(
        lambda _m, _g, k: k.Rasbt(fused=False, bias=False), "rasbt-gpt", ("heads=3",), exactness="bitwise"
    ),
    "x-transformers": Case(
        lambda _m, _g, k: k.XTransformer(),
        "x-transformers",
        X,
        True,
        save=lambda s: {f"net.{name}": part for name, part in s.items()},
    ),
    "x-transformers, heads said": Case(
        lambda _m, _g, k: k.XTransformer(size=4), "x-transformers", ("heads=3", "norm_offset=true"), True
    ),
    "x-transformers before 2024-06-27": Case(
        lambda _m, _g, k: k.XTransformer(plus=0), "x-transformers", ("head_dim=5", "norm_offset=false"), True
    ),
    "x-transformers with ff_swish": Case(
        lambda _m, _g, k: k.XTransformer(activation="silu"), "x-transformers", (*X, "activation=silu"), True
    ),
    "x-transformers of 2022": Case(
        lambda _m, _g, k: k.OldXTransformer(), "x-transformers", ("heads=3", "activation=gelu")
    ),
    "x-transformers of 2022, tied": Case(
        lambda _m, _g, k: k.OldXTransformer(8, tied=True), "x-transformers", ("head_dim=8", "activation=gelu")
    ),
    "ARENA": Case(lambda _m, _g, k: k.Lens(), "transformerlens", named=True),
    "ARENA, narrow heads": Case(lambda _m, _g, k: k.Lens(5), "transformerlens", named=True),
    "TransformerLens": Case(
        lambda _m, _g, k: k.Lens(activation="gelu", library=True), "transformerlens", ("activation=gelu",), True
    ),
}


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest, models: Any, gpts: Any, kin: Any, saved: Any) -> tuple[Case, Path, Any]:
    case = CASES[request.param]
    model = case.make(models, gpts, kin)
    maker = next(each for each in (models, gpts, kin) if hasattr(each, type(model).__name__))
    maker.loud(model)
    return case, saved(case.save(model.state_dict())), model


def test_it_computes_what_its_own_code_computes(made: tuple[Case, Path, Any], proved: Any) -> None:
    case, path, model = made
    report = proved(path, model, noise=NOISE, **case.flags)
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
    right = off(saved(case.save(state)), case.flags, wanted, tokens)
    assert isinstance(right, float)
    assert right <= NOISE
    tried = mixed_up(state, [name for name, _ in model.named_parameters()])
    assert len(tried) > 8
    for title, mutant in tried:
        found = off(saved(case.save(mutant)), case.flags, wanted, tokens)
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
    state, flags = dict(model.state_dict()), {**case.flags, "dialect": case.dialect}
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
def test_another_number_of_heads_is_another_function(
    name: str, models: Any, gpts: Any, kin: Any, saved: Any, tokens: torch.Tensor
) -> None:
    case = CASES[name]
    model = case.make(models, gpts, kin)
    next(each for each in (models, gpts, kin) if hasattr(each, type(model).__name__)).loud(model)
    with torch.no_grad():
        wanted = model(tokens)[0]
    path = saved(case.save(model.state_dict()))
    for heads in (1, 2, 4, 6, 8, 12, 24):
        found = off(path, {**case.flags, "facts": (f"heads={heads}",)}, wanted, tokens)
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


def test_conv1d_with_the_old_name_of_the_head(models: Any, saved: Any, proved: Any) -> None:
    """graykode's, after pytorch-pretrained-BERT: matrices `[in, out]`."""
    model = models.loud(models.Fused("gelu_tanh", mask=True))
    state = {
        name.replace("lm_head.", "lm_head.decoder."): part.T.contiguous() if ".c_" in name and part.ndim == 2 else part
        for name, part in model.state_dict().items()
    }
    report = proved(saved(state), model, noise=NOISE, facts=("heads=3",))
    assert (report.dialect.id, report.exactness) == ("graykode", "bitwise")
