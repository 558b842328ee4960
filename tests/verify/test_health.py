"""Suspicions about weights: each fires on its own trap and stays silent on a sound model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.verify.health import Finding, Severity, folded, health

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array


@dataclass(frozen=True)
class Stats:
    low: float
    high: float
    finite: bool
    crc32: int


def examine(weights: dict[str, Array], *, crc: Any = None) -> dict[str, Finding]:
    stats = {
        name: Stats(
            float(array.min()), float(array.max()), bool(np.isfinite(array).all()), crc or hash(array.tobytes())
        )
        for name, array in weights.items()
    }
    found = health(stats, lambda one, other: np.array_equal(weights[one], weights[other]))
    return {finding.code: finding for finding in found}


@pytest.mark.parametrize("loud", [True, False])
def test_a_sound_model_raises_no_suspicion(kit: Any, *, loud: bool) -> None:
    assert examine(kit.draw(kit.spec, loud=loud)) == {}
    assert examine(kit.draw(kit.spec, loud=loud), crc=1) == {}, "a checksum alone proves nothing"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_weights_are_errors(kit: Any, value: float) -> None:
    weights = kit.draw(kit.spec)
    for i in range(3):
        weights[f"layers.{i}.mlp.up.weight"][1, 1] = value
    found = examine(weights)
    assert found["non-finite"].severity is Severity.ERROR
    assert found["non-finite"].names == ("layers.{0..2}.mlp.up.weight",)
    assert set(found) == {"non-finite"}


@pytest.mark.parametrize("with_biases", [True, False])
def test_weights_as_constructed_look_untrained(kit: Any, *, with_biases: bool) -> None:
    weights = {name: array for name, array in kit.draw(kit.spec).items() if with_biases or not name.endswith("bias")}
    for name, array in weights.items():
        if "norm" in name or name.endswith("bias"):
            array[:] = name.endswith("weight")
    found = examine(weights)["untrained"]
    assert found.severity is Severity.WARNING
    assert "commented out" in found.message
    assert found.names[:1] == ("layers.{0..2}.attn_norm.weight",)
    weights["final_norm.weight"][0] = 1.0001
    assert "untrained" not in examine(weights)


def test_zero_matrices_are_named(kit: Any) -> None:
    weights = kit.draw(kit.spec)
    weights["layers.1.attn.out.weight"][:] = 0
    weights["layers.1.attn.out.bias"][:] = 0
    assert examine(weights)["all-zero"].names == ("layers.1.attn.out.weight",)


def test_duplicated_layers_are_named_and_verified(kit: Any) -> None:
    weights = kit.draw(kit.spec)
    for name in [name for name in weights if name.startswith("layers.2.") and "norm" not in name]:
        if name.endswith("weight"):
            weights[name] = weights[name.replace("layers.2", "layers.0")].copy()
    found = examine(weights)["duplicated-layers"]
    assert "Layers 0, 2 " in found.message
    assert "layers.{0,2}.mlp.down.weight" in found.names
    weights["layers.2.mlp.up.weight"][0, 0] += 1e-6
    assert "duplicated-layers" not in examine(weights)
    assert "duplicated-layers" not in examine(weights, crc=1)


def test_names_fold_into_runs() -> None:
    names = ["embed.weight", *(f"layers.{i}.x" for i in (0, 1, 2, 5, 7, 8)), "layers.3.y", "final_norm.bias"]
    assert folded(names) == ("embed.weight", "layers.{0..2,5,7..8}.x", "layers.3.y", "final_norm.bias")
