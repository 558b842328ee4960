"""How each class reads its `config.json`: the inverse of what a target writes, with the defaults of the class.

Source: huggingface/transformers 4.57.6 and 5.x, models/*/configuration_*.py: names, older names, and defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Activation, Factor
from ckpt2hf.targets.read_rope import layer_types, olmo3_rope, rope, windowed_rope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.targets.settings import Said, Settings

    Facts = dict[str, Said]

_ACTIVATIONS = {
    "gelu": Activation.GELU,
    "gelu_python": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_accurate": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "gelu_python_tanh": Activation.GELU_TANH,
    "relu": Activation.RELU,
    "relu2": Activation.RELU2,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
}
"""Names in transformers 4.57.6 and 5.x, activations.py (ACT2CLS)."""
_FIRST_GPT = {name: _ACTIVATIONS[name] for name in ("relu", "silu", "swish")} | {"gelu": Activation.GELU_TANH}
"""The first GPT's own table, where gelu is the tanh formula. Source: models/openai/modeling_openai.py (ACT_FNS)."""
_NOT_SAID = "ckpt2hf has no word for it"


def _sizes(s: Settings, defaults: tuple[int, int, int, int, int], context: str) -> Facts:
    """Sizes of the GPT-2 family: vocabulary, context, width, layers, heads, by their defaults."""
    names = (
        ("vocab", ("vocab_size",)),
        ("context", (context, "max_position_embeddings")),
        ("d_model", ("n_embd", "hidden_size")),
        ("layers", ("n_layer", "num_hidden_layers")),
        ("heads", ("n_head", "num_attention_heads")),
    )
    found = {name: s.said(name, words, default) for (name, words), default in zip(names, defaults, strict=True)}
    width, heads = found["d_model"].value, found["heads"].value
    if heads < 1 or width % heads:
        s.refused.append(f"n_embd is {width}, which n_head, {heads}, does not divide")
    return {
        **found,
        "kv_heads": s.follows(heads, "as many heads of keys as of queries"),
        "head_dim": s.follows(width // max(heads, 1), "n_embd / n_head"),
    }


def gpt2(s: Settings) -> Facts:
    """GPT2Config."""
    s.only("scale_attn_by_inverse_layer_idx", (False,), _NOT_SAID)
    s.only("scale_attn_weights", (True,), "attention kernels of transformers differ about it")
    s.only("add_cross_attention", (False,), _NOT_SAID)
    found = _sizes(s, (50257, 1024, 768, 12, 12), "n_positions")
    wide = 4 * found["d_model"].value
    return {
        **found,
        "d_ff": s.said("d_ff", "n_inner", wide),
        "norm_eps": s.said("norm_eps", "layer_norm_epsilon", 1e-5),
        "activation": s.said("activation", "activation_function", "gelu_tanh", lambda name: _ACTIVATIONS[name]),
        "tied": s.said("tied", "tie_word_embeddings", default=True),
    }


def openai_gpt(s: Settings) -> Facts:
    """OpenAIGPTConfig."""
    found = _sizes(s, (40478, 512, 768, 12, 12), "n_positions")
    return {
        **found,
        "d_ff": s.follows(4 * found["d_model"].value, "an MLP of four times the width"),
        "norm_eps": s.said("norm_eps", "layer_norm_epsilon", 1e-5),
        "activation": s.said("activation", "afn", "gelu_tanh", lambda name: _FIRST_GPT[name]),
        "tied": s.said("tied", "tie_word_embeddings", default=True),
    }


def _alike(s: Settings, defaults: dict[str, Any]) -> Facts:
    """What the classes of Llama's family have in common; `defaults` by setting."""

    def said(fact: str, name: str) -> Said:
        return s.said(fact, name, defaults[name])

    found = {
        "vocab": said("vocab", "vocab_size"),
        "d_model": said("d_model", "hidden_size"),
        "layers": said("layers", "num_hidden_layers"),
        "heads": said("heads", "num_attention_heads"),
        "d_ff": said("d_ff", "intermediate_size"),
        "context": said("context", "max_position_embeddings"),
        "tied": said("tied", "tie_word_embeddings"),
        "qkv_bias": s.said("qkv_bias", "attention_bias", default=False),
        "out_bias": s.said("out_bias", "attention_bias", default=False),
    }
    heads, width = found["heads"].value, found["d_model"].value
    found["kv_heads"] = s.said("kv_heads", "num_key_value_heads", defaults.get("num_key_value_heads", heads))
    found["head_dim"] = s.said("head_dim", "head_dim", defaults.get("head_dim", width // max(heads, 1)))
    act = "hidden_activation" if "hidden_activation" in defaults else "hidden_act"
    found["activation"] = s.said("activation", act, defaults.get(act, "silu"), lambda name: _ACTIVATIONS[name])
    found["rope_dims"] = s.follows(found["head_dim"].value, "RoPE turns the whole head")
    s.only("partial_rotary_factor", (1, 1.0), "this class turns the whole head")
    return found


def llama(s: Settings) -> Facts:
    """LlamaConfig."""
    return {
        **_alike(s, _sized(32000, 4096, 32, 32, 11008, 2048)),
        **rope(s, 10000.0),
        "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-6),
        "mlp_bias": s.said("mlp_bias", "mlp_bias", default=False),
    }


def qwen3(s: Settings) -> Facts:
    """Qwen3Config."""
    _full(s)
    defaults = _sized(151936, 4096, 32, 32, 22016, 32768) | {"head_dim": 128, "num_key_value_heads": 32}
    return {**_alike(s, defaults), **rope(s, 10000.0), "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-6)}


def qwen3_moe(s: Settings) -> Facts:
    """Qwen3MoeConfig."""
    _full(s)
    s.must("norm_topk_prob", True, False, "the shares of the chosen experts have to sum to one")
    s.only("decoder_sparse_step", (1,), "every layer has to have experts")
    s.only("mlp_only_layers", ([],), "every layer has to have experts")
    defaults = _sized(151936, 2048, 24, 32, 6144, 32768) | {"num_key_value_heads": 4}
    return {
        **_alike(s, defaults),
        **rope(s, 10000.0),
        "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-6),
        "d_ff": s.said("d_ff", "moe_intermediate_size", 768),
        "experts": s.said("experts", ("num_experts", "num_local_experts"), 128),
        "experts_per_token": s.said("experts_per_token", "num_experts_per_tok", 8),
    }


def gemma3(s: Settings) -> Facts:
    """Gemma3TextConfig."""
    s.only("attn_logit_softcapping", (), _NOT_SAID)
    s.only("use_bidirectional_attention", (False,), "this model is not causal")
    defaults = _sized(262208, 2304, 26, 8, 9216, 131072) | {"head_dim": 256, "num_key_value_heads": 4}
    defaults |= {"tie_word_embeddings": True, "hidden_activation": "gelu_tanh"}
    found = _alike(s, defaults)
    layers = layer_types(s, found["layers"].value, 6, 4096)

    def scale(scalar: float) -> Factor:
        named = {found["head_dim"].value: "head_dim**-0.5", found["d_model"].value: "d_model**-0.5"}
        return Factor(named.get(scalar) or repr(float(scalar) ** -0.5))

    return {
        **found,
        **layers,
        **windowed_rope(s, layers["layer_pattern"].value, full=1e6, sliding=1e4, local="rope_local_base_freq"),
        "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-6),
        "attention_scale": s.said("attention_scale", "query_pre_attn_scalar", scale(256), scale),
        "logit_softcap": s.said("logit_softcap", "final_logit_softcapping", 0.0),
    }


def olmo3(s: Settings) -> Facts:
    """Olmo3Config."""
    found = _alike(s, _sized(50304, 4096, 32, 32, 11008, 2048))
    layers = layer_types(s, found["layers"].value, 4, 4096)
    return {
        **found,
        **layers,
        **olmo3_rope(s, layers["layer_pattern"].value),
        "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-5),
    }


def cohere2(s: Settings) -> Facts:
    """Cohere2Config."""
    found = _alike(s, _sized(256000, 8192, 40, 64, 22528, 8192) | {"tie_word_embeddings": True})
    layers = layer_types(s, found["layers"].value, 4, 4096)
    ropes = windowed_rope(s, layers["layer_pattern"].value, full=1e4, sliding=1e4)
    if "s" not in layers["layer_pattern"].value.text:
        s.refused.append("layer_types has no sliding layer, so no layer has RoPE")
    return {
        **found,
        **layers,
        "rope_local_theta": ropes["rope_local_theta"],
        "norm_eps": s.said("norm_eps", "layer_norm_eps", 1e-5),
        "logit_scale": s.said("logit_scale", "logit_scale", 0.0625),
    }


def nanochat(s: Settings) -> Facts:
    """NanoChatConfig."""
    found = _alike(s, _sized(50304, 768, 12, 6, 8192, 2048) | {"hidden_act": "relu2"})
    uncapped = "final_logit_softcapping" in s.config and s.config["final_logit_softcapping"] is None
    cap = s.follows(0.0, "final_logit_softcapping is null")
    return {
        **found,
        **rope(s, 10000.0),
        "norm_eps": s.said("norm_eps", "rms_norm_eps", 1e-6),
        "logit_softcap": cap if uncapped else s.said("logit_softcap", "final_logit_softcapping", 15.0),
    }


def _sized(vocab: int, width: int, layers: int, heads: int, inner: int, context: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
    }


def _full(s: Settings) -> None:
    """Refuse sliding layers, which this target writes for no model."""
    s.only("use_sliding_window", (False,), "this target has the same attention in every layer")
    kinds = s.config.get("layer_types")
    if isinstance(kinds, list) and any(kind != "full_attention" for kind in kinds):
        s.refused.append(f"layer_types holds {sorted(set(map(str, kinds)))}: every layer has to see everything")


READERS: Mapping[str, Callable[[Settings], Facts]] = {
    "gpt2": gpt2,
    "openai-gpt": openai_gpt,
    "llama": llama,
    "qwen3": qwen3,
    "qwen3_moe": qwen3_moe,
    "gemma3_text": gemma3,
    "olmo3": olmo3,
    "cohere2": cohere2,
    "nanochat": nanochat,
}
"""By the id of the target: the fields that config.json says, or the class where it says nothing."""
