"""The user's own model file as oracle: every shape such files come in, and every way they go wrong."""

from __future__ import annotations

import json
import sys
import time
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
import torch

from ckpt2hf.errors import NotFoundError, UsageError, VerificationError
from ckpt2hf.tensors import DType
from ckpt2hf.verify import oracle_child
from ckpt2hf.verify.oracle import parse_args, run_reference

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tensors import Array

TOKENS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
EMBED = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
HEAD = np.random.default_rng(1).normal(size=(10, 4)).astype(np.float32)
HEADER = """
import torch
from torch import nn
"""
SUMS = """
class Sums(nn.Module):
    def __init__(self, vocab=10, width=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.head = nn.Linear(width, vocab, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(5, 5)))
        self.drop = nn.Dropout(0.5)
    def logits(self, idx):
        x = self.embed(idx)
        return self.head(self.drop(self.tril[:x.shape[1], :x.shape[1]] @ x))
    def forward(self, idx):
        return self.logits(idx)
"""
"""A causal model small enough to check by hand: the logits are head times the sum of the embeddings so far."""


def expected() -> Array:
    return EMBED[TOKENS].cumsum(1) @ HEAD.T


def ask(kit: Any, folder: Path, source: str, name: str = "Sums", args: Any = (), **more: Any) -> Array:
    file = folder / "model.py"
    file.write_text(HEADER + SUMS + dedent(source), encoding="utf-8")
    tensors = more.pop("tensors", {"embed.weight": EMBED, "head.weight": HEAD})
    return run_reference(f"{file}:{name}", args, kit.held(tensors), TOKENS, **more)


FORWARDS = {
    "a tensor": "return self.logits(idx)",
    "a tuple": "return self.logits(idx), None",
    "the loss first": "return torch.zeros(()), self.logits(idx)",
    "a dict": "return {'loss': None, 'logits': self.logits(idx)}",
    "an object": "import types; return types.SimpleNamespace(logits=self.logits(idx))",
    "flattened": "return self.logits(idx).flatten(0, 1)",
    "the last position alone": "return self.logits(idx)[:, [-1]]",
    "the last position as a matrix": "return self.logits(idx)[:, -1]",
}


def test_every_kind_of_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setitem(sys.modules, "model", sys)
    file = tmp_path / "model.py"
    classes = "".join(
        f"class Kind{i}(Sums):\n    def forward(self, idx):\n        {body}\n"
        for i, body in enumerate(FORWARDS.values())
    )
    file.write_text(HEADER + SUMS + classes, encoding="utf-8")
    module = oracle_child.import_file(file)
    for i in range(len(FORWARDS)):
        model = oracle_child.build(module, f"Kind{i}", {}).eval()
        oracle_child.load(model, {"embed.weight": torch.from_numpy(EMBED), "head.weight": torch.from_numpy(HEAD)})
        found = oracle_child.every_position(model, torch.from_numpy(TOKENS)).detach().numpy()
        assert np.allclose(found, expected(), atol=1e-5), list(FORWARDS)[i]


def test_a_nanogpt_style_class_and_file(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("WIDTH = 4\n", encoding="utf-8")
    source = """
    from dataclasses import dataclass
    from layers import WIDTH
    import torch.nn.functional as F
    print("talk that is not ours")
    assert not torch.cuda.is_available()

    @dataclass
    class GPTConfig:
        vocab_size: int = 99
        n_embd: int = WIDTH
        bias: bool = True

    class GPT(Sums):
        def __init__(self, config):
            super().__init__(config.vocab_size, config.n_embd)
            assert isinstance(config, GPTConfig) and config.bias is False
        def forward(self, idx, targets=None):
            if targets is None:
                return self.logits(idx)[:, [-1], :], None
            logits = self.logits(idx)
            return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    """
    found = ask(kit, tmp_path, source, "GPT", ["vocab_size=10", "bias=False"])
    assert found.dtype == np.float64
    assert np.allclose(found, expected(), atol=1e-5)


def test_a_dictionary_as_configuration_and_a_checkpoint_in_bfloat16(kit: Any, tmp_path: Path) -> None:
    source = """
    class GPTModel(Sums):
        def __init__(self, cfg):
            super().__init__(cfg["vocab"], cfg.width)
    """
    rounded = {"embed.weight": EMBED.astype(ml_dtypes.bfloat16), "head.weight": HEAD.astype(ml_dtypes.bfloat16)}
    slots = {name: kit.slot(array, DType.BF16) for name, array in rounded.items()}
    file = tmp_path / "model.py"
    file.write_text(HEADER + SUMS + dedent(source), encoding="utf-8")
    found = run_reference(f"{file}:GPTModel", ["cfg.vocab=10", "cfg.width=4"], slots, TOKENS)
    e, h = (array.astype(np.float32) for array in rounded.values())
    assert np.allclose(found, e[TOKENS].cumsum(1) @ h.T, atol=1e-5)


def test_code_that_insists_on_float32_is_run_in_float32(kit: Any, tmp_path: Path) -> None:
    found = ask(kit, tmp_path, "Sums.forward = lambda self, idx: self.logits(idx) @ torch.eye(10)")
    assert found.dtype == np.float32
    assert np.allclose(found, expected(), atol=1e-5)


def test_a_script_with_global_constants_and_an_exit_at_its_end(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="called exit") as caught:
        ask(kit, tmp_path, "import sys\nsys.exit('trained')")
    assert "trained" in str(caught.value)


def test_tied_weights_may_come_under_one_name_and_masks_may_come_and_go(kit: Any, tmp_path: Path) -> None:
    source = """
    class Tied(Sums):
        def __init__(self):
            super().__init__()
            self.head.weight = self.embed.weight
    """
    mask = np.tril(np.ones((1, 1, 5, 5), np.float32))
    tensors = {"embed.weight": EMBED, "attn.bias": mask, "attn.masked_bias": np.array(-1e4, np.float32)}
    found = ask(kit, tmp_path, source, "Tied", tensors=tensors)
    assert np.allclose(found, EMBED[TOKENS].cumsum(1) @ EMBED.T, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("raise RuntimeError('no corpus here')", "Sums", ["raised RuntimeError", "no corpus here", "line "]),
        ("", "Summs", ["has no Summs", "models in it: Sums"]),
    ],
)
def test_trouble_is_told(kit: Any, tmp_path: Path, source: str, name: str, says: list[str]) -> None:
    with pytest.raises(VerificationError) as caught:
        ask(kit, tmp_path, source, name)
    for said in says:
        assert said in str(caught.value)


