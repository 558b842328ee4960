"""The weights are found wherever training scripts put them, and never guessed between two."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ckpt2hf.checkpoints import Record
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints import Checkpoint

    Saved = Callable[..., Checkpoint]
    State = dict[str, torch.Tensor]


class Config:
    def __init__(self) -> None:
        self.n_head = 3


class Trainer:
    def __init__(self, model: object) -> None:
        self.model = model


def optimizer_state(state: State) -> dict[str, object]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(tensor) for tensor in state.values()])
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer.state_dict()


@pytest.mark.parametrize(
    "key",
    ["model", "model_state_dict", "state_dict", "model_state", "module", "net", "network", "params", "weights", "ema",
     "checkpoint.model", "run.best.last", "unheard_of"],
)  # fmt: skip
def test_weights_are_found_under_any_key(key: str, saved: Saved, state: State) -> None:
    tree: dict[str, object] = {**state}
    for part in reversed(key.split(".")):
        tree = {part: tree}
    checkpoint = saved(tree | {"optimizer": optimizer_state(state), "epoch": 3})
    assert checkpoint.weights_key == key
    assert list(checkpoint.tensors) == list(state)
    assert checkpoint.lookup("epoch") == 3
    assert "optimizer" not in checkpoint.metadata


def test_metadata_is_the_rest_with_scalars_as_numbers(saved: Saved, state: State) -> None:
    tree = {
        "model": state,
        "optim": optimizer_state(state),
        "scheduler_state_dict": {"step": 3},
        "my_adam": optimizer_state(state),
        "best_val_loss": torch.tensor(1.5, dtype=torch.bfloat16),
        "step": torch.tensor(7),
        "rng": torch.arange(5, dtype=torch.uint8),
        "config": Config(),
        "args": {"n_layer": 2, "betas": (0.9, 0.95)},
        "dtype": torch.float16,
        "np_loss": np.float64(2.5),
        "pytorch_version": torch.__version__,
        "device": torch.device("cuda", 1),
        "size": torch.Size((2, 3)),
    }
    checkpoint = saved(tree)
    assert set(checkpoint.metadata) == set(tree) - {"model", "optim", "scheduler_state_dict", "my_adam"}
    assert checkpoint.lookup("best_val_loss") == 1.5
    assert checkpoint.lookup("step") == 7
    assert checkpoint.lookup("config.n_head") == 3
    assert checkpoint.lookup("args.betas.1") == 0.95
    assert checkpoint.lookup("args.betas.2") is None
    assert checkpoint.lookup("dtype") == "torch.float16"
    assert checkpoint.lookup("np_loss") == 2.5
    assert checkpoint.lookup("pytorch_version") == str(torch.__version__)
    assert type(checkpoint.lookup("pytorch_version")) is str
    assert checkpoint.lookup("device") == "cuda:1"
    assert checkpoint.lookup("size") == (2, 3)


def test_two_sets_of_weights_have_to_be_chosen_between(saved: Saved, state: State) -> None:
    tree = {"model": state, "ema": {name: tensor + 1 for name, tensor in state.items()}, "epoch": 3}
    with pytest.raises(UsageError) as error:
        saved(tree)
    assert {"--weights-key model", "--weights-key ema"} == set(error.value.remedies)
    checkpoint = saved(tree, weights_key="ema")
    assert checkpoint.weights_key == "ema"
    assert checkpoint.metadata == {"epoch": 3}
    with pytest.raises(UsageError, match="no weights at other") as error:
        saved(tree, weights_key="other")
    assert "model, ema" in str(error.value)


def test_weights_with_numbers_between_them_still_count_as_a_second_set(saved: Saved, state: State) -> None:
    tree = {"model": state, "ema": {**{name: tensor + 1 for name, tensor in state.items()}, "decay": 0.99}}
    with pytest.raises(UsageError):
        saved(tree)
    checkpoint = saved(tree, weights_key="ema")
    assert list(checkpoint.tensors) == list(state)
    checkpoint = saved(
        {"model": state, "table": torch.ones(2, 2), "optimized": {"b.w": torch.ones(2, 2)}}, weights_key="model"
    )
    assert checkpoint.weights_key == "model"
    with pytest.raises(UsageError):
        saved({**state, "backup": {name: tensor + 1 for name, tensor in state.items()}})


def test_a_container_of_weights_may_hold_a_tensor_of_its_own(saved: Saved, state: State) -> None:
    assert saved({"model": state, "confusion": torch.ones(2, 2)}).weights_key == "model"


@pytest.mark.parametrize("value", [np.ones((2, 2)), Config()], ids=["array", "object"])
def test_what_is_no_tensor_among_the_weights_is_not_left_out(value: object, saved: Saved, state: State) -> None:
    with pytest.raises(CheckpointError, match="not plain tensors") as error:
        saved({**state, "lm_head.weight": value})
    assert "lm_head.weight" in str(error.value)


def test_names_that_a_terminal_would_act_on_are_refused(saved: Saved, state: State) -> None:
    with pytest.raises(CheckpointError, match="no plain text"):
        saved({**state, "\x1b[2Jw": torch.ones(2)})


def test_tensors_scattered_over_the_whole_file_are_refused(saved: Saved) -> None:
    with pytest.raises(CheckpointError, match="scattered"):
        saved({str(number): {"w": torch.ones(2, 2) * number} for number in range(80)})


def test_odd_keys_of_metadata_become_text(saved: Saved, state: State) -> None:
    metadata = saved({"model": state, 3: "a", (1, "b"): "c", 1 << 20000: "d", None: "e", torch.float16: "f"}).metadata
    assert metadata == {"3": "a", "(1, b)": "c", "a large number": "d", "None": "e", "torch.float16": "f"}


def test_another_name_for_the_same_tensors_is_no_second_set(saved: Saved, state: State) -> None:
    again = {f"module.{name}": tensor for name, tensor in state.items()}
    checkpoint = saved({"model": state, "ddp": again, "same": state, "epoch": 1})
    assert checkpoint.weights_key == "model"
    assert checkpoint.metadata == {"epoch": 1}


def test_small_tensors_elsewhere_are_no_weights(saved: Saved, state: State) -> None:
    history = {"train": torch.rand(5), "val": torch.rand(5)}
    checkpoint = saved({"model": state, "history": history, "random": {"torch": torch.arange(9, dtype=torch.uint8)}})
    assert checkpoint.weights_key == "model"
    checkpoint = saved({**state, "history": history})
    assert checkpoint.weights_key == ""
    assert list(checkpoint.tensors) == list(state)
    assert set(checkpoint.metadata) == {"history"}


def test_extra_state_and_entries_between_the_tensors(saved: Saved, state: State) -> None:
    checkpoint = saved({**state, "attn._extra_state": {"scale": 3}})
    assert list(checkpoint.tensors) == list(state)
    checkpoint = saved({**state, "config": {"n_head": 3}, "epoch": 3})
    assert list(checkpoint.tensors) == list(state)
    assert checkpoint.metadata == {"config": {"n_head": 3}, "epoch": 3}


def test_a_pickled_trainer_and_a_list_of_models(saved: Saved, state: State) -> None:
    assert saved(Trainer(state)).weights_key == "model"
    checkpoint = saved({"models": [state, {"w": torch.ones(2, 2)}]}, weights_key="models.1")
    assert list(checkpoint.tensors) == ["w"]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"state": {}, "param_groups": []}, "state of an optimizer"),
        ({"optimizer": {"state": {}, "param_groups": []}, "epoch": 3}, "optimizer: optimizer state"),
        ({"a.weight": np.ones((2, 2))}, "NumPy arrays"),
        ({"epoch": 3, "loss": torch.tensor(1.0)}, "loss: a tensor"),
        ([1, 2], "list of 2"),
        (3, "the top: int"),
        ({"ids": torch.arange(3)}, "ids: a tensor, [3] int64"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tree: object, said: str, saved: Saved) -> None:
    with pytest.raises(CheckpointError) as error:
        saved(tree)
    assert said in str(error.value)


def test_a_class_that_the_file_needs_becomes_a_record(saved: Saved, state: State) -> None:
    config = saved({"model": state, "config": Config()}).metadata["config"]
    assert isinstance(config, Record)
    assert config.class_name == f"{__name__}.Config"


def test_omegaconf_is_read_as_plain_settings(saved: Saved, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    for module, name in (("nodes", "AnyNode"), ("dictconfig", "DictConfig"), ("listconfig", "ListConfig")):
        home = types.ModuleType(f"omegaconf.{module}")
        setattr(home, name, type(name, (), {"__module__": home.__name__}))
        monkeypatch.setitem(sys.modules, home.__name__, home)

    def any_node(value: object) -> Fake:
        return Fake("omegaconf.nodes", "AnyNode", {"_val": value, "_parent": None})

    inner = Fake("omegaconf.dictconfig", "DictConfig", {"_content": {"n_head": any_node(3)}, "_parent": None})
    sizes = Fake("omegaconf.listconfig", "ListConfig", {"_content": [any_node(1), any_node(2)]})
    config = Fake("omegaconf.dictconfig", "DictConfig", {"_content": {"model": inner, "sizes": sizes}})
    checkpoint = saved({"model": state, "cfg": config})
    assert checkpoint.metadata["cfg"] == {"model": {"n_head": 3}, "sizes": [1, 2]}
    assert checkpoint.lookup("cfg.model.n_head") == 3
    assert checkpoint.lookup("cfg.sizes.1") == 2


class Fake:
    """Pickles as an instance of a class of a package that is not installed."""

    def __init__(self, module: str, name: str, state: dict[str, object]) -> None:
        self.module, self.name, self.state = module, name, state

    def __reduce__(self) -> tuple[object, ...]:
        return getattr(sys.modules[self.module], self.name), (), self.state
