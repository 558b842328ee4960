"""The questions a draft asks about facts that weights cannot show, each with the answers codebases give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.parts import text

if TYPE_CHECKING:
    from collections.abc import Mapping

QUESTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "heads": ("How many attention heads does a layer have?", {}),
    "kv_heads": ("How many heads of keys and values does a layer have?", {}),
    "context": ("How long were the sequences it was trained with?", {}),
    "experts_per_token": ("How many experts does a token go through?", {}),
    "norm": (
        "Which norm is it? The weights look the same.",
        {"layernorm": "nn.LayerNorm(bias=False): the mean is taken off", "rmsnorm": "RMSNorm: it is not"},
    ),
    "norm_placement": (
        "Where does a block normalise?",
        {"pre": "x + f(norm(x))", "post": "norm(x + f(x)); then write target = 'openai-gpt' above"},
    ),
    "norm_eps": (
        "What does the norm add to the variance?",
        {"1e-5": "the default of nn.LayerNorm", "1e-6": "the default of Flax"},
    ),
    "norm_offset": (
        "Does the norm multiply by its weight, or by 1 + weight?",
        {"false": "by the weight, as it is", "true": "by 1 + weight, as Gemma does"},
    ),
    "attention_scale": (
        "What are the scores q @ k multiplied with?",
        {
            "head_dim**-0.5": "the width of a head: F.scaled_dot_product_attention, nn.MultiheadAttention",
            "d_model**-0.5": "the width of the model: C**-0.5 of x's last axis",
        },
    ),
    "rope_layout": (
        "Which two numbers of a head does RoPE turn together?",
        {"halves": "rotate_half: x[: d / 2] with x[d / 2 :]", "pairs": "x[0::2] with x[1::2], or complex numbers"},
    ),
    "rope_theta": (
        "What is the base of RoPE's frequencies?",
        {"1e4": "the usual one", "5e5": "Llama 3", "1e6": "Qwen 3 and others"},
    ),
    "qk_norm_after_rope": (
        "Are queries and keys normalised before RoPE, or after it?",
        {"false": "before", "true": "after"},
    ),
}
"""For each fact the question and its usual answers with what they mean; without answers any number will do."""
ACTIVATION = {
    "gelu": "nn.GELU(), F.gelu: the exact form",
    "gelu_tanh": "nn.GELU(approximate='tanh'), new_gelu",
    "relu": "nn.ReLU, F.relu",
    "silu": "nn.SiLU, F.silu, x * sigmoid(x)",
    "relu2": "the square of ReLU",
}
GATED_ACTIVATION = {
    "silu": "SwiGLU: silu(gate(x)) * up(x)",
    "gelu": "GEGLU, with the exact form",
    "gelu_tanh": "GEGLU, with the tanh formula",
}
POSITION = {
    "rope": "RoPE: queries and keys are turned",
    "none": "by the mask alone; then rope_layout=none, rope_theta=0 and rope_dims=0 as well",
}
RMS_EPS = {
    "1e-5": "Llama",
    "1e-6": "Qwen, many others",
    "1.1920928955078125e-07": "nn.RMSNorm without eps, on float32",
}
"""What is usual where the norm may be RMSNorm."""
MLP = {"plain": "down(act(up(x)))", "gated": "down(act(gate(x)) * up(x))"}
NO_TABLE = {"sinusoidal": "a table of sines and cosines is computed and added", "none": "by the mask alone"}


def ask(question: str, answers: Mapping[str, str]) -> str:
    """A question as a source of a fact, as TOML writes it."""
    if not answers:
        return f"{{ ask = {text(question)} }}"
    told = ", ".join(f"{_key(answer)} = {text(meaning)}" for answer, meaning in answers.items())
    return f"{{ ask = {text(question)}, choices = {{ {told} }} }}"


def _key(answer: str) -> str:
    """An answer as a key of TOML: in quotes unless it is a word."""
    return answer if answer.isidentifier() else text(answer)


def question(field: str, more: str = "") -> str:
    """The question about a fact, with what else is known about it."""
    asked, answers = QUESTIONS[field]
    return ask(f"{asked} {more}".strip(), answers)
