"""Wrong weights: every rearrangement a converter can get wrong, run against the level `logits` alone."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec

State = dict[str, torch.Tensor]

ATTN, NORMS = "attn.c_attn", ("ln_1", "ln_2")


def layer(i: int, name: str) -> str:
    return f"transformer.h.{i}.{name}"


def every(change: Callable[[State, ModelSpec, int], None]) -> Callable[[State, ModelSpec], None]:
    """The change in all layers."""

    def apply(state: State, spec: ModelSpec) -> None:
        for i in range(spec.layers):
            change(state, spec, i)

    return apply


def swap(state: State, a: str, b: str) -> None:
    if a in state and b in state:
        state[a], state[b] = state[b], state[a]


def thirds(state: State, spec: ModelSpec, i: int, part: str) -> list[torch.Tensor]:
    return list(state[layer(i, f"{ATTN}.{part}")].split(spec.d_model, dim=-1))


def join(state: State, i: int, part: str, blocks: list[torch.Tensor]) -> None:
    state[layer(i, f"{ATTN}.{part}")] = torch.cat(blocks, dim=-1).contiguous()


def reorder(order: tuple[int, ...], parts: tuple[str, ...]) -> Any:
    def change(state: State, spec: ModelSpec, i: int) -> None:
        for part in parts:
            blocks = thirds(state, spec, i, part)
            join(state, i, part, [blocks[k] for k in order])

    return change


def per_block(which: str, change: Callable[[torch.Tensor, ModelSpec], torch.Tensor]) -> Any:
    """A change of some of the q, k and v blocks `[…, inner]`, weights and biases alike."""

    def apply(state: State, spec: ModelSpec, i: int) -> None:
        for part in ("weight", "bias"):
            blocks = thirds(state, spec, i, part)
            join(state, i, part, [change(b, spec) if q in which else b for q, b in zip("qkv", blocks, strict=True)])

    return apply


def by_head(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return block.unflatten(-1, (spec.heads, spec.head_dim))


def interleaved(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return by_head(block, spec).transpose(-1, -2).flatten(-2)


def heads_reversed(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return by_head(block, spec).flip(-2).flatten(-2)


def heads_rolled(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return by_head(block, spec).roll(1, -2).flatten(-2)


def dims_reversed(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return by_head(block, spec).flip(-1).flatten(-2)


def halves_to_pairs(block: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    return by_head(block, spec).unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-3)


def transposed(block: torch.Tensor, _spec: ModelSpec) -> torch.Tensor:
    return block.T if block.ndim == 2 else block


def qkv_per_head(state: State, spec: ModelSpec, i: int) -> None:
    """Rows as GPT-NeoX fuses them: for each head its q, k and v."""
    for part in ("weight", "bias"):
        blocks = [by_head(block, spec) for block in thirds(state, spec, i, part)]
        state[layer(i, f"{ATTN}.{part}")] = torch.stack(blocks, dim=-2).flatten(-3)


def unturned(name: str) -> Any:
    """A matrix stored `[out, in]` where Conv1D wants `[in, out]`, forced into the wanted shape."""

    def change(state: State, _spec: ModelSpec, i: int) -> None:
        matrix = state[layer(i, f"{name}.weight")]
        state[layer(i, f"{name}.weight")] = matrix.T.contiguous().reshape(matrix.shape)

    return change


def exchange(a: str, b: str, parts: tuple[str, ...] = ("weight", "bias")) -> Any:
    def change(state: State, _spec: ModelSpec, i: int) -> None:
        for part in parts:
            swap(state, layer(i, f"{a}.{part}"), layer(i, f"{b}.{part}"))

    return change


def weight_for_bias(name: str) -> Any:
    return lambda state, _spec, i: swap(state, layer(i, f"{name}.weight"), layer(i, f"{name}.bias"))


def up_for_down(state: State, _spec: ModelSpec, i: int) -> None:
    up, down = layer(i, "mlp.c_fc.weight"), layer(i, "mlp.c_proj.weight")
    state[up], state[down] = state[down].T.contiguous(), state[up].T.contiguous()


def q_for_out(state: State, spec: ModelSpec, i: int) -> None:
    blocks, out = thirds(state, spec, i, "weight"), layer(i, "attn.c_proj.weight")
    blocks[0], state[out] = state[out], blocks[0].contiguous()
    join(state, i, "weight", blocks)


def layers_as(order: Callable[[int], list[int]], only: str = "") -> Any:
    """Layer `order[i]` in the place of layer i."""

    def change(state: State, spec: ModelSpec) -> None:
        before = dict(state)
        for i, j in enumerate(order(spec.layers)):
            for name in before:
                if name.startswith(layer(i, only)):
                    state[name] = before[name.replace(f".h.{i}.", f".h.{j}.", 1)].clone()

    return change


def on(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A change of one tensor, where there is one of that name."""

    def apply(state: State, _spec: ModelSpec) -> None:
        if name in state:
            state[name] = change(state[name]).contiguous()

    return apply


