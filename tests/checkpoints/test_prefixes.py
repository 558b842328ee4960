"""Wrapper prefixes come off, the model's own names stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.checkpoints import prefixes
from ckpt2hf.checkpoints.prefixes import RESERVED, WRAPPERS
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints import Checkpoint

NAMES = ["transformer.wte.weight", "transformer.h.0.attn.bias", "lm_head.weight"]


def stripped(names: list[str], *, lightning: bool = False) -> tuple[tuple[str, ...], list[str]]:
    result = prefixes.strip(names, lightning=lightning, where="test")
    return result.prefixes, list(result.names.values())


@given(wrappers=st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=4))
def test_any_stack_of_wrappers_comes_off(wrappers: list[str]) -> None:
    names = [".".join([*wrappers, name]) for name in NAMES]
    assert stripped(names) == (tuple(f"{wrapper}." for wrapper in wrappers), NAMES)


@pytest.mark.parametrize(
    "names",
    [
        ["transformer.wte.weight", "transformer.ln_f.weight"],
        ["blocks.0.weight", "blocks.1.weight"],
        ["model.a.weight", "lm_head.weight"],
        ["blocks.0.module.weight", "wte.weight", "blocks.1.attn.weight"],
        ["0.module.weight", "0.module.bias"],
        ["weight"],
        ["model"],
    ],
)
def test_names_of_the_model_itself_stay(names: list[str]) -> None:
    assert stripped(names) == ((), names)


@pytest.mark.parametrize(
    ("names", "expected", "shown"),
    [
        (["model._orig_mod.a.w", "head.w"], ["model.a.w", "head.w"], "*._orig_mod."),
        (["model.module.a.w", "head.w"], ["model.a.w", "head.w"], "*.module."),
        (["enc.module._orig_mod.a.w", "head.w"], ["enc.a.w", "head.w"], "*._orig_mod."),
        (["h.0._orig_mod.w", "h.1._orig_mod.w", "wte.w"], ["h.0.w", "h.1.w", "wte.w"], "*._orig_mod."),
        (["h.0._checkpoint_wrapped_module.w", "wte.w"], ["h.0.w", "wte.w"], "*._checkpoint_wrapped_module."),
    ],
)
def test_wrappers_in_the_middle_come_out(names: list[str], expected: list[str], shown: str) -> None:
    found, new = stripped(names)
    assert new == expected
    assert shown in found


def test_a_lightning_attribute_comes_off_whatever_its_name() -> None:
    names = [f"my_transformer.{name}" for name in NAMES]
    assert stripped(names) == ((), names)
    assert stripped(names, lightning=True) == (("my_transformer.",), NAMES)


def test_lightning_names_beside_the_model_are_left_alone() -> None:
    names = [*(f"gpt.{name}" for name in NAMES), "loss_fn.weight"]
    assert stripped(names, lightning=True) == ((), names)


def test_a_lightning_file(saved: Callable[..., Checkpoint]) -> None:
    state = {f"my_gpt.{name}": torch.ones(2, 3) for name in NAMES}
    tree = {"state_dict": state, "pytorch-lightning_version": "2.4.0", "hyper_parameters": {"n_head": 3}}
    checkpoint = saved(tree | {"optimizer_states": [{"state": {}, "param_groups": []}], "callbacks": {}})
    assert list(checkpoint.tensors) == NAMES
    assert checkpoint.prefixes == ("my_gpt.",)
    assert checkpoint.lookup("hyper_parameters.n_head") == 3


def test_two_names_never_become_one() -> None:
    with pytest.raises(CheckpointError, match="same name"):
        stripped(["h._orig_mod.w", "h.w", "wte.w"])


@given(st.lists(st.lists(st.sampled_from(["a", "0", *sorted(RESERVED), "module"]), min_size=1, max_size=4), min_size=1))
def test_names_stay_one_to_one(parts: list[list[str]]) -> None:
    names = list(dict.fromkeys(".".join([*part, "w"]) for part in parts))
    try:
        _, new = stripped(names)
    except CheckpointError:
        return
    assert len(set(new)) == len(names)
    assert all(new)
