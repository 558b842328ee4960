"""The importance of columns is the mean square of what PyTorch multiplies them with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ckpt2hf.plan import modules_of_gguf, plan_gguf
from ckpt2hf.stages import Job
from ckpt2hf.stages.gguf.importance import importance
from ckpt2hf.targets import TARGETS
from target_models import SPECS, Model, drawn, write

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BY_ID = {target.id: target for target in TARGETS}


def directory(folder: Path, target: str, spec: ModelSpec) -> Path:
    model = Model(BY_ID[target], spec, drawn(spec))
    folder.parent.mkdir(exist_ok=True)
    write(folder, model.state(), model.config())
    return folder


def job(place: Path, folder: Path, vocab: int, window: int) -> Job:
    ids = np.random.default_rng(2).integers(vocab, size=(4, window + 1))
    np.save(folder / "tokens.npy", ids)
    return Job(
        stage="gguf-q4_0",
        directory=str(place),
        out="",
        base="",
        tokens=str(folder / "tokens.npy"),
        real=True,
        window=window,
        at_once=2,
        preset="",
        importance=str(folder / "tokens.npy"),
    )


@pytest.mark.parametrize(
    ("target", "tied", "modules"),
    [
        ("gpt2", False, {"blk.1.ffn_up.weight": "transformer.h.1.mlp.c_fc", "output.weight": "lm_head"}),
        ("gpt2", True, {"blk.0.attn_qkv.weight": "transformer.h.0.attn.c_attn", "token_embd.weight": "lm_head"}),
        ("llama", False, {"blk.0.attn_k.weight": "model.layers.0.self_attn.q_proj", "output.weight": "lm_head"}),
        ("qwen3_moe", False, {"blk.0.ffn_gate_inp.weight": "model.layers.0.mlp.gate"}),
    ],
)
def test_it_is_what_the_module_is_given(target: str, tied: bool, modules: dict[str, str], tmp_path: Path) -> None:
    spec = replace(SPECS[target][0], tied=tied)
    place = directory(tmp_path / "model", target, spec)
    found = importance(job(place, tmp_path, spec.vocab, 12))
    model = AutoModelForCausalLM.from_pretrained(place).eval()
    given: dict[str, list[torch.Tensor]] = {name: [] for name in modules}
    for name, path in modules.items():
        hold = given[name]
        model.get_submodule(path).register_forward_pre_hook(lambda _m, x, hold=hold: hold.append(x[0].detach()))
    with torch.inference_mode():
        model(torch.from_numpy(np.load(tmp_path / "tokens.npy")[:, :-1]))
    for name, parts in given.items():
        flat = torch.cat([part.reshape(-1, part.shape[-1]) for part in parts]).double()
        assert np.allclose(found[name], flat.square().mean(0).numpy(), rtol=1e-4), name


def test_each_matrix_that_multiplies_has_one_of_its_width(tmp_path: Path) -> None:
    for target in ("gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text"):
        spec = SPECS[target][0]
        place = directory(tmp_path / target / "model", target, spec)
        plan, found = plan_gguf(place), importance(job(place, tmp_path / target, spec.vocab, 12))
        looked_up = {"position_embd.weight"} | (set() if spec.tied else {"token_embd.weight"})
        matrices = {name: t.meta.shape for name, t in plan.tensors.items() if len(t.meta.shape) > 1}
        assert set(found) == set(matrices) - looked_up
        for name, columns in found.items():
            shape = matrices[name]
            assert columns.size == shape[-1] * (shape[0] if len(shape) > 2 else 1), name
            assert np.isfinite(columns).all()
            assert (columns > 0).any()


def test_experts_come_in_their_order(tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "qwen3_moe", SPECS["qwen3_moe"][0])
    names = modules_of_gguf(place)["blk.1.ffn_down_exps.weight"]
    count = SPECS["qwen3_moe"][0].experts
    assert names == tuple(f"model.layers.1.mlp.experts.{k}.down_proj" for k in range(count))
