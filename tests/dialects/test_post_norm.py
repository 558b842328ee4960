"""Norms after the sum: exact without a final norm; with one only numerically equal, and only where it is allowed."""

from __future__ import annotations

import json
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from ckpt2hf.api import Exactness, Level, Request, Writing, convert, plan, prove
from ckpt2hf.errors import FactsError, InexactError, MappingError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CLOSE = 1e-4
"""Largest float32 difference of logits of spread 5 here, five times what the final norm's forgotten eps costs
(measured: 1.5e-5)."""
FCC: dict[str, Any] = {"dialect": "fcc"}
WORDS: dict[str, Any] = {"dialect": "word-language-model", "facts": ("heads=3", "context=16")}
ALLOWED = {"allow": (Exactness.NUMERICAL,)}


@pytest.fixture
def fcc(models: Any, saved: Any) -> tuple[Path, Any]:
    model = models.loud(models.Lecture(post=True))
    return saved(model.state_dict()), model


def test_without_permission_a_final_norm_is_refused_and_the_option_is_named(fcc: tuple[Path, Any]) -> None:
    with pytest.raises(InexactError) as refused:
        plan(Request(source=fcc[0], **FCC))
    said = str(refused.value)
    assert "--allow numerically-equal" in said
    assert "2e-5" in said
    assert refused.value.exit_code == 2


def test_with_permission_it_is_proved_and_labelled(fcc: tuple[Path, Any], proved: Any, tmp_path: Path) -> None:
    report = proved(*fcc, noise=CLOSE, **FCC, **ALLOWED)
    assert report.exactness == "numerically equal"
    assert report.target == "OpenAIGPTLMHeadModel"
    checks = {check.name: check for check in report.verdict.checks}
    assert checks["float64 logits"].numbers["exactness"] == "numerically equal"
    assert checks["float64 logits"].numbers["tolerance"] == 2e-5 * checks["float64 logits"].numbers["scale"]
    steps = {made.id: made.exactness for made in report.rewrites}
    assert steps["final norm as a block of its own"] == "numerically equal"
    assert report.options["allow"] == ["numerically-equal"]
    config = json.loads((tmp_path / "converted" / "config.json").read_text(encoding="utf-8"))
    assert config["n_layer"] == report.spec["layers"] + 1
    again = prove(tmp_path / "converted", Request(source=fcc[0]), Level.LOGITS, threads=1)
    assert again.proved