def first_and_last_swapped(matrix: torch.Tensor) -> torch.Tensor:
    return torch.cat([matrix[-1:], matrix[1:-1], matrix[:1]])


def zero_row(name: str, axis: int) -> Any:
    """One output row of a matrix lost, in the last layer."""

    def change(state: State, spec: ModelSpec) -> None:
        key = name if name in state else layer(spec.layers - 1, name)
        if key in state:
            state[key].select(axis, 1).zero_()

    return change


def scaled(name: str, factor: Callable[[ModelSpec], float]) -> Any:
    def change(state: State, spec: ModelSpec) -> None:
        for key in [key for key in state if key.endswith(name)]:
            state[key] = state[key] * factor(spec)

    return change


def scaled_and_moved(name: str) -> Any:
    """`1 + w`, as codebases that store the weight of a norm less one would need it."""

    def change(state: State, _spec: ModelSpec) -> None:
        for key in [key for key in state if key.endswith(name)]:
            state[key] = state[key] + 1

    return change


def rounded(only: str) -> Any:
    """Rounded to bfloat16 on the way, and passed off as float32."""

    def change(state: State, _spec: ModelSpec) -> None:
        for key in [key for key in state if only in key]:
            state[key] = state[key].bfloat16().float()

    return change


WTE, WPE, HEAD = "transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"
ORDERS = [order for order in permutations(range(3)) if order != (0, 1, 2)]

