"""What the codebases of Llama's kin call their tensors, and what their code does with them."""

from __future__ import annotations

from dataclasses import replace

import torch

from dialects.llama_oracle import VOCAB, Habits


def named(ends: tuple[str, str, str], block: str, **parts: str) -> dict[str, str]:
    """Embedding, final norm and head; then what is below a block."""
    return dict(zip(("embed", "final", "head"), ends, strict=True)) | {k: f"{block}.{v}" for k, v in parts.items()}


def without(names: dict[str, str], *parts: str) -> dict[str, str]:
    return {name: path for name, path in names.items() if name not in parts}


LM_HEAD = "lm_head.pp_block.weight"
META = named(
    ("tok_embeddings.weight", "norm.weight", "output.weight"),
    "layers.{i}",
    q="attention.wq.weight",
    k="attention.wk.weight",
    v="attention.wv.weight",
    o="attention.wo.weight",
    gate="feed_forward.w1.weight",
    down="feed_forward.w2.weight",
    up="feed_forward.w3.weight",
    norm1="attention_norm.weight",
    norm2="ffn_norm.weight",
)
TITAN = {
    **META,
    "head": "lm_head.weight",
    **{part: f"layers.{{i}}.attention.qkv_linear.w{part}.weight" for part in "qkv"},
}
TITAN_FUSED = {**without(TITAN, *"qkv"), "qkv": "layers.{i}.attention.qkv_linear.wqkv.weight"}
TITAN_NORMS = {f"{part}_norm": f"layers.{{i}}.attention.{part}_norm.weight" for part in "qk"}
TORCHTUNE = named(
    ("tok_embeddings.weight", "norm.scale", "output.weight"),
    "layers.{i}",
    **{part: f"attn.{part}_proj.weight" for part in "qkv"},
    o="attn.output_proj.weight",
    gate="mlp.w1.weight",
    down="mlp.w2.weight",
    up="mlp.w3.weight",
    norm1="sa_norm.scale",
    norm2="mlp_norm.scale",
)
TORCHTUNE_TIED = {**TORCHTUNE, "head": "tok_embeddings.weight"}
TORCHTUNE_QWEN2 = TORCHTUNE_TIED | {f"{p}_bias": f"layers.{{i}}.attn.{p}_proj.bias" for p in "qkv"}
TORCHTUNE_QWEN3 = TORCHTUNE | {f"{part}_norm": f"layers.{{i}}.attn.{part}_norm.scale" for part in "qk"}
NANOTRON = named(
    ("token_position_embeddings.pp_block.token_embedding.weight", "final_layer_norm.pp_block.weight", LM_HEAD),
    "decoder.{i}.pp_block",
    **{part: f"attn.qkv_proj.{part}.weight" for part in "qkv"},
    **{f"{part}_bias": f"attn.qkv_proj.{part}.bias" for part in "qkv"},
    o="attn.o_proj.weight",
    **{part: f"mlp.gate_up_proj.{part}.weight" for part in ("gate", "up")},
    down="mlp.down_proj.weight",
    norm1="input_layernorm.weight",
    norm2="post_attention_layernorm.weight",
)
"""What is fused in its files lies apart here, below the name of the whole."""
OLMO = named(
    ("transformer.wte.weight", "transformer.ln_f.weight", "transformer.ff_out.weight"),
    "transformer.blocks.{i}",
    qkv="att_proj.weight",
    o="attn_out.weight",
    up="ff_proj.up.weight",
    gate="ff_proj.gate.weight",
    down="ff_out.weight",
    norm1="attn_norm.weight",
    norm2="ff_norm.weight",
)
"""Here too what is fused in the file lies apart: `ff_proj` is up and gate."""
OLMO_2 = {**OLMO, **{f"{part}_norm": f"transformer.blocks.{{i}}.{part}_norm.weight" for part in "qk"}}
GPT_FAST = {**without(META, *"qkv"), "qkv": "layers.{i}.attention.wqkv.weight"}
LINGUA = {**META, "head": "output.tied_module.weight"}
CS336 = named(
    ("token_embeddings.weight", "ln_final.weight", "lm_head.weight"),
    "layers.{i}",
    q="attn.q_proj.weight",
    k="attn.k_proj.weight",
    v="attn.v_proj.weight",
    o="attn.output_proj.weight",
    gate="ffn.w1.weight",
    down="ffn.w2.weight",
    up="ffn.w3.weight",
    norm1="ln1.weight",
    norm2="ln2.weight",
)
CS336_WQKV = {**without(CS336, *"qkv"), "qkv": "layers.{i}.attn.wqkv.weight"}
CS336_FC = {**CS336_WQKV, "qkv": "layers.{i}.attn.fc_qkv.weight", "o": "layers.{i}.attn.fc_out.weight"}
CS336_W = named(
    ("embedding.embeddings", "norm.g", "out_linear.w"),
    "blocks.{i}",
    qkv="mult_head_atten.project.w",
    o="mult_head_atten.out_linear.w",
    gate="ffe.w1.w",
    down="ffe.w2.w",
    up="ffe.w3.w",
    norm1="rms_norm1.g",
    norm2="rms_norm2.g",
)
PICOTRON = named(
    ("embedding.weight", "final_norm.weight", "final_proj.weight"),
    "decoder_layers.{i}",
    **{part: f"attention.{part}_proj.weight" for part in "qkv"},
    o="attention.out_proj.weight",
    **{part: f"mlp.{part}_proj.weight" for part in ("gate", "up", "down")},
    norm1="input_layernorm.weight",
    norm2="post_attention_layernorm.weight",
)
LIT_ENDS = ("transformer.wte.weight", "transformer.ln_f.weight", "lm_head.weight")
LITGPT = named(
    LIT_ENDS,
    "transformer.h.{i}",
    qkv="attn.qkv.weight",
    o="attn.proj.weight",
    gate="mlp.fc_1.weight",
    up="mlp.fc_2.weight",
    down="mlp.proj.weight",
    norm1="norm_1.weight",
    norm2="norm_2.weight",
)
LITGPT_LEGACY = {**LITGPT, "qkv": "transformer.h.{i}.attn.attn.weight"}
LITGPT_QK = {**LITGPT, **{f"{p}_norm": f"transformer.h.{{i}}.attn.norm_{p}.weight" for p in "qk"}}
TINYLLAMA = {
    **LITGPT_LEGACY,
    "gate": "transformer.h.{i}.mlp.swiglu.w1.weight",
    "up": "transformer.h.{i}.mlp.swiglu.w2.weight",
    "down": "transformer.h.{i}.mlp.swiglu.w3.weight",
}
LIT_LLAMA = named(
    ("transformer.wte.weight", "transformer.ln_f.scale", "lm_head.weight"),
    "transformer.h.{i}",
    qkv="attn.c_attn.weight",
    o="attn.c_proj.weight",
    gate="mlp.c_fc1.weight",
    up="mlp.c_fc2.weight",
    down="mlp.c_proj.weight",
    norm1="rms_1.scale",
    norm2="rms_2.scale",
)
SMOLGPT = named(
    LIT_ENDS,
    "transformer.h.{i}",
    qkv="attn.c_attn.weight",
    o="attn.c_proj.weight",
    gate="ffd.w1.weight",
    down="ffd.w2.weight",
    up="ffd.w3.weight",
    norm1="ln_1.weight",
    norm2="ln_2.weight",
)
ON_HEADS = named(
    ("token_embedding.weight", "norm.weight", "lm_head.weight"),
    "transformer_blocks.{i}",
    **{part: f"attention.{part}_proj.weight" for part in "qkv"},
    **{f"{part}_norm": f"attention.{part}_norm.weight" for part in "qk"},
    o="attention.w_o.weight",
    **{part: f"feed_forward.{part}_proj.weight" for part in ("gate", "up", "down")},
    norm1="norm1.weight",
    norm2="norm2.weight",
)
NANOCHAT = without(
    named(
        LIT_ENDS,
        "transformer.h.{i}",
        **{part: f"attn.c_{part}.weight" for part in "qkv"},
        o="attn.c_proj.weight",
        up="mlp.c_fc.weight",
        down="mlp.c_proj.weight",
    ),
    "final",
)
MINIMIND = named(
    ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"),
    "model.layers.{i}",
    **{part: f"self_attn.{part}_proj.weight" for part in "qkvo"},
    **{f"{part}_norm": f"self_attn.{part}_norm.weight" for part in "qk"},
    **{part: f"mlp.{part}_proj.weight" for part in ("gate", "up", "down")},
    norm1="input_layernorm.weight",
    norm2="post_attention_layernorm.weight",
)
MINIMIND_MOE = {
    **MINIMIND,
    "router": "model.layers.{i}.mlp.gate.weight",
    **{part: f"model.layers.{{i}}.mlp.experts.{{e}}.{part}_proj.weight" for part in ("gate", "up", "down")},
}
TINY_ZH = without(MINIMIND, "q_norm", "k_norm") | {
    f"{part}_bias": f"model.layers.{{i}}.self_attn.{part}_proj.bias" for part in "qkv"
}
RASBT_ENDS = ("tok_emb.weight", "final_norm.weight", "out_head.weight")
RASBT = {"q": "att.W_query.weight", "k": "att.W_key.weight", "v": "att.W_value.weight", "o": "att.out_proj.weight"}
RASBT |= {"gate": "ff.fc1.weight", "up": "ff.fc2.weight", "down": "ff.fc3.weight"}
GEMMA3 = named(
    ("tok_emb.weight", "final_norm.scale", "out_head.weight"),
    "blocks.{i}",
    **RASBT,
    q_norm="att.q_norm.scale",
    k_norm="att.k_norm.scale",
    norm1="input_layernorm.scale",
    norm1_out="post_attention_layernorm.scale",
    norm2="pre_feedforward_layernorm.scale",
    norm2_out="post_feedforward_layernorm.scale",
)
OLMO3 = named(
    RASBT_ENDS,
    "blocks.{i}",
    **RASBT,
    q_norm="att.q_norm.weight",
    k_norm="att.k_norm.weight",
    norm1="post_attention_layernorm.weight",
    norm2="post_feedforward_layernorm.weight",
)
TINY_AYA = named(RASBT_ENDS, "trf_blocks.{i}", **RASBT, norm1="input_layernorm.weight")
QWEN3_MOE = {
    **named(
        ("tok_emb.weight", "final_norm.scale", "out_head.weight"),
        "trf_blocks.{i}",
        **without(RASBT, "gate", "up", "down"),
        q_norm="att.q_norm.scale",
        k_norm="att.k_norm.scale",
        norm1="norm1.scale",
        norm2="norm2.scale",
    ),
    "router": "trf_blocks.{i}.ff.gate.weight",
    "gate": "trf_blocks.{i}.ff.fc1.{e}.weight",
    "up": "trf_blocks.{i}.ff.fc2.{e}.weight",
    "down": "trf_blocks.{i}.ff.fc3.{e}.weight",
}

