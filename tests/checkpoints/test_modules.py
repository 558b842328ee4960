"""Whole pickled models give the state_dict they had, and facts a state_dict hides."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from ckpt2hf.checkpoints import Record, open_checkpoint
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.tensors import TensorRef

    Saved = Callable[..., Checkpoint]
    Equal = Callable[[TensorRef, torch.Tensor], bool]


class Config:
    def __init__(self) -> None:
        self.n_head = 3


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n_head = 3
        self.qkv = nn.Linear(6, 18, bias=False)
        self.act = nn.GELU(approximate="tanh")
        self.register_buffer("mask", torch.tril(torch.ones(4, 4)))
        self.register_buffer("cache", torch.ones(2), persistent=False)
        self.register_parameter("nothing", None)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = Config()
        self.wte = nn.Embedding(7, 6)
        self.h = nn.ModuleList([Attention(), Attention()])
        self.norm = nn.LayerNorm(6, eps=1e-6)
        self.activation = torch.nn.functional.gelu
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.wte.weight
        self.again = self.h[1]


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(6, 2, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(5, 5)))
        self.dropout = nn.Dropout(0.2)


class Script(nn.Module):
    """A model as a course's script has it, with what the script set on it."""

    def __init__(self) -> None:
        super().__init__()
        self.block_size = 5
        self.token_embedding_table = nn.Embedding(7, 6)
        self.heads = nn.ModuleList([Head() for _ in range(3)])
        self.net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 6))
        self.ln_f = nn.LayerNorm(6, eps=1e-4)
        self.narrow = nn.Parameter(torch.randn(3, 2).to(torch.bfloat16))


class Wrapper(nn.Module):
    """As torch.compile and DDP wrap: one child, of a given name."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inner)


def check(checkpoint: Checkpoint, model: nn.Module, equal: Equal) -> None:
    state = model.state_dict()
    assert list(checkpoint.tensors) == list(state)
    for name, tensor in state.items():
        assert equal(checkpoint.tensors[name], tensor), name


def facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {name: module.attributes for name, module in checkpoint.modules.items()}


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle", "pickle, protocol 0", "pickle, protocol 2"])
@pytest.mark.filterwarnings("ignore::torch.serialization.SourceChangeWarning", "ignore:Couldn't retrieve source")
def test_a_model_is_its_state_dict_and_its_facts(
    container: str, saved: Saved, pickled: Callable[..., Checkpoint], equal: Equal
) -> None:
    model = Model()
    if container.startswith("pickle"):
        checkpoint = pickled(model, int(container[-1]) if container[-1].isdecimal() else 4)
    else:
        checkpoint = saved(model, _use_new_zipfile_serialization=container == "zip")
    check(checkpoint, model, equal)
    assert checkpoint.tensors["head.weight"].same_place(checkpoint.tensors["wte.weight"])
    attributes = facts(checkpoint)
    assert checkpoint.modules[""].class_name == f"{__name__}.Model"
    assert checkpoint.modules["h.0.act"].class_name == "torch.nn.modules.activation.GELU"
    assert attributes["norm"]["eps"] == 1e-6
    assert attributes["norm"]["normalized_shape"] == (6,)
    assert attributes["h.0"]["n_head"] == 3
    assert attributes["h.0.act"]["approximate"] == "tanh"
    assert attributes[""]["activation"].endswith("gelu") or "gelu" in attributes[""]["activation"].args
    assert isinstance(attributes[""]["config"], Record)
    assert attributes[""]["config"].fields == {"n_head": 3}
    assert attributes["again"] == attributes["h.1"]
    assert not any(key.startswith("_") and "hook" in key for key in attributes[""])


def test_transformer_layers_tell_their_facts(saved: Saved, equal: Equal) -> None:
    model = nn.TransformerEncoderLayer(6, 2, 12, norm_first=True, batch_first=True, activation="relu")
    checkpoint = saved(model)
    check(checkpoint, model, equal)
    assert checkpoint.modules["self_attn"].attributes["num_heads"] == 2
    assert checkpoint.modules[""].attributes["norm_first"] is True


@pytest.mark.parametrize("wrappers", [["module"], ["_orig_mod"], ["module", "_orig_mod"], ["model", "_orig_mod"]])
def test_wrapped_models_have_the_same_names(wrappers: list[str], saved: Saved, equal: Equal) -> None:
    inner = Model()
    model: nn.Module = inner
    for name in reversed(wrappers):
        model = Wrapper(name, model)
    checkpoint = saved({"model": model, "epoch": 3})
    check(checkpoint, inner, equal)
    assert checkpoint.prefixes == tuple(f"{name}." for name in wrappers)
    assert checkpoint.modules[""].class_name.endswith(".Model")
    assert checkpoint.modules["h.0"].attributes["n_head"] == 3
    assert checkpoint.lookup("epoch") == 3


def test_a_wrapper_inside_a_model_disappears_from_its_modules(saved: Saved) -> None:
    model = Wrapper("trunk", Wrapper("_orig_mod", Attention()))
    model.add_module("head", nn.Linear(2, 3))
    checkpoint = saved(model)
    assert "trunk.qkv.weight" in checkpoint.tensors
    assert checkpoint.modules["trunk"].class_name.endswith(".Attention")
    assert "*._orig_mod." in checkpoint.prefixes


def test_a_model_in_itself_is_refused(saved: Saved) -> None:
    model = Wrapper("child", nn.Linear(2, 3))
    child: Any = model.child
    child._modules["loop"] = model
    with pytest.raises(CheckpointError, match="contains itself"):
        saved(model)


def test_modules_that_multiply_are_refused(saved: Saved) -> None:
    model: nn.Module = nn.Linear(2, 3)
    for _ in range(40):
        wrapped = Wrapper("a", model)
        wrapped._modules["b"] = model
        model = wrapped
    with pytest.raises(CheckpointError, match="more modules"):
        saved(model)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_model_that_pickle_dump_wrote(protocol: int, tmp_path: Path, equal: Equal) -> None:
    model = Script()
    with (tmp_path / "model-01.pkl").open("wb") as file:
        pickle.dump(model, file, protocol)
    checkpoint = open_checkpoint(tmp_path)
    expected = model.state_dict()
    assert checkpoint.container == "plain pickle"
    assert list(checkpoint.tensors) == list(expected)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in expected.items())
    assert checkpoint.modules[""].attributes["block_size"] == 5
    assert checkpoint.modules["ln_f"].attributes["eps"] == 1e-4
    assert checkpoint.modules["heads.1.dropout"].attributes["p"] == 0.2
    assert checkpoint.modules["net.1"].class_name == "torch.nn.modules.activation.ReLU"
    assert len([name for name in checkpoint.modules if name.endswith(".key")]) == 3


def test_a_pickle_of_an_old_protocol_holds_its_bytes_as_text(pickled: Callable[..., Checkpoint]) -> None:
    storage = next(iter(pickled(nn.Linear(2, 3), 2).tensors.values())).storage
    assert storage.nbytes == 24