MUTATIONS: dict[str, Any] = {
    **{f"{''.join('qkv'[k] for k in o)} for qkv": every(reorder(o, ("weight", "bias"))) for o in ORDERS},
    **{f"{''.join('qkv'[k] for k in o)} for qkv, weights": every(reorder(o, ("weight",))) for o in ORDERS},
    **{f"{''.join('qkv'[k] for k in o)} for qkv, biases": every(reorder(o, ("bias",))) for o in ORDERS},
    "kqv in the last layer only": lambda s, spec: reorder((1, 0, 2), ("weight", "bias"))(s, spec, spec.layers - 1),
    **{f"{name} not transposed": every(unturned(name)) for name in (ATTN, "attn.c_proj", "mlp.c_fc", "mlp.c_proj")},
    **{f"{which} blocks transposed": every(per_block(which, transposed)) for which in ("q", "k", "v", "qkv")},
    **{f"heads interleaved in {w}": every(per_block(w, interleaved)) for w in ("q", "k", "v", "qk", "qkv")},
    **{f"heads reversed in {w}": every(per_block(w, heads_reversed)) for w in ("q", "k", "v", "qk", "qkv")},
    **{f"heads rolled in {w}": every(per_block(w, heads_rolled)) for w in ("q", "k", "v", "qk", "qkv")},
    **{f"head dimensions reversed in {w}": every(per_block(w, dims_reversed)) for w in ("q", "k", "v")},
    **{f"halves taken for pairs in {w}": every(per_block(w, halves_to_pairs)) for w in ("q", "k", "v")},
    "q, k, v of each head together": every(qkv_per_head),
    "q and output exchanged": every(q_for_out),
    "up and down exchanged": every(up_for_down),
    "norms exchanged": every(exchange(*NORMS)),
    "norm weights exchanged": every(exchange(*NORMS, ("weight",))),
    "norm biases exchanged": every(exchange(*NORMS, ("bias",))),
    "output biases exchanged": every(exchange("attn.c_proj", "mlp.c_proj", ("bias",))),
    **{f"weight and bias of {name} exchanged": every(weight_for_bias(name)) for name in NORMS},
    "weight and bias of ln_f exchanged": lambda s, _: swap(s, "transformer.ln_f.weight", "transformer.ln_f.bias"),
    "ln_f and the first ln_1 exchanged": lambda s, _: swap(s, "transformer.ln_f.weight", layer(0, "ln_1.weight")),
    "layers reversed": layers_as(lambda n: list(range(n))[::-1]),
    "layers shifted": layers_as(lambda n: [*range(1, n), 0]),
    "first layer everywhere": layers_as(lambda n: [0] * n),
    "last layer doubled": layers_as(lambda n: [*range(n - 2), n - 1, n - 1]),
    **{f"{part} of layers reversed": layers_as(lambda n: list(range(n))[::-1], part) for part in ("ln", "attn", "mlp")},
    "embedding and head exchanged": lambda s, _: swap(s, WTE, HEAD),
    "head tied by value": lambda s, _: s.update({HEAD: s[WTE].clone()}) if HEAD in s else None,
    "positions off by one": on(WPE, lambda w: w.roll(1, 0)),
    "positions off by one the other way": on(WPE, lambda w: w.roll(-1, 0)),
    "positions reversed": on(WPE, lambda w: w.flip(0)),
    "last two positions exchanged": on(WPE, lambda w: torch.cat([w[:-2], w[[-1]], w[[-2]]])),
    "positions lost": on(WPE, torch.zeros_like),
    **{f"rows of {n} rolled": on(n, lambda w: w.roll(1, 0)) for n in (WTE, HEAD)},
    **{f"ends of {n} exchanged": on(n, first_and_last_swapped) for n in (WTE, HEAD)},
    **{f"columns of {n} rolled": on(n, lambda w: w.roll(1, 1)) for n in (WTE, WPE, HEAD)},
    **{f"row of {n} lost": zero_row(n, 1) for n in (f"{ATTN}.weight", "attn.c_proj.weight", "mlp.c_fc.weight")},
    **{f"row of {n} lost": zero_row(n, a) for n, a in (("mlp.c_proj.weight", 1), ("ln_1.weight", 0), (HEAD, 0))},
    "embedding times sqrt(d_model)": scaled(WTE, lambda spec: spec.d_model**0.5),
    "positions times d_model**-0.5": scaled(WPE, lambda spec: spec.d_model**-0.5),
    "queries times sqrt(head_dim)": every(per_block("q", lambda b, spec: b * spec.head_dim**0.5)),
    "queries halved": every(per_block("q", lambda b, _: b / 2)),
    "keys negative": every(per_block("k", lambda b, _: -b)),
    **{f"one added to {name}": scaled_and_moved(f"{name}.weight") for name in (*NORMS, "ln_f")},
    **{
        f"{name or 'everything'} rounded to bfloat16": rounded(name)
        for name in ("", "wte", "wpe", ATTN, "mlp.c_fc", "ln_2")
    },
    "head rounded to bfloat16": rounded("lm_head"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_wrong_weights_are_seen_in_the_logits_alone(name: str, survivors: Any) -> None:
    assert survivors(MUTATIONS[name]) == []


def test_the_right_weights_pass_in_memory_and_on_disk(benches: Any, bench: Any, tmp_path: Path) -> None:
    for each in [*benches, bench("scaled, 3 heads"), bench("scaled, 4 heads"), bench("eps 1e-6")]:
        assert each.first_failure(each.state) is None
        directory = each.write(tmp_path, each.state, each.config)
        assert each.structure_failures(directory) == []
        assert each.byte_failures(directory) == []
        assert each.loaded_failures(directory) == []
