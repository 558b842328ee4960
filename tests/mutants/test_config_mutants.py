"""Wrong configurations: loaded as a user loads them, against the level `logits` alone; and each setting one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from transformers import GPT2Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Config = dict[str, Any]

ABSENT = object()
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "tanh")
SAME_TANH = {"gelu_new", "gelu_pytorch_tanh"}
CHANGES: dict[str, Callable[[Config], list[Any]]] = {
    "activation_function": lambda _: [*ACTIVATIONS, ABSENT],
    "layer_norm_epsilon": lambda _: [1e-4, 1e-6, 1e-8, 1e-12, ABSENT],
    "n_head": lambda c: [n for n in (*range(1, c["n_embd"] + 1), 5, 7) if c["n_embd"] % n == 0] + [5, ABSENT],
    "tie_word_embeddings": lambda c: [not c["tie_word_embeddings"], ABSENT],
    "scale_attn_weights": lambda _: [False],
    "scale_attn_by_inverse_layer_idx": lambda _: [True],
    "n_positions": lambda c: [c["n_positions"] - 1, c["n_positions"] + 1, ABSENT],
    "n_inner": lambda c: [c["n_inner"] + 1, 2 * c["n_embd"]],
    "n_layer": lambda c: [c["n_layer"] - 1, c["n_layer"] + 1, ABSENT],
    "n_embd": lambda c: [c["n_embd"] // 2, c["n_embd"] + c["n_head"], ABSENT],
    "vocab_size": lambda c: [c["vocab_size"] - 1, c["vocab_size"] + 1, ABSENT],
    "model_type": lambda _: ["nonsense", ABSENT],
    "architectures": lambda _: [["GPT2Model"], [], ABSENT],
}


def is_no_op(setting: str, before: Any, after: Any) -> bool:
    """Whether transformers itself says that nothing changes."""
    default = getattr(GPT2Config(), setting, None)
    value = default if after is ABSENT else after
    return value == before or (setting == "activation_function" and {before, value} == SAME_TANH)


def changed(config: Config, setting: str, value: Any) -> Config:
    rest = {key: kept for key, kept in config.items() if key != setting}
    return rest if value is ABSENT else {**rest, setting: value}


@pytest.mark.parametrize("setting", CHANGES)
def test_a_wrong_setting_is_seen_by_loading_and_running(
    setting: str, benches: Any, bench: Any, tally: Any, tmp_path: Path
) -> None:
    survivors, made = [], 0
    for each in [*benches, bench("eps 1e-6"), bench("scaled, 3 heads")]:
        state, config = each.copy()
        for value in CHANGES[setting](config):
            if is_no_op(setting, config[setting], value):
                continue
            made += 1
            directory = each.write(tmp_path, state, changed(config, setting, value))
            if tally("of the configuration", killed=bool(each.loaded_failures(directory))):
                survivors.append((each.name, value if value is not ABSENT else "absent"))
    assert made
    assert survivors == []


def test_what_is_no_op_passes(bench: Any, tmp_path: Path) -> None:
    for name, setting, value in (
        ("mingpt", "activation_function", "gelu_new"),
        ("mingpt", "activation_function", ABSENT),
        ("mingpt", "layer_norm_epsilon", ABSENT),
        ("nanogpt_bias", "tie_word_embeddings", ABSENT),
    ):
        state, config = bench(name).copy()
        assert is_no_op(setting, config[setting], value)
        directory = bench(name).write(tmp_path, state, changed(config, setting, value))
        assert bench(name).loaded_failures(directory) == []


def test_a_gelu_that_is_only_clipped_far_out_is_seen_by_the_structure(benches: Any, tally: Any, tmp_path: Path) -> None:
    """`gelu_10` is GELU up to 10, beyond what loud weights of these sizes reach: no logits can tell it apart."""
    for bench in benches:
        state, config = bench.copy()
        directory = bench.write(tmp_path, state, changed(config, "activation_function", "gelu_10"))
        assert not tally("of single settings", killed=bool(bench.structure_failures(directory)))


def test_every_setting_is_held_against_the_plan(benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        state, config = bench.copy()
        directory = bench.write(tmp_path, state, config)
        for setting, before in config.items():
            other = {bool: lambda b: not b, str: lambda s: s + "x", list: lambda _: []}.get(
                type(before), lambda n: (n or 0) + 1
            )
            for value in (other(before), ABSENT):
                bench.write_config(directory, changed(config, setting, value))
                if tally("of single settings", killed=bool(bench.structure_failures(directory))):
                    survivors.append((bench.name, setting))
    assert survivors == []


def test_an_untied_head_in_a_tied_model_and_a_lost_one_in_an_untied(benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        state, config = bench.copy()
        if config["tie_word_embeddings"]:
            head = state["transformer.wte.weight"].roll(1, 0)
            state, config = {**state, "lm_head.weight": head}, {**config, "tie_word_embeddings": False}
        else:
            del state["lm_head.weight"]
        for tied in (config["tie_word_embeddings"], True):
            directory = bench.write(tmp_path, state, {**config, "tie_word_embeddings": tied})
            right = bench.config["tie_word_embeddings"] and tied
            if not right and tally("of ties", killed=bool(bench.loaded_failures(directory))):
                survivors.append((bench.name, tied))
    assert survivors == []


@pytest.mark.parametrize(
    "name", ["transformer.ln_f.bias", "transformer.h.1.attn.c_attn.bias", "transformer.wpe.weight"]
)
def test_a_tensor_that_is_lost_renamed_or_added_is_seen(name: str, benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        lost, config = bench.copy()
        tensor = lost.pop(name)
        renamed = {**lost, name.replace("ln_f", "final").replace(".h.1.", ".h.9.").replace("wpe", "wp"): tensor}
        added = {**bench.copy()[0], "transformer.h.0.attn.rotary.weight": tensor}
        for kind, state in (("lost", lost), ("renamed", renamed), ("added", added)):
            directory = bench.write(tmp_path, state, config)
            for level in ("loaded_failures", "structure_failures"):
                failures = getattr(bench, level)(directory)
                if tally("of names", killed=bool(failures)):
                    survivors.append((bench.name, kind, level))
    assert survivors == []
