"""Names that several of Llama's kin share: what the file cannot show is asked, and wrong answers are caught."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, Writing, convert, plan
from ckpt2hf.errors import FactsError, MappingError, UnsupportedError
from dialects.llama_cases import CASES, freqs_cis, litgpt_config, oracle
from dialects.llama_names import HABITS, ON_HEADS
from dialects.llama_oracle import TIME, Oracle

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).resolve().parents[1]


def own_code(folder: Path, name: str) -> str:
    """The user's model.py: the oracle of a codebase as a class of its own."""
    text = (
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from dialects.llama_names import HABITS\nfrom dialects.llama_oracle import Oracle\n\n\n"
        f"class Mine(Oracle):\n    def __init__(self) -> None:\n        super().__init__(*HABITS[{name!r}])\n"
    )
    (folder / "model.py").write_text(text, encoding="utf-8")
    return f"{folder / 'model.py'}:Mine"


META = ["happy-llm", "baby-llama2", "minimind of February 2025"]
"""The same names and shapes; a bare state dict."""
TORCHTUNE = ["torchtune", "torchtune, Phi-3"]
"""The same names and shapes from one library, turned by pairs and by halves."""


def test_a_bare_file_with_meta_s_names_is_nobody_s(tmp_path: Path) -> None:
    path = CASES["happy-llm"].write(tmp_path / "run", oracle("happy-llm"))
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    said = str(refused.value)
    for dialect in ("llama2c", "happy-llm", "baby-llama2", "minimind", "meta-llama", "torchtitan"):
        assert f"--dialect {dialect} " in said
    for fact in ("rope_theta=1e6", "rope_theta=10000", "heads=N", "context=N"):
        assert f"--set {fact}" in said
    assert "llama3:8,1,4,8192" in said


def test_nobody_is_asked_where_two_codebases_agree(tmp_path: Path) -> None:
    """llama2.c, happy-llm and baby-llama2 are one function; every fact said, no name is needed."""
    path = CASES["happy-llm"].write(tmp_path / "run", oracle("happy-llm"))
    facts = ("heads=4", "context=16", "rope_theta=10000", "norm_eps=1e-5", "rope_scaling=none")
    assert plan(Request(source=path, facts=facts)).spec == plan(Request(source=path, **CASES["happy-llm"].said)).spec


