"""Tied weights, however the file shows them: one storage, two equal tensors, or only one of the two names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import save_file

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError, MappingError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

WTE, HEAD = "transformer.wte.weight", "lm_head.weight"
SAID: dict[str, Any] = {"dialect": "nanogpt", "facts": ("heads=3", "activation=gelu")}


@pytest.fixture
def tied(models: Any) -> Any:
    return models.loud(models.Fused())


def apart(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def without(model: Any, name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in apart(model).items() if key != name}


def why_tied(path: Path) -> str:
    return plan(Request(source=path, **SAID)).candidate.resolution.facts["tied"].where


def test_tied_by_storage(tied: Any, saved: Any, proved: Any) -> None:
    path = saved(tied.state_dict())
    assert "share storage" in why_tied(path)
    report = proved(path, tied, **SAID)
    assert report.spec["tied"]


def test_tied_by_value_alone(tied: Any, saved: Any, proved: Any) -> None:
    path = saved(apart(tied))
    assert "are equal" in why_tied(path)
    report = proved(path, tied, **SAID)
    assert report.spec["tied"]
    assert {left.name: left.why for left in report.left_out} == {HEAD: f"equal to {WTE}, every bit"}


def test_one_bit_apart_is_untied(tied: Any, saved: Any, models: Any, proved: Any) -> None:
    state = apart(tied)
    state[HEAD][7, 3] *= 1.5
    path = saved(state)
    assert "are different" in why_tied(path)
    untied = models.Fused(tied=False).eval()
    untied.load_state_dict(state)
    assert not proved(path, untied, **SAID).spec["tied"]


@pytest.mark.parametrize("lost", [WTE, HEAD])
def test_safetensors_keeps_one_of_the_two_names(lost: str, tied: Any, proved: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(without(tied, lost), path)
    assert why_tied(path) == f"{lost} is absent: safetensors files keep one of two tied tensors"
    report = proved(path, tied, **SAID)
    assert report.spec["tied"]
    assert report.tensors[0].name == WTE
    assert report.tensors[0].sources == (HEAD if lost == WTE else WTE,)


@pytest.mark.parametrize("lost", [WTE, HEAD])
def test_a_torch_file_keeps_both_so_a_lost_one_is_asked_about(lost: str, tied: Any, saved: Any, proved: Any) -> None:
    path = saved(without(tied, lost))
    with pytest.raises(FactsError, match="tied"):
        plan(Request(source=path, **SAID))
    proved(path, tied, dialect="nanogpt", facts=(*SAID["facts"], "tied=true"))


def test_a_lost_head_is_not_made_up(models: Any, saved: Any) -> None:
    path = saved(without(models.loud(models.Fused(tied=False)), HEAD))
    with pytest.raises(MappingError, match=HEAD):
        plan(Request(source=path, dialect="nanogpt", facts=(*SAID["facts"], "tied=false")))


def test_a_dialect_that_never_ties_is_not_read_as_tied(models: Any, saved: Any) -> None:
    """minGPT makes its head apart; a file without one is not minGPT's."""
    path = saved(without(models.loud(models.Fused("gelu_tanh", tied=False, mask=True)), HEAD))
    with pytest.raises(FactsError):
        plan(Request(source=path, dialect="mingpt", facts=("heads=3",)))