FULL = {"embed.weight": EMBED, "head.weight": HEAD}


@pytest.mark.parametrize(
    ("source", "tensors", "says"),
    [
        ("Sums = lambda: {}", FULL, ["gives a dict"]),
        ("", {"embed.weight": EMBED}, ["not in the checkpoint: head.weight"]),
        ("", FULL | {"head.weight": HEAD[:3]}, ["head.weight: the class has [10, 4]", "[3, 4]"]),
        ("", FULL | {"x": HEAD}, ["not in the class: x"]),
        ("", FULL | {"x": np.ones((4, 3), np.float32)}, ["not in the class: x"]),
        ("Sums.forward = lambda self, idx: 3", FULL, ["gives a int without logits"]),
        ("Sums.forward = lambda self, idx: torch.zeros(2, 4, 10)", FULL, ["[2, 4, 10]", "tokens [2, 5]"]),
    ],
)
def test_what_the_child_process_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, tensors: Any, says: list[str]
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setitem(sys.modules, "model", sys)
    (tmp_path / "model.py").write_text(HEADER + SUMS + source, encoding="utf-8")
    for name, array in tensors.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "tokens.npy", TOKENS)
    files = {name: f"{name}.npy" for name in tensors}
    job = {"file": str(tmp_path / "model.py"), "name": "Sums", "args": {}, "tensors": files}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    oracle_child.main(tmp_path)
    told = (tmp_path / "error.json").read_text(encoding="utf-8")
    for said in says:
        assert said in told
    assert not (tmp_path / "logits.npy").exists()


def test_an_argument_the_class_does_not_take(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="Sums takes no n_head") as caught:
        ask(kit, tmp_path, "", args={"vocab": 10, "width": 4, "n_head": 3})
    assert "its parameters: vocab, width" in str(caught.value)


def test_a_file_that_trains_on_import_is_ended_with_all_it_started(kit: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    source = """
    import subprocess, sys, time
    child = "import time, pathlib; time.sleep(4); pathlib.Path('survived').write_text('')"
    subprocess.Popen([sys.executable, "-c", child])
    print("step 1 loss 10.4", flush=True)
    time.sleep(600)
    """
    file.write_text(dedent(source), encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(VerificationError, match="within 3 seconds") as caught:
        run_reference(f"{file}:GPT", (), kit.held({}), TOKENS, timeout=3)
    assert time.monotonic() - began < 30
    assert "step 1 loss 10.4" in str(caught.value)
    time.sleep(2)
    assert not (tmp_path / "survived").exists()


def test_targets_that_make_no_sense() -> None:
    for target in ("model.py", "model:GPT", "model.py:not a name"):
        with pytest.raises(UsageError):
            run_reference(target, (), {}, TOKENS)
    with pytest.raises(NotFoundError):
        run_reference("/nowhere/model.py:GPT", (), {}, TOKENS)


def test_arguments_are_literals_json_or_text() -> None:
    words = [
        "n_head=12",
        "dropout=0.0",
        "bias=false",
        "device=cpu",
        "sizes=(1, 2)",
        "config.act='relu'",
        "config.n=None",
    ]
    assert parse_args(words) == {
        "n_head": 12,
        "dropout": 0.0,
        "bias": False,
        "device": "cpu",
        "sizes": (1, 2),
        "config": {"act": "relu", "n": None},
    }
    assert parse_args(['{"n_head": 3, "config": {"bias": true}}']) == {"n_head": 3, "config": {"bias": True}}
    for wrong in ("n_head", "=3", "1x=3", "{", "a b=1"):
        with pytest.raises(UsageError):
            parse_args([wrong])
    with pytest.raises(UsageError):
        parse_args(["config=1", "config.n=2"])