ROOT = float(torch.tensor(32**0.5))
"""What multiplies embeddings, rounded as torch rounds it."""
LLAMA = Habits()
MHA = replace(LLAMA, kv_heads=4)
HALVES = replace(LLAMA, pairs=False)
QWEN = replace(HALVES, qk="head", eps=1e-6, theta=1e6)
EPS_NONE = 1.1920928955078125e-07
HABITS: dict[str, tuple[dict[str, str], Habits]] = {
    "happy-llm": (META, replace(LLAMA, tied=True)),
    "baby-llama2": (META, replace(LLAMA, tied=True)),
    "minimind of February 2025": (META, replace(LLAMA, theta=1e6, tied=True)),
    "minimind with experts": (MINIMIND_MOE, replace(QWEN, head_dim=6, experts=4, chosen=1, tied=True)),
    "meta-llama": (META, replace(LLAMA, theta=5e5, stretch=(8, 1, 4, 8192))),
    "mistral-inference": (META, replace(LLAMA, head_dim=10, theta=1e6)),
    "lingua": (LINGUA, replace(LLAMA, theta=5e5, tied=True)),
    "torchtitan": (META, replace(LLAMA, theta=5e5)),
    "torchtitan of 2026": (TITAN, replace(LLAMA, theta=5e5)),
    "torchtitan, fused": (TITAN_FUSED, replace(LLAMA, theta=5e5, by_group=True)),
    "torchtitan-qwen3": (TITAN | TITAN_NORMS, replace(QWEN, head_dim=6)),
    "torchtitan-qwen3 before April 2026": (META | TITAN_NORMS, replace(QWEN, head_dim=6, tied=True)),
    "torchtitan-qwen3 of April 2026": ({**TITAN, "head": "output.weight"} | TITAN_NORMS, replace(QWEN, head_dim=6)),
    "torchtitan-qwen3, fused": (TITAN_FUSED | TITAN_NORMS, replace(QWEN, head_dim=6, by_group=True)),
    "torchtune": (TORCHTUNE, replace(LLAMA, theta=5e5)),
    "torchtune, Phi-3": (TORCHTUNE, HALVES),
    "torchtune, Llama 3.2": (TORCHTUNE_TIED, replace(LLAMA, theta=5e5, stretch=(32, 1, 4, 8192))),
    "torchtune, Qwen2": (TORCHTUNE_QWEN2, replace(HALVES, theta=1e6, eps=1e-6, bias=("q", "k", "v"))),
    "torchtune, Gemma": (
        TORCHTUNE_TIED,
        replace(LLAMA, kv_heads=1, head_dim=10, eps=1e-6, plus_one=True, times=ROOT, act="gelu_tanh"),
    ),
    "torchtune, Qwen3": (TORCHTUNE_QWEN3, replace(QWEN, head_dim=6)),
    "nanotron": (without(NANOTRON, "q_bias", "k_bias", "v_bias"), LLAMA),
    "nanotron, Qwen2": ({**NANOTRON, "head": NANOTRON["embed"]}, replace(HALVES, theta=1e6, bias=("q", "k", "v"))),
    "olmo": (OLMO, HALVES),
    "olmo, OLMo 2": (OLMO_2, replace(HALVES, qk="width", placement="output", eps=1e-6, theta=5e5)),
    "gpt-fast": (GPT_FAST, LLAMA),
    "cs336": (CS336, MHA),
    "cs336, wqkv": (CS336_WQKV, MHA),
    "cs336, fc_qkv": (CS336_FC, MHA),
    "cs336, Linear.w": (CS336_W, MHA),
    "tiny-llm-zh": (TINY_ZH, replace(HALVES, eps=1e-6, bias=("q", "k", "v"))),
    "picotron": (PICOTRON, HALVES),
    "litgpt": (LITGPT, replace(HALVES, head_dim=6)),
    "litgpt, legacy": (LITGPT_LEGACY, replace(HALVES, head_dim=6, by_group=True)),
    "litgpt with norms of q and k": (LITGPT_QK, replace(QWEN, head_dim=6)),
    "litgpt, Gemma": (LITGPT, replace(HALVES, head_dim=6, plus_one=True, times=ROOT, act="gelu_tanh", tied=True)),
    "tinyllama": (TINYLLAMA, replace(HALVES, by_group=True)),
    "lit-llama": (LIT_LLAMA, MHA),
    "smolgpt": (SMOLGPT, replace(MHA, pairs=False, minus=True, on_heads=True, eps=EPS_NONE, tied=True)),
    "qwen3-from-scratch": (
        ON_HEADS,
        replace(QWEN, kv_heads=4, minus=True, on_heads=True, theta=1e4, times=ROOT, tied=True),
    ),
    "nanochat": (
        NANOCHAT,
        replace(
            HALVES, minus=True, eps=EPS_NONE, qk="head", qk_after=True, act="relu2", cap=15.0, embed_norm=True, rows=64
        ),
    ),
    "rasbt-gemma3": (
        GEMMA3,
        replace(
            QWEN,
            layers=3,
            head_dim=6,
            plus_one=True,
            placement="sandwich",
            act="gelu_tanh",
            times=ROOT,
            slides="ssf",
            window=5,
            local_theta=1e4,
            scale=24**-0.5,
        ),
    ),
    "rasbt-olmo3": (
        OLMO3,
        replace(QWEN, layers=3, head_dim=6, qk="width", placement="output", slides="ssf", window=5, theta=5e5),
    ),
    "rasbt-tiny-aya": (
        TINY_AYA,
        replace(
            LLAMA,
            layers=3,
            head_dim=6,
            mean=True,
            placement="parallel",
            slides="ssf",
            window=5,
            theta=5e4,
            rope_full=False,
            logit_times=0.25,
            tied=True,
        ),
    ),
    "rasbt-qwen3 with experts": (QWEN3_MOE, replace(QWEN, head_dim=6, experts=5, chosen=2)),
}
"""By codebase: the names, and what the code does."""
assert VOCAB < 64
