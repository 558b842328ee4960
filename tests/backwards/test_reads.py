"""Every target reads what it writes, the defaults of its class included, and refuses by name what a spec cannot say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import transformers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ckpt2hf.errors import FactsError, UnsupportedError
from ckpt2hf.ir import FIELDS, Activation, Factor, LayerPattern, ModelSpec, RopeScaling
from ckpt2hf.targets import TARGETS, Relation, Requirement, Target, target
from ckpt2hf.targets.read import read_config, target_of
from ckpt2hf.targets.read_rope import shortest
from ckpt2hf.targets.reads import READERS

if TYPE_CHECKING:
    from pathlib import Path

CONFIGS = {
    "gpt2": "GPT2Config",
    "openai-gpt": "OpenAIGPTConfig",
    "llama": "LlamaConfig",
    "qwen3": "Qwen3Config",
    "qwen3_moe": "Qwen3MoeConfig",
    "gemma3_text": "Gemma3TextConfig",
    "olmo3": "Olmo3Config",
    "cohere2": "Cohere2Config",
}
CONFIGS_5 = {"nanochat": "NanoChatConfig"}
"""Classes that only transformers 5 has."""
NEEDED = {"qwen3_moe": {"norm_topk_prob": True}, "olmo3": {"rope_theta": 5e5}}
"""What a configuration of these classes has to say: without it their defaults are refused.

In transformers 5, an OLMo 3 that says only `rope_theta` has another base in its sliding layers, except for this one."""
SIZES = st.integers(1, 6)
THETAS = st.sampled_from([1e4, 5e5, 1e6, 12345.0])


@st.composite
def specs(draw: st.DrawFn, known: Target) -> ModelSpec:
    """A random spec that the target accepts."""
    values: dict[str, Any] = {
        need.field: draw(st.sampled_from(need.allowed))
        for need in (*known.neutral, *known.requires)
        if isinstance(need, Requirement)
    }
    kv, groups, half = draw(SIZES), draw(SIZES), draw(SIZES)
    heads, head_dim, vocab = kv * groups, 2 * half, draw(st.integers(1, 999))
    filled = any(need.left == "inner" for need in known.requires if isinstance(need, Relation))
    values |= {
        "layers": draw(SIZES), "heads": heads, "kv_heads": heads if filled else kv, "head_dim": head_dim,
        "d_model": heads * head_dim if filled else draw(st.integers(1, 99)), "vocab": vocab, "embed_rows": vocab,
        "head_rows": vocab, "context": draw(st.integers(1, 999)), "d_ff": draw(st.integers(1, 999)),
    }  # fmt: skip
    if known.id == "openai-gpt":
        values["d_ff"] = 4 * values["d_model"]
    bias, pattern = draw(st.booleans()), shortest(draw(st.text("fs", min_size=1, max_size=values["layers"])))
    if known.id == "cohere2" and "s" not in pattern:
        pattern = "s"
    theta = draw(THETAS)
    windowed = "layer_pattern" in known.expresses
    free = {
        "norm_eps": draw(st.sampled_from([1e-5, 1e-6, 3e-7])), "activation": draw(st.sampled_from(list(Activation))),
        "tied": draw(st.booleans()), "qkv_bias": bias, "out_bias": bias, "mlp_bias": draw(st.booleans()),
        "rope_dims": head_dim, "rope_theta": theta if not windowed or "f" in pattern else 0.0,
        "rope_local_theta": (theta if known.id == "olmo3" else draw(THETAS)) if "s" in pattern else 0.0,
        "rope_scaling": RopeScaling(draw(st.sampled_from(["none", "linear:4", "llama3:8,1,4,64"]))),
        "layer_pattern": LayerPattern(pattern), "sliding_window": draw(SIZES) if "s" in pattern else 0,
        "attention_scale": Factor(draw(st.sampled_from(["head_dim**-0.5", "d_model**-0.5", "0.25", "0.3"]))),
        "logit_softcap": draw(st.sampled_from([0.0, 30.0])),
        "logit_scale": Factor(draw(st.sampled_from(["1", "0.0625"]))),
        "experts": 8, "experts_per_token": draw(SIZES),
    }  # fmt: skip
    values |= {name: value for name, value in free.items() if name in known.expresses and name not in values}
    return ModelSpec(**values)


@pytest.mark.parametrize("known", TARGETS, ids=lambda known: known.id)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(known: Target, data: st.DataObject) -> None:
    spec = data.draw(specs(known))
    assert not [problem.message for problem in known.problems(spec)]
    assert not spec.problems()
    said = read_config(known, json.loads(json.dumps(known.config(spec))), "here")
    found = ModelSpec(**{name: said[name].value for name in FIELDS})
    sizes = {"head_dim": spec.head_dim, "d_model": spec.d_model}
    # A scale is written as the square of its inverse: the number is the same, its spelling need not be.
    assert found.attention_scale.value(**sizes) == pytest.approx(spec.attention_scale.value(**sizes), rel=1e-15)
    assert replace(found, attention_scale=spec.attention_scale) == spec


def test_every_target_can_be_read() -> None:
    assert {known.id for known in TARGETS} <= set(READERS)


@pytest.mark.parametrize("known", [target(name) for name in CONFIGS], ids=lambda known: known.id)
def test_what_is_left_out_is_the_default_of_the_class(known: Target) -> None:
    needed = NEEDED.get(known.id, {})
    whole = getattr(transformers, CONFIGS[known.id])(**needed).to_dict()
    one, other = (read_config(known, config, "here") for config in (needed, whole))
    assert {name: said.value for name, said in one.items()} == {name: said.value for name, said in other.items()}
    assert not one["norm_eps"].told
    assert other["norm_eps"].told


REFUSED_THERE = ("is not a multiple of the number of attention heads", "query_pre_attn_scalar")
"""What transformers 5 refuses to open, saying so, and transformers 4 opens."""
THERE = f"""
import json, sys, transformers
def parsed(name, said):
    try:
        return getattr(transformers, name)(**said).to_dict()
    except Exception as error:
        if any(known in str(error) for known in {REFUSED_THERE!r}):
            return None
        raise
