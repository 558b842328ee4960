"""What names say: words that codebases use for each part of a model, gathered from all built-in dialects."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ckpt2hf.dialects.load import dialects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_BLOCK = re.compile(r"^.*\{[^{}]*i[^{}]*\}")
"""What stands before the name of a part of a block: how the list of layers is called says nothing about the part."""
_KINDS = frozenset({"weight", "bias"})
_SLOT = re.compile(r"^(?:layers\.\{i\}\.)?(?:attn\.|mlp\.|experts\.\{e\}\.)?(.+?)\.(?:weight|bias)$")
_FUSED = {frozenset("qkv"): "qkv", frozenset("kv"): "kv", frozenset(("gate", "up")): "gate_up"}
BESIDE_GATE = "up_beside_gate"
"""The role of `up` in an MLP with a gate: what is called fc1 there may be either."""
_STRANGE = 0.35
"""How much a word nobody has used counts against a likeness, of what a word counts that only one part is called by."""

GENERAL: Mapping[str, str] = {
    "embed": "embed, embedding, embeddings, tok_emb, token_embedding, tok_embedding, word_embeddings, wte, W_E",
    "positions": "pos, pos_emb, position, position_embedding, positional_embedding, wpe, W_pos, pos_embed, positions",
    "head": "head, lm_head, unembed, W_U, output, logits, out_proj, to_logits, decoder, output_head, proj_out",
    "final_norm": "ln_f, final_norm, norm_f, ln_final, norm, last_norm, norm_out, final_layer_norm, ln_out",
    "attn_norm": "ln1, ln_1, norm1, attn_norm, input_norm, pre_attn_norm, attention_layer_norm, ln_attn, norm_a",
    "mlp_norm": "ln2, ln_2, norm2, mlp_norm, ffn_norm, ff_norm, post_attn_norm, ln_mlp, ln_ff, norm_b",
    "q": "q, query, queries, wq, q_proj, to_q, W_Q, W_query, b_Q, bq, attn_q",
    "k": "k, key, keys, wk, k_proj, to_k, W_K, W_key, b_K, bk, attn_k",
    "v": "v, value, values, wv, v_proj, to_v, W_V, W_value, b_V, bv, attn_v",
    "qkv": "qkv, qkv_proj, to_qkv, attn_in_proj, in_proj, attn_query_key_value, W_qkv, Wqkv, c_attn",
    "kv": "kv, to_kv, kv_proj, key_value",
    "out": "attn_out, attn_proj, attn_out_proj, attn_o, o_proj, wo, W_O, b_O, bo, to_out, proj, attn_dense",
    "q_norm": "q_norm, norm_q, query_norm, q_layernorm, ln_q",
    "k_norm": "k_norm, norm_k, key_norm, k_layernorm, ln_k",
    "up": "up, up_proj, fc1, linear1, lin1, fc_in, c_fc, mlp_in, mlp_W_in, W_in, w_in, mlp_b_in, expand, mlp_0, ff_0,"
    " dense_h_to_4h, intermediate_dense, wi, ffn_0",
    "down": "down, down_proj, fc2, linear2, lin2, fc_out, mlp_c_proj, mlp_out, mlp_W_out, W_out, w_out, mlp_b_out,"
    " contract, mlp_2, ff_2, dense_4h_to_h, mlp_proj, shrink, ffn_2",
    "up_beside_gate": "up, up_proj, w_up, mlp_up, value, value_proj",
    "gate": "gate, gate_proj, w_gate, mlp_gate, wg, glu",
    "gate_up": "gate_up, gate_up_proj, mlp_in, wi, fused_gate_up",
    "router": "router, gate_router, moe_gate, switch, gating",
}
"""Words in general use, beside those of the dialects."""


@dataclass(frozen=True)
class Lexicon:
    """How each part of a model is called, and how much each word tells."""

    names: Mapping[str, frozenset[frozenset[str]]]
    weight: Mapping[str, float]

    def likeness(self, name: str, role: str) -> float:
        """From 0 to 1: how much a name looks like what others call this part."""
        words = tokens(name)
        return max((self._shared(words, other) for other in self.names.get(role, ())), default=0.0)

    def _shared(self, words: frozenset[str], other: frozenset[str]) -> float:
        common = sum(self.weight[word] for word in words & other)
        both = self._mass(words) * self._mass(other)
        return common / math.sqrt(both) if both else 0.0

    def _mass(self, words: Iterable[str]) -> float:
        most = max(self.weight.values(), default=1.0)
        return sum(self.weight.get(word, _STRANGE * most) for word in words)


def tokens(name: str) -> frozenset[str]:
    """The words of a name inside its block: letters apart from numbers, and numbers together with their word, too."""
    found: set[str] = set()
    before = ""
    for part in re.split(r"[._]|\{[^{}]*\}", _BLOCK.sub("", name)):
        for word in _WORD.findall(part):
            low = word.lower()
            if low in _KINDS:
                continue
            found.add(f"{before}{low}" if low.isdecimal() else low)
            before = low if not low.isdecimal() else before
    return frozenset(found)


def lexicon(leaving_out: Collection[str] = ()) -> Lexicon:
    """The words of all built-in dialects, and the general ones; dialects can be left out, to test on their names."""
    return _lexicon(frozenset(leaving_out))


@cache
def _lexicon(leaving_out: frozenset[str]) -> Lexicon:
    names: dict[str, set[frozenset[str]]] = defaultdict(set)
    for role, general in GENERAL.items():
        names[role].update(tokens(word.strip()) for word in general.split(","))
    for dialect in dialects():
        if dialect.id in leaving_out:
            continue
        for layout in dialect.layout:
            named = [(role_of(tuple(map(str, rule.slots))), rule.names) for rule in layout.naming.rules]
            gated = any(part in {"gate", "gate_up"} for part, _ in named)
            for part, patterns in named:
                if part is not None:
                    called = BESIDE_GATE if gated and part == "up" else part
                    names[called].update(tokens(str(name)) for name in patterns)
    roles: dict[str, set[str]] = defaultdict(set)
    for role, known in names.items():
        for word in frozenset[str]().union(*known):
            roles[word].add(role)
    weight = {word: math.log(1 + len(names) / len(meant)) for word, meant in roles.items()}
    return Lexicon({role: frozenset(known - {frozenset()}) for role, known in names.items()}, weight)


def role_of(slots: tuple[str, ...]) -> str | None:
    """The part of a model these slots are: `q`, `mlp_norm`, `qkv`; None for combinations without a word."""
    parts = [match[1] if (match := _SLOT.match(slot)) else slot for slot in slots]
    return parts[0] if len(parts) == 1 else _FUSED.get(frozenset(parts))