def test_the_settings_file_can_allow_it(fcc: tuple[Path, Any]) -> None:
    path, _ = fcc
    (path.parent / "ckpt2hf.toml").write_text('dialect = "fcc"\nallow = "numerically-equal"\n', encoding="utf-8")
    assert plan(Request(source=path)).exactness is Exactness.NUMERICAL
    (path.parent / "ckpt2hf.toml").write_text('dialect = "fcc"\nallow = "anything"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="numerically-equal"):
        plan(Request(source=path))


def test_permission_changes_nothing_where_it_is_not_needed(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Lecture())
    flags = {"dialect": "karpathy-lecture", "facts": ("attention_scale=head_dim**-0.5",)}
    assert proved(saved(model.state_dict()), model, **flags, **ALLOWED).exactness == "algebraic"


def test_a_model_pickled_with_pickle_is_read_without_its_class(
    proved: Any, pickled: Any, tmp_path: Path, models: Any
) -> None:
    """As the course saves: pickle.dump(model, f)."""
    _, model = pickled(lambda module: module.loud(module.Lecture(post=True)))
    name = type(model).__module__
    sys.modules[name] = sys.modules[__name__]
    try:
        for part in {type(part) for part in model.modules() if type(part).__module__ == name}:
            setattr(sys.modules[__name__], part.__name__, part)
        path = tmp_path / "model-01.pkl"
        with path.open("wb") as file:
            pickle.dump(model, file)
    finally:
        del sys.modules[name]
    report = proved(path, models.loud(models.Lecture(post=True)), noise=CLOSE, **FCC, **ALLOWED)
    facts = {fact.field: fact for fact in report.facts}
    assert facts["activation"].origin == "module"
    assert facts["norm_placement"].origin == "dialect"


@pytest.mark.parametrize("inner", [50, 96])
def test_pytorch_s_own_encoder_layers(inner: int, gpts: Any, saved: Any, proved: Any) -> None:
    model = gpts.loud(gpts.WordLm(inner=inner))
    report = proved(saved(model.state_dict()), model, noise=CLOSE, **WORDS, **ALLOWED)
    steps = [made.id for made in report.rewrites]
    assert "sinusoids written down" in steps
    assert "the factor of the embedding into the table" in steps
    assert ("MLP of 50 filled up to 96" in steps) == (inner == 50)
    assert [left.name for left in report.left_out] == ["pos_encoder.pe"]


def test_without_a_final_norm_they_are_exact(gpts: Any, saved: Any, proved: Any) -> None:
    model = gpts.loud(gpts.WordLm(final=False))
    assert proved(saved(model.state_dict()), model, **WORDS).exactness == "algebraic"


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_with_norm_first_they_are_a_gpt_2(activation: str, gpts: Any, saved: Any, proved: Any) -> None:
    model = gpts.loud(gpts.WordLm(activation, norm_first=True))
    facts = (*WORDS["facts"], "norm_placement=pre", f"activation={activation}")
    report = proved(saved(model.state_dict()), model, dialect="word-language-model", facts=facts)
    assert report.target == "GPT2LMHeadModel"
    assert report.exactness == "algebraic"


def test_erf_gelu_after_the_sum_is_in_no_class(gpts: Any, saved: Any) -> None:
    path = saved(gpts.loud(gpts.WordLm("gelu")).state_dict())
    with pytest.raises(UnsupportedError, match="OpenAIGPTLMHeadModel cannot express") as refused:
        plan(Request(source=path, dialect="word-language-model", facts=(*WORDS["facts"], "activation=gelu"), **ALLOWED))
    assert "activation" in str(refused.value)


def test_what_the_names_do_not_show_is_asked(gpts: Any, saved: Any) -> None:
    path = saved(gpts.loud(gpts.WordLm()).state_dict())
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    said = str(refused.value)
    assert "--dialect word-language-model" in said
    assert all(f"--set {name}=" in said for name in ("activation", "norm_placement", "heads", "context"))
    with pytest.raises(FactsError, match="context") as refused:
        plan(Request(source=path, dialect="word-language-model", facts=("heads=3",)))
    assert "bptt" in str(refused.value)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_pickled_encoder_answers_itself(activation: str, gpts: Any, tmp_path: Path, *, norm_first: bool) -> None:
    model = gpts.loud(gpts.WordLm(activation, norm_first=norm_first))
    name = type(model).__module__
    sys.modules[name] = gpts
    try:
        torch.save(model, tmp_path / "model.pt")
    finally:
        del sys.modules[name]
    allowed = () if norm_first else (Exactness.NUMERICAL,)
    facts = ("context=16", "embed_scale=d_model**0.5")
    request = Request(source=tmp_path / "model.pt", facts=facts, dialect="word-language-model", allow=allowed)
    if activation == "gelu" and not norm_first:
        with pytest.raises(UnsupportedError, match="activation"):
            plan(request)
        return
    made = plan(request)
    assert made.spec.heads == 3
    assert made.spec.activation.value == activation
    assert made.spec.norm_placement.value == ("pre" if norm_first else "post")


def wrong_rows(table: torch.Tensor) -> torch.Tensor:
    return table.roll(1, 0)


@pytest.mark.parametrize(
    "change", [wrong_rows, lambda t: t * 1.001, lambda t: t.roll(1, 2), lambda t: t[:8], torch.zeros_like]
)
def test_a_table_that_is_not_the_sinusoids_is_not_left_out(change: Any, gpts: Any, saved: Any, tmp_path: Path) -> None:
    state = gpts.loud(gpts.WordLm()).state_dict()
    path = saved({**state, "pos_encoder.pe": change(state["pos_encoder.pe"])})
    with pytest.raises(MappingError, match=r"pos_encoder\.pe"):
        convert(Request(source=path, **WORDS, **ALLOWED), Writing(out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_level_of_the_extra_block_matters(fcc: tuple[Path, Any], tokens: torch.Tensor, tmp_path: Path) -> None:
    """The constant is the one that keeps the error small: a hundredth of it is seen."""
    out = tmp_path / "out"
    convert(Request(source=fcc[0], **FCC, **ALLOWED), Writing(out=out))
    theirs = AutoModelForCausalLM.from_pretrained(out).eval()
    with torch.no_grad():
        wanted = fcc[1](tokens)[0]
        good = float((theirs(tokens).logits - wanted).abs().max())
        theirs.transformer.h[-1].ln_1.weight *= 0.05
        bad = float((theirs(tokens).logits - wanted).abs().max())
    assert good < CLOSE < bad