print(json.dumps([parsed(*job) for job in json.load(sys.stdin)]))
"""


def parsed_there(python_5x: Path, jobs: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any] | None]:
    """What transformers 5 makes of settings, each with the name of its class."""
    done = subprocess.run(
        [python_5x, "-W", "ignore", "-c", THERE], input=json.dumps(jobs), capture_output=True, text=True, check=True
    )
    found: list[dict[str, Any] | None] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.transformers5
def test_transformers_5_spells_it_otherwise_and_means_the_same(python_5x: Path) -> None:
    jobs = {name: (kind, NEEDED.get(name, {})) for name, kind in {**CONFIGS, **CONFIGS_5}.items()}
    configs = dict(zip(jobs, parsed_there(python_5x, list(jobs.values())), strict=True))
    assert "rope_parameters" in configs["llama"]
    assert "rope_theta" not in configs["llama"]
    for known in (each for each in TARGETS if each.id in jobs):
        new = read_config(known, configs[known.id], "here")
        old = read_config(known, NEEDED.get(known.id, {}), "here")
        apart = [name for name in FIELDS if new[name].value != old[name].value]
        assert not apart, known.id


@pytest.mark.transformers5
@settings(max_examples=3, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_transformers_5_understands_what_is_written(python_5x: Path, data: st.DataObject) -> None:
    classes = {**CONFIGS, **CONFIGS_5}
    drawn = [(known, data.draw(specs(known))) for known in TARGETS if known.id in classes for _ in range(10)]
    parsed = parsed_there(python_5x, [(classes[known.id], known.config(spec)) for known, spec in drawn])
    for (known, spec), config in zip(drawn, parsed, strict=True):
        assert (config is None) == bool(known.restrictions(spec)), (known.id, spec)
        if config is None:
            continue
        found = read_config(known, config, "here")
        names = [name for name in FIELDS if name != "attention_scale"]
        apart = {name: found[name].value for name in names if found[name].value != getattr(spec, name)}
        assert not apart, (known.id, spec)
    assert {known.id for (known, _), config in zip(drawn, parsed, strict=True) if config} >= {"olmo3", "qwen3", "gpt2"}


OLMO3 = [
    {"rope_theta": 12345.0},
    {},
    {"rope_theta": 12345.0, "layer_types": ["full_attention"], "num_hidden_layers": 1},
]
BASES = ("rope_theta", "rope_local_theta")


def bases(config: dict[str, Any], **answers: float) -> list[float]:
    said = read_config(target("olmo3"), config, "here", answers)
    return [said[name].value for name in BASES]


@pytest.mark.transformers5
@pytest.mark.parametrize("config", OLMO3)
def test_an_olmo3_means_what_the_transformers_that_wrote_it_reads(config: dict[str, Any], python_5x: Path) -> None:
    old = transformers.Olmo3Config(**config)
    sliding = old.rope_theta if "sliding_attention" in old.layer_types else 0.0
    assert bases({**config, "transformers_version": "4.57.6"}) == [old.rope_theta, sliding]
    (new,) = parsed_there(python_5x, [("Olmo3Config", config)])
    assert new is not None
    assert bases({**config, "transformers_version": "5.24.0"}) == bases(new)


@pytest.mark.parametrize(
    ("config", "fields"), [(OLMO3[0], ["rope_local_theta"]), (OLMO3[1], ["rope_theta", "rope_local_theta"])]
)
@pytest.mark.parametrize("version", [{}, {"transformers_version": None}, {"transformers_version": "6.0.0"}])
def test_an_olmo3_that_nobody_dated_is_asked_about(
    config: dict[str, Any], fields: list[str], version: dict[str, Any]
) -> None:
    with pytest.raises(FactsError, match="releases of transformers read") as refused:
        bases({**config, **version})
    asked = [remedy.partition("=")[0] for remedy in refused.value.remedies]
    assert asked == [f"--set {name}" for name in fields for _ in "45"]
    answers = dict.fromkeys(fields, 777.0)
    assert bases({**config, **version}, **answers) == [answers.get(name, 12345.0) for name in BASES]
    same = {"rope_theta": 5e5, **version}
    assert bases(same) == [5e5, 5e5]


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    ("known", "config", "said"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is True"),
        ("gpt2", {"activation_function": "mish"}, "activation_function is 'mish', which is not known here"),
        ("gpt2", {"n_embd": 10, "n_head": 3}, "n_embd is 10, which n_head, 3, does not divide"),
        ("gpt2", {"n_layer": "twelve"}, "n_layer is 'twelve'"),
        ("gpt2", {"n_layer": 2, "num_hidden_layers": 3}, "n_layer is 2, and num_hidden_layers, the same, 3"),
        ("openai-gpt", {"afn": "gelu_new"}, "afn is 'gelu_new', which is not known here"),
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling is 'yarn'"),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling is 'dynamic'"),
        ("llama", {"rope_scaling": LLAMA3}, "rope_scaling: rope_scaling takes"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_parameters is 'yarn'"),
        (
            "llama",
            {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
            "rope_parameters has rope_theta 500000.0, and rope_theta, which is older, is 10000.0",
        ),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ("qwen3", {"use_sliding_window": True}, "use_sliding_window is True"),
        ("qwen3", {"layer_types": ["sliding_attention"]}, "every layer has to see everything"),
        ("qwen3_moe", {}, "norm_topk_prob is False"),
        ("qwen3_moe", {"norm_topk_prob": True, "mlp_only_layers": [1]}, r"mlp_only_layers is \[1\]"),
        ("qwen3_moe", {"norm_topk_prob": True, "decoder_sparse_step": 2}, "decoder_sparse_step is 2"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
        ("gemma3_text", {"layer_types": ["full_attention"]}, "layer_types has to name"),
        ("cohere2", {"num_hidden_layers": 1, "layer_types": ["full_attention"]}, "no layer has RoPE"),
    ],
)
def test_what_a_spec_cannot_say_is_refused_by_name(known: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said) as refused:
        read_config(target(known), config, "here")
    assert refused.value.remedies


def test_both_spellings_of_scaled_rope() -> None:
    numbers = {**LLAMA3, "original_max_position_embeddings": 64}
    old = read_config(target("llama"), {"rope_theta": 5e5, "rope_scaling": numbers}, "here")
    new = read_config(target("llama"), {"rope_parameters": {"rope_theta": 5e5, **numbers}}, "here")
    assert [each["rope_scaling"].value for each in (old, new)] == [RopeScaling("llama3:8,1,4,64")] * 2
    assert [each["rope_theta"].value for each in (old, new)] == [5e5, 5e5]
    assert new["rope_theta"].where == "config.json: rope_parameters"


def test_the_class_is_found_by_its_name_or_its_type() -> None:
    for known in TARGETS:
        assert target_of({"architectures": [known.hf_class], "model_type": "other"}, TARGETS, "here") is known
        assert target_of({"model_type": known.id}, TARGETS, "here") is known
    for config in ({"architectures": ["GPT2Model"], "model_type": "gpt2"}, {"model_type": "mistral"}, {}):
        with pytest.raises(UnsupportedError, match="not known here"):
            target_of(config, TARGETS, "here")
