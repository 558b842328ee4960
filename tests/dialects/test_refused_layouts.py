"""Codebases that are known, and known to compute what no class has: recognised, refused, and told why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Request, Writing, convert, inspect
from ckpt2hf.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    State = dict[str, torch.Tensor]

W, V, T = 24, 40, 16


def linear(name: str, rows: int, columns: int, *, bias: bool = True) -> State:
    return {f"{name}.weight": torch.ones(rows, columns), **({f"{name}.bias": torch.ones(rows)} if bias else {})}


def norm(name: str, *words: str) -> State:
    return {f"{name}.{word}": torch.ones(W) for word in words or ("weight", "bias")}


def in_projection(name: str) -> State:
    return {f"{name}.in_proj_weight": torch.ones(3 * W, W), f"{name}.in_proj_bias": torch.ones(3 * W)}


def beyond() -> State:
    state = {"emb.embedding": torch.ones(V, W), "pos_emb.pos_embedding": torch.ones(T, W)}
    for i in range(2):
        at = f"layers.{i}"
        for part in ("Wq", "Wk", "Wv", "Wo"):
            state |= linear(f"{at}.attn.{part}", W, W)
        state |= linear(f"{at}.mlp.up_proj", 4 * W, W) | linear(f"{at}.mlp.down_proj", W, 4 * W)
        state |= norm(f"{at}.ln1", "mean_scale", "std_scale") | norm(f"{at}.ln2", "mean_scale", "std_scale")
    return {**state, "unemb.unembedding.weight": torch.ones(V, W), "unemb.unembedding.bias": torch.ones(V)}


def image() -> State:
    state = {"sos": torch.ones(W), "token_embeddings.weight": torch.ones(V, W)}
    state["position_embeddings.weight"] = torch.ones(T, W)
    for i in range(2):
        at = f"layers.{i}"
        state |= norm(f"{at}.ln_1") | norm(f"{at}.ln_2") | in_projection(f"{at}.attn")
        state |= linear(f"{at}.attn.out_proj", W, W) | linear(f"{at}.mlp.0", 4 * W, W) | linear(f"{at}.mlp.2", W, 4 * W)
    return {**state, **norm("ln_f"), **linear("head", V, W, bias=False), **linear("clf_head", 10, W)}


def turkish() -> State:
    state = {"embedding.embedding.weight": torch.ones(V, W)}
    for i in range(2):
        at = f"layers.{i}"
        state |= in_projection(f"{at}.self_attention.multi_head_attention")
        state |= linear(f"{at}.self_attention.multi_head_attention.out_proj", W, W)
        state |= linear(f"{at}.self_attention.projection", W, W)
        state |= {f"{at}.self_attention.mask": torch.ones(T, T).triu(1).bool()}
        state |= norm(f"{at}.norm1", "weight") | norm(f"{at}.norm2", "weight")
        state |= linear(f"{at}.mlp.gate_proj", 4 * W, W) | linear(f"{at}.mlp.up_proj", 4 * W, W)
        state |= linear(f"{at}.mlp.down_proj", W, 4 * W)
    return state | linear("lm_head", V, W)


def normed_inside(*words: str) -> State:
    """x-transformers with post_act_ln."""
    state = {"token_emb.emb.weight": torch.ones(V, W), "pos_emb.emb.weight": torch.ones(T, W)}
    state |= linear("attn_layers.layers.1.1.ff.0.0", 4 * W, W) | linear("attn_layers.layers.1.1.ff.3", W, 4 * W)
    return state | {f"attn_layers.layers.1.1.ff.1.{word}": torch.ones(4 * W) for word in words}


def lightning(state: State) -> dict[str, Any]:
    return {"epoch": 3, "state_dict": {f"gpt.{name}": part for name, part in state.items()}, "hyper_parameters": {}}


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "beyond-nanogpt": (beyond, "no norm stands between the last block and a head"),
    "image-gpt": (image, "overwritten by its own norm"),
    "image-gpt, Lightning": (lambda: lightning(image()), "overwritten by its own norm"),
    "x-transformers, post_act_ln": (lambda: normed_inside("gamma"), "post_act_ln is true"),
    "x-transformers, post_act_ln of 2022": (lambda: normed_inside("weight", "bias"), "post_act_ln is true"),
    "malibayram": (turkish, "positions turn the embedding"),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_it_is_recognised_and_the_reason_is_told(name: str, saved: Any, *, named: bool) -> None:
    make, reason = CASES[name]
    path: Path = saved(make())
    dialect = name.partition(",")[0]
    with pytest.raises(UnsupportedError, match=reason) as refused:
        convert(Request(source=path, dialect=dialect if named else None), Writing(out=path.parent / "out"))
    assert refused.value.exit_code == 1
    assert "source: " in str(refused.value)
    assert not (path.parent / "out").exists()


def test_inspect_says_so_too(saved: Any) -> None:
    found = inspect(Request(source=saved(turkish())))
    assert [fit.dialect.id for fit in found.fits if fit.refuses] == ["malibayram"]
    assert found.candidates == ()


def test_what_minGPT_ddp_itself_saves_is_refused_as_not_causal(repository: Path) -> None:  # noqa: N802 - its name
    """tests/refused: random tensors, saved by that code (its case.json names the commit)."""
    path = repository / "tests" / "refused" / "pt_examples_mingpt_ddp" / "checkpoint.pt"
    with pytest.raises(UnsupportedError, match="it is not causal") as refused:
        convert(Request(source=path), Writing(out=path.parent / "never"))
    assert "every token sees the whole sequence" in str(refused.value)
    assert not (path.parent / "never").exists()