@pytest.mark.parametrize("name", [*META, "cs336", "picotron", "lit-llama", "torchtitan of 2026", "smolgpt", *TORCHTUNE])
def test_the_user_s_own_code_decides(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.write(tmp_path / "run", oracle(name))
    known = tuple(fact for fact in case.said.get("facts", ()) if fact.startswith(("context", "rope_scaling")))
    decided = plan(
        Request(source=path, facts=known, reference=own_code(tmp_path, name), dialect=case.said.get("dialect"))
    )
    right = plan(Request(source=path, **case.said))
    assert decided.spec == right.spec


@pytest.mark.parametrize("name", [*META, "cs336", "picotron", "lit-llama", "torchtitan of 2026"])
@pytest.mark.parametrize("wrong", ["heads=2", "rope_theta=500", "norm_eps=1e-3"])
def test_a_wrong_fact_is_caught_by_the_user_s_own_code(name: str, wrong: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.write(tmp_path / "run", oracle(name))
    kept = tuple(fact for fact in case.said["facts"] if fact.partition("=")[0] != wrong.partition("=")[0])
    with pytest.raises(FactsError, match="none of the functions"):
        plan(Request(source=path, **{**case.said, "facts": (*kept, wrong)}, reference=own_code(tmp_path, name)))


@pytest.mark.parametrize("name", TORCHTUNE)
def test_torchtune_s_two_ways_to_turn_are_not_taken_for_each_other(name: str, tmp_path: Path) -> None:
    path = CASES[name].write(tmp_path / "run", oracle(name))
    other = next(f for each in TORCHTUNE if each != name for f in CASES[each].said["facts"] if "rope_layout" in f)
    kept = tuple(fact for fact in CASES[name].said["facts"] if "rope_layout" not in fact)
    with pytest.raises(FactsError, match="--set rope_layout=pairs") as asked:
        plan(Request(source=path, facts=kept))
    assert "--set rope_layout=halves" in str(asked.value)
    with pytest.raises(FactsError, match="none of the functions"):
        plan(Request(source=path, facts=(*kept, other), reference=own_code(tmp_path, name)))


def test_the_base_is_read_off_saved_angles_and_proved(tmp_path: Path) -> None:
    case = CASES["torchtitan"]
    path = case.write(tmp_path / "run", oracle("torchtitan"))
    made = plan(Request(source=path, **case.said))
    fact = made.candidate.resolution.facts["rope_theta"]
    assert (fact.value, fact.origin.value, fact.where) == (5e5, "tensors", "the angles in freqs_cis")
    with pytest.raises(FactsError, match="contradicts rope_theta = 500000"):
        plan(Request(source=path, dialect="torchtitan", facts=("heads=4", "rope_theta=10000")))


@pytest.mark.parametrize("place", [(3, 1), (15, 3)])
def test_angles_that_are_no_rope_are_not_left_out(place: tuple[int, int], tmp_path: Path) -> None:
    angles = freqs_cis(5e5)
    angles[place] *= torch.polar(torch.tensor(1.0), torch.tensor(0.01))
    path = tmp_path / "model.pth"
    torch.save({**oracle("torchtitan").state_dict(), "freqs_cis": angles}, path)
    with pytest.raises(MappingError, match="freqs_cis"):
        convert(Request(source=path, **CASES["torchtitan"].said), Writing(out=tmp_path / "out"))


@pytest.mark.parametrize("theta", [1e4, 5e5, 1e6, 123000.0])
def test_meta_s_frequencies_give_the_base(theta: float, tmp_path: Path, proved: Any) -> None:
    """Llama 1 and 2 saved `rope.freqs`; params.json does not say rope_theta."""
    model = oracle("meta-llama", theta=theta, stretch=None)
    case = CASES["meta-llama"]
    params = {"dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5, "vocab_size": -1}
    freqs = 1.0 / (theta ** (torch.arange(0, 8, 2).float() / 8))
    path = replace(case, beside={"params.json": params}).write(tmp_path / "run", model, **{"rope.freqs": freqs})
    report = proved(path, model, facts=("context=16",))
    assert report.spec["rope_theta"] == theta
    assert {left.name for left in report.left_out} == {"rope.freqs"}


def test_llama_2_without_frequencies_is_asked_for_the_base(tmp_path: Path) -> None:
    case = replace(
        CASES["meta-llama"], beside={"params.json": {"dim": 32, "n_layers": 2, "n_heads": 4, "norm_eps": 1e-5}}
    )
    path = case.write(tmp_path / "run", oracle("meta-llama", stretch=None))
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path, facts=("context=16",)))
    assert "--set rope_theta=10000" in str(refused.value)
    assert "--set rope_theta=500000" in str(refused.value)


def test_the_user_outranks_params_json(tmp_path: Path, proved: Any) -> None:
    """Llama 3.2 stretches by 32, which neither its params.json nor the code says."""
    model = oracle("meta-llama", stretch=(32, 1, 4, 8192))
    path = CASES["meta-llama"].write(tmp_path / "run", model)
    assert proved(path, model, facts=("context=16", "rope_scaling=llama3:32,1,4,8192")).dialect.id == "meta-llama"


def saved_on_heads(folder: Path, **changes: Any) -> Path:
    habits = replace(HABITS["qwen3-from-scratch"][1], **changes)
    return CASES["qwen3-from-scratch"].write(folder, Oracle(ON_HEADS, habits))


def test_the_axis_of_rope_is_asked_unless_the_codebase_is_named(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="position=rope_on_heads"):
        plan(Request(source=saved_on_heads(tmp_path / "run")))


def test_rope_on_the_head_axis_with_grouped_queries_is_refused(tmp_path: Path) -> None:
    path = saved_on_heads(tmp_path / "run", kv_heads=2)
    state = torch.load(path, weights_only=False)
    torch.save({"model_state_dict": state["model_state_dict"]}, path)
    with pytest.raises(UnsupportedError, match="position is rope_on_heads") as refused:
        plan(Request(source=path, dialect="qwen3-from-scratch", facts=("context=16",)))
    assert refused.value.exit_code == 1


REFUSED: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, Any], str]] = {
    "smolGPT with learned positions": (
        {
            "transformer.wte.weight": (40, 32),
            "transformer.wpe.weight": (16, 32),
            "transformer.h.0.ln_1.weight": (32,),
            "transformer.h.0.attn.c_attn.weight": (96, 32),
            "transformer.h.0.ffd.w1.weight": (44, 32),
        },
        {},
        "learned positions",
    ),
    "the blog post's Llama": (
        {
            "llama_blocks.llama_0.rms.scale": (16, 32),
            "llama_blocks.llama_0.attention.heads.0.w_q.weight": (32, 32),
        },
        {},
        "tokens after it",
    ),
    "modded-nanogpt": ({"qkvo_bank": (4, 32, 32)}, {"step": 1, "code": "import torch"}, "banks"),
    "minimind with shared experts": (
        {
            "tok_embeddings.weight": (40, 32),
            "layers.0.feed_forward.gate.weight": (4, 32),
            "layers.0.feed_forward.experts.0.w1.weight": (44, 32),
        },
        {},
        "shared experts",
    ),
    "torchtitan's experts": (
        {
            "tok_embeddings.weight": (40, 32),
            "layers.0.attention_norm.weight": (32,),
            "layers.0.moe.router.gate.weight": (4, 32),
            "layers.0.moe.expert_bias": (4,),
        },
        {},
        "a bias, expert_bias",
    ),
    "torchtune's Gemma 2": (
        {
            "tok_embeddings.weight": (40, 32),
            "layers.0.sa_norm.scale": (32,),
            "layers.0.sa_scale.scale": (32,),
            "norm.rms_norm.scale": (32,),
        },
        {},
        "scores of attention are capped",
    ),
    "CS336 without the gate": (
        {
            "token_embeddings.weight": (40, 32),
            "layers.0.attn.wqkv.weight": (96, 32),
            "layers.0.ffn.w1.weight": (44, 32),
            "layers.0.ffn.w2.weight": (32, 44),
            "ln_final.weight": (32,),
            "lm_head.weight": (40, 32),
        },
        {},
        "no ffn.w3",
    ),
    "CS336 without norms": (
        {
            "token_embeddings.weight": (40, 32),
            "layers.0.attn.q_proj.weight": (32, 32),
            "layers.0.ffn.w1.weight": (44, 32),
            "layers.0.ffn.w2.weight": (32, 44),
            "layers.0.ffn.w3.weight": (44, 32),
            "lm_head.weight": (40, 32),
        },
        {},
        "no ln1",
    ),
    "blueberry-llm's experts": (
        {
            "token_embedding.weight": (40, 32),
            "transformer_blocks.0.attention.qkv.weight": (96, 32),
            "transformer_blocks.0.attention.w_o.weight": (32, 32),
            "transformer_blocks.0.feed_forward.router.gate.weight": (4, 32),
            "transformer_blocks.0.feed_forward.experts.0.linear1.weight": (44, 32),
            "transformer_blocks.0.feed_forward.experts.0.linear2.weight": (32, 44),
        },
        {},
        "experts of two matrices",
    ),
    "litgpt's Pythia": (
        {
            "transformer.wte.weight": (40, 32),
            "transformer.h.0.attn.proj.weight": (32, 32),
            "transformer.h.0.mlp.fc.weight": (44, 32),
        },
        {},
        "GPT-NeoX",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_class_computes_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    tensors, beside, reason = REFUSED[name]
    state = {key: torch.randn(shape) for key, shape in tensors.items()}
    torch.save({**beside, "model": state} if beside else state, tmp_path / "model.pt")
    with pytest.raises(UnsupportedError, match=reason) as refused:
        plan(Request(source=tmp_path / "model.pt"))
    assert refused.value.exit_code == 1


LITGPT: dict[str, tuple[dict[str, Any], str]] = {
    "side by side": ({"parallel_residual": True}, "parallel_residual is true"),
    "capped scores": ({"attention_logit_softcapping": 50.0}, "attention_logit_softcapping is set"),
    "scaled scores": ({"attention_scores_scalar": 24}, "attention_scores_scalar is set"),
    "windows": ({"sliding_window_size": 8}, "sliding_window_size is set"),
    "norms of OLMo 2": ({"norm_qk_type": "olmo2"}, "norm_qk_type is olmo2"),
    "another norm": ({"norm_class_name": "LayerNorm"}, "this class has RMSNorm"),
    "partly turned": ({"rotary_percentage": 0.34}, "rope_dims"),
}


@pytest.mark.parametrize("setting", LITGPT)
def test_litgpt_s_other_settings_are_refused_by_name(setting: str, tmp_path: Path) -> None:
    change, reason = LITGPT[setting]
    case = replace(CASES["litgpt"], beside={"model_config.yaml": litgpt_config(**change)})
    with pytest.raises((UnsupportedError, FactsError), match=reason):
        plan(Request(source=case.write(tmp_path / "run", oracle("litgpt"))))


@pytest.mark.parametrize(
    ("adjusted", "stretch", "scaling"),
    [
        (
            {
                "rope_adjustments": dict(
                    zip(
                        ("factor", "low_freq_factor", "high_freq_factor", "original_max_seq_len"),
                        (8.0, 1.0, 4.0, 16),
                        strict=True,
                    )
                )
            },
            (8.0, 1.0, 4.0, 16),
            "llama3:8,1,4,16",
        ),
        ({"rope_interleave": True}, None, "none"),
    ],
)
def test_litgpt_s_rope_follows_its_settings(
    adjusted: dict[str, Any], stretch: Any, scaling: str, tmp_path: Path, proved: Any
) -> None:
    model = oracle("litgpt", stretch=stretch, pairs="rope_interleave" in adjusted)
    case = replace(CASES["litgpt"], beside={"model_config.yaml": litgpt_config(**adjusted)})
    assert proved(case.write(tmp_path / "run", model), model).spec["rope_scaling"] == scaling


def test_without_its_settings_litgpt_asks_for_all_of_them(tmp_path: Path, proved: Any) -> None:
    model = oracle("litgpt")
    path = CASES["litgpt"].write(tmp_path / "run", model)
    (path.parent / "model_config.yaml").unlink()
    facts = (
        *("heads=4", "kv_heads=2", "context=16", "norm=rmsnorm", "norm_eps=1e-5", "norm_offset=false"),
        *(
            "activation=silu",
            "rope_layout=halves",
            "rope_theta=1e4",
            "rope_dims=6",
            "rope_scaling=none",
            "embed_scale=1",
        ),
    )
    for left_out in facts:
        with pytest.raises(FactsError, match=f"--set {left_out.partition('=')[0]}"):
            plan(Request(source=path, facts=tuple(fact for fact in facts if fact != left_out)))
    proved(path, model, facts=facts)


def test_padded_rows_follow_the_forward_pass(tmp_path: Path, proved: Any) -> None:
    """litgpt computes the logits of its padded rows, so they stay; nanochat cuts them off."""
    model = oracle("litgpt")
    config = litgpt_config(vocab_size=37)
    path = replace(CASES["litgpt"], beside={"model_config.yaml": config}).write(tmp_path / "run", model)
    assert proved(path, model).spec["vocab"] == 40
    assert json.loads((path.parent / "model_config.yaml").read_text())["padded_vocab_size"] == 40


def test_a_window_one_too_wide_is_another_function(tmp_path: Path, proved: Callable[..., Any]) -> None:
    for name in ("rasbt-gemma3", "rasbt-olmo3", "rasbt-tiny-aya"):
        case, other = CASES[name], oracle(name, window=6)
        facts = tuple(fact.replace("sliding_window=5", "sliding_window=6") for fact in case.said["facts"])
        path = case.write(tmp_path / name, oracle(name))
        assert proved(path, other, facts=facts).spec["sliding_window"] == 6
        with torch.no_grad():
            tokens = torch.arange(TIME)[None]
            assert float((other(tokens)[0] - oracle(name)(tokens)[0]).abs().max()) > 1e-2
