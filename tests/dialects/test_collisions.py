"""One set of names, several functions: what is missing is asked for, and a wrong answer meets the user's own code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import Ckpt2hfError, FactsError
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from pathlib import Path

APART = 1e-4
"""What a wrong fact costs at least (tanh for erf GELU: 5e-4 here); right readings are within 4e-6."""


@dataclass(frozen=True)
class Function:
    """One of the functions behind a set of names."""

    file: str
    base: str
    arguments: dict[str, Any] = field(default_factory=dict)
    right: tuple[str, ...] = ()
    """All facts the names do not show."""
    wrong: tuple[str, ...] = ()
    """What others with these names do."""
    dialects: tuple[str, ...] = ()
    """Who saves these names: all are offered, as long as nobody says more."""


GPT2_NAMES = ("nanogpt", "build-nanogpt", "llmc")
MASKED_AND_TIED = ("nanogpt", "llmc")
MASKED_AND_APART = ("nanogpt", "mingpt", "makemore")
FUNCTIONS: dict[str, Function] = {
    "nanoGPT": Function(
        "models", "Fused", {}, ("heads=3", "activation=gelu"), ("activation=gelu_tanh", "heads=4"), GPT2_NAMES
    ),
    "build-nanogpt": Function(
        "models",
        "Fused",
        {"activation": "gelu_tanh"},
        ("heads=3", "activation=gelu_tanh"),
        ("activation=gelu", "heads=6"),
        GPT2_NAMES,
    ),
    "llm.c, nanoGPT of January 2023": Function(
        "models",
        "Fused",
        {"activation": "gelu_tanh", "mask": True},
        ("heads=3", "activation=gelu_tanh"),
        ("activation=gelu", "heads=2"),
        MASKED_AND_TIED,
    ),
    "minGPT, makemore, nanoGPT of December 2022": Function(
        "models",
        "Fused",
        {"activation": "gelu_tanh", "mask": True, "tied": False},
        ("heads=3", "activation=gelu_tanh"),
        ("activation=gelu", "heads=8"),
        MASKED_AND_APART,
    ),
    "ng-video": Function(
        "models",
        "Lecture",
        {},
        ("activation=relu", "attention_scale=head_dim**-0.5", "norm_placement=pre"),
        ("activation=gelu", "attention_scale=d_model**-0.5", "norm_placement=post"),
        ("az-course", "karpathy-lecture", "fcc"),
    ),
    "TransformerLens with erf GELU": Function(
        "models_kin",
        "Lens",
        {"activation": "gelu", "library": True},
        ("activation=gelu",),
        ("activation=gelu_tanh", "activation=relu"),
        ("transformerlens",),
    ),
    "x-transformers": Function(
        "models_kin",
        "XTransformer",
        {},
        ("norm_offset=true", "heads=3", "activation=gelu"),
        ("norm_offset=false", "activation=silu"),
        ("x-transformers",),
    ),
    "nn.TransformerEncoder, norm first": Function(
        "models_gpt",
        "WordLm",
        {"norm_first": True, "activation": "gelu"},
        ("norm_placement=pre", "activation=gelu", "heads=3", "context=16", "embed_scale=d_model**0.5"),
        ("norm_placement=post", "activation=relu", "heads=2", "embed_scale=1"),
        ("word-language-model",),
    ),
}


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Function:
    return FUNCTIONS[request.param]


@pytest.fixture
def made(function: Function, models: Any, gpts: Any, kin: Any, saved: Any) -> tuple[Path, Any]:
    module = {"models": models, "models_gpt": gpts, "models_kin": kin}[function.file]
    model = module.loud(getattr(module, function.base)(**function.arguments))
    return saved(model.state_dict()), model


def code(folder: Path, function: Function, models_file: Path) -> str:
    """The user's own file."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in function.arguments.items())
    base = f"class Mine({function.base}):\n    def __init__(self) -> None:\n        super().__init__({arguments})\n"
    source = models_file.with_name(f"{function.file}.py").read_text(encoding="utf-8")
    path = folder / "model.py"
    path.write_text(f"{source}\n\n{base}", encoding="utf-8")
    return f"{path}:Mine"


def with_one_wrong(function: Function, wrong: str) -> tuple[str, ...]:
    return (*(fact for fact in function.right if fact.partition("=")[0] != wrong.partition("=")[0]), wrong)


def test_without_facts_the_refusal_names_every_dialect_and_flag(function: Function, made: tuple[Path, Any]) -> None:
    with pytest.raises(FactsError) as refused:
        plan(Request(source=made[0]))
    said = str(refused.value)
    assert all(f"--dialect {dialect}" in said for dialect in function.dialects)
    assert "--reference" in said
    for wrong in function.wrong:
        name = wrong.partition("=")[0]
        assert f"{name}=" in said or f"{name}?" in said or (name == "heads" and "head_dim?" in said)


def test_the_user_s_own_code_settles_it(
    function: Function, made: tuple[Path, Any], models_file: Path, tmp_path: Path
) -> None:
    if function.base in ("XTransformer", "WordLm"):
        facts = tuple(f for f in function.right if f.partition("=")[0] in ("heads", "context", "embed_scale"))
    else:
        facts = ()
    decided = plan(Request(source=made[0], facts=facts, reference=code(tmp_path, function, models_file)))
    spec = decided.spec.as_json()
    for fact in function.right:
        name, _, value = fact.partition("=")
        assert str(spec[name]).lower() == value


def test_a_wrong_fact_is_caught_by_the_user_s_own_code(
    function: Function, made: tuple[Path, Any], models_file: Path, tmp_path: Path
) -> None:
    mine = code(tmp_path, function, models_file)
    for wrong in function.wrong:
        with pytest.raises(Ckpt2hfError) as refused:
            plan(Request(source=made[0], facts=with_one_wrong(function, wrong), reference=mine))
        assert refused.value.exit_code in (1, 2)


def test_a_wrong_fact_is_another_function(function: Function, made: tuple[Path, Any], tokens: torch.Tensor) -> None:
    with torch.no_grad():
        wanted = made[1](tokens)[0]
    tried = 0
    for dialect in function.dialects:
        for wrong in function.wrong:
            try:
                found = plan(Request(source=made[0], dialect=dialect, facts=with_one_wrong(function, wrong)))
            except Ckpt2hfError:
                continue
            logits = reference(found.spec, load_slots(found.slots, torch.float32), tokens)
            assert float((logits - wanted).abs().max()) > APART
            tried += 1
    assert tried


@pytest.mark.parametrize("dialect", ["mingpt", "makemore"])
def test_two_names_for_one_function_are_no_question(dialect: str, models: Any, saved: Any) -> None:
    """minGPT and makemore compute the same: with the facts said, nobody is asked whose code it was."""
    path = saved(models.loud(models.Fused("gelu_tanh", tied=False, mask=True)).state_dict())
    facts = ("heads=3", "activation=gelu_tanh")
    assert plan(Request(source=path, facts=facts)).spec == plan(Request(source=path, dialect=dialect, facts=facts)).spec
