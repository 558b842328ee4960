"""Facts have origins; sources that disagree are an error; a word of the user outranks a dialect, never the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nanogpt(models: Any, saved: Any) -> Any:
    """A nanoGPT checkpoint with three heads, and whatever else its metadata is to say."""

    def make(**args: Any) -> Path:
        model = models.loud(models.Fused())
        sizes = {"n_layer": models.LAYERS, "n_head": 3, "n_embd": models.WIDTH, "block_size": models.TIME}
        return saved({"model": model.state_dict(), "model_args": {**sizes, "bias": True, **args}})

    return make


@pytest.fixture
def raw(models: Any, saved: Any) -> Path:
    """The same weights without any metadata."""
    return saved(models.loud(models.Fused()).state_dict())


@pytest.fixture
def lecture(models: Any, saved: Any) -> Path:
    return saved(models.loud(models.Lecture()).state_dict())


def origins(path: Path, **said: Any) -> dict[str, tuple[str, str]]:
    facts = plan(Request(source=path, **said)).candidate.resolution.facts
    return {name: (fact.origin.value, fact.where) for name, fact in facts.items()}


def refusal(path: Path, **said: Any) -> str:
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path, **said))
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_every_fact_says_where_it_came_from(nanogpt: Any) -> None:
    found = origins(nanogpt(), facts=("activation=gelu",))
    assert found["heads"] == ("metadata", "model_args.n_head")
    assert found["layers"] == ("metadata", "model_args.n_layer")
    assert found["vocab"] == ("tensors", "axis 0 of transformer.wte.weight")
    assert found["tied"][0] == "tensors"
    assert found["head_dim"] == ("derived", "d_model / heads")
    assert found["norm_eps"][0] == "dialect"
    assert "1e-5" in found["norm_eps"][1]
    assert found["activation"] == ("user", "--set activation")


def test_a_shape_gives_heads_where_each_is_a_module(lecture: Path) -> None:
    found = origins(lecture, dialect="karpathy-lecture", facts=("attention_scale=head_dim**-0.5",))
    assert found["heads"] == ("tensors", "number of blocks.{i}.sa.heads.{h}.key.weight")


def test_a_side_file_gives_heads(raw: Path) -> None:
    (raw.parent / "config.json").write_text(json.dumps({"n_head": 3}), encoding="utf-8")
    found = origins(raw, dialect="nanogpt", facts=("activation=gelu",))
    assert found["heads"] == ("side file", "config.json: n_head")


def test_the_user_s_own_file_gives_facts_and_the_dialect(raw: Path) -> None:
    text = 'dialect = "nanogpt"\n[set]\nheads = 3\nactivation = "gelu"\n'
    (raw.parent / "ckpt2hf.toml").write_text(text, encoding="utf-8")
    found = origins(raw)
    assert found["heads"] == ("user", "ckpt2hf.toml: heads")
    assert found["activation"] == ("user", "ckpt2hf.toml: activation")


def test_the_command_line_comes_before_the_user_s_own_file(raw: Path) -> None:
    text = 'dialect = "nanogpt"\n[set]\nheads = 4\nactivation = "gelu"\n'
    (raw.parent / "ckpt2hf.toml").write_text(text, encoding="utf-8")
    made = plan(Request(source=raw, facts=("heads=3",)))
    assert made.spec.heads == 3
    assert made.candidate.resolution.facts["heads"].where == "--set heads"


def test_the_user_cannot_contradict_the_metadata(nanogpt: Any) -> None:
    said = refusal(nanogpt(n_head=4), facts=("heads=3", "activation=gelu"))
    assert "heads = 3 (user: --set heads) contradicts heads = 4 (metadata: model_args.n_head)" in said


@pytest.mark.parametrize("fact", ["vocab=41", "context=8", "layers=3", "d_ff=24", "qkv_bias=false", "tied=false"])
def test_the_user_cannot_contradict_the_tensors(nanogpt: Any, fact: str) -> None:
    name, _, value = fact.partition("=")
    said = refusal(nanogpt(), facts=("activation=gelu", fact))
    assert f"{name} = {value} (user: --set {name}) contradicts {name} = " in said


@pytest.mark.parametrize(("args", "field"), [({"n_layer": 3}, "layers"), ({"n_embd": 48}, "d_model")])
def test_metadata_and_tensors_that_disagree_are_an_error(nanogpt: Any, args: dict[str, int], field: str) -> None:
    said = refusal(nanogpt(**args), facts=("activation=gelu",))
    assert f"{field} = " in said
    assert "contradicts" in said
    assert "metadata: model_args." in said
    assert "tensors: " in said


def test_a_side_file_that_disagrees_with_the_metadata_is_an_error(nanogpt: Any) -> None:
    path = nanogpt()
    (path.parent / "config.json").write_text(json.dumps({"n_head": 4}), encoding="utf-8")
    said = refusal(path, facts=("activation=gelu",))
    assert "heads = 3 (metadata: model_args.n_head) contradicts heads = 4 (side file: config.json: n_head)" in said


def test_a_side_file_that_disagrees_with_the_names_of_the_heads_is_an_error(lecture: Path) -> None:
    said: dict[str, Any] = {"dialect": "karpathy-lecture", "facts": ("attention_scale=head_dim**-0.5",)}
    settings = lecture.parent / "config.json"
    settings.write_text(json.dumps({"n_head": 3}), encoding="utf-8")
    assert plan(Request(source=lecture, **said)).candidate.resolution.facts["heads"].origin.value == "tensors"
    settings.write_text(json.dumps({"n_head": 4}), encoding="utf-8")
    assert "contradicts heads = 4 (side file: config.json: n_head)" in refusal(lecture, **said)


def test_the_user_outranks_a_side_file(raw: Path) -> None:
    (raw.parent / "config.json").write_text(json.dumps({"n_head": 4}), encoding="utf-8")
    made = plan(Request(source=raw, dialect="nanogpt", facts=("heads=3", "activation=gelu")))
    assert made.spec.heads == 3


def test_the_user_overrides_a_named_dialect_s_constant_and_the_fact_says_so(raw: Path) -> None:
    facts = ("heads=3", "activation=gelu", "norm_eps=1e-6")
    fact = plan(Request(source=raw, dialect="nanogpt", facts=facts)).candidate.resolution.facts["norm_eps"]
    assert (fact.value, fact.origin.value) == (1e-6, "user")
    assert "instead of 1e-05" in fact.where
    assert "LayerNorm.forward" in fact.where


def test_an_unnamed_dialect_s_constant_cannot_be_overridden(lecture: Path) -> None:
    said = refusal(lecture, facts=("attention_scale=head_dim**-0.5", "activation=silu", "norm_placement=pre"))
    assert "activation = Activation.SILU" not in said  # values as people write them
    assert "is not what this dialect does: relu (FeedFoward: nn.ReLU())" in said


def test_facts_alone_can_decide_between_dialects(lecture: Path) -> None:
    """Everything hidden is said, and only one codebase does that: it need not be named."""
    facts = ("attention_scale=d_model**-0.5", "norm_placement=pre", "activation=gelu")
    assert plan(Request(source=lecture, facts=facts)).candidate.fit.dialect.id == "az-course"
    facts = (*facts[:2], "activation=relu")
    assert plan(Request(source=lecture, facts=facts)).candidate.fit.dialect.id == "karpathy-lecture"


@pytest.mark.parametrize("heads", ["5", "7", "48"])
def test_heads_that_do_not_divide_the_width_are_refused(raw: Path, heads: str) -> None:
    with pytest.raises(FactsError):
        plan(Request(source=raw, dialect="nanogpt", facts=(f"heads={heads}", "activation=gelu")))


@pytest.mark.parametrize(
    "words",
    [
        ("heads",),
        ("heads=many",),
        ("head=3",),
        ("heads=3", "heads=4"),
        ("tied=perhaps",),
        ("norm_eps=nan",),
        ("heads=0",),
    ],
)
def test_words_that_make_no_sense_are_wrong_usage(raw: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        plan(Request(source=raw, dialect="nanogpt", facts=words))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("heads", [0, -3, 10**6, 10**5000], ids=["none", "negative", "many", "long"])
def test_a_number_that_no_model_has_is_refused_with_its_origin(nanogpt: Any, heads: int) -> None:
    told = refusal(nanogpt(n_head=heads), facts=("activation=gelu",))
    assert "(metadata: model_args.n_head), but heads takes a whole number from 1 to 65536" in told
    assert len(told) < 1000


def test_a_side_file_has_the_same_bounds(raw: Path) -> None:
    beside = raw.parent / "ckpt2hf.toml"
    for value in ("-1e-5", "1e6", "nan"):
        beside.write_text(f"[set]\nnorm_eps = {value}\n", encoding="utf-8")
        with pytest.raises(UsageError, match="norm_eps takes a number between 0 and 1"):
            plan(Request(source=raw))
