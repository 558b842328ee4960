"""Each codebase of GPT-2's kin: its small model, how it saves one, and what a person who trained it types."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from dialects import models
from dialects import models_gpt as gpts
from dialects import models_kin as kin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A codebase: its model, how it is saved, what a person who trained it types."""

    make: Callable[[], nn.Module]
    dialect: str
    facts: tuple[str, ...] = ()
    named: bool = False
    """Whether the names alone do not say whose code it was, so that a person has to."""
    exactness: str = "algebraic"
    save: Callable[[State], Any] = dict

    @property
    def said(self) -> dict[str, Any]:
        """The flags."""
        return {"dialect": self.dialect if self.named else None, "facts": self.facts}

    def model(self) -> nn.Module:
        """One with weights large enough that any mistake shows."""
        made = self.make()
        loud: nn.Module = sys.modules[type(made).__module__].loud(made)
        return loud

    def write(self, folder: Path, model: nn.Module) -> Path:
        """The file, in a folder of its own."""
        folder.mkdir(exist_ok=True)
        torch.save(self.save(model.state_dict()), folder / "ckpt.pt")
        return folder / "ckpt.pt"


def as_conv1d(state: State) -> State:
    """What pytorch-pretrained-BERT left behind: matrices `[in, out]`, and the old name of the head."""
    return {
        name.replace("lm_head.", "lm_head.decoder."): part.T.contiguous() if ".c_" in name and part.ndim == 2 else part
        for name, part in state.items()
    }


X = ("head_dim=5", "norm_offset=true")
CASES: dict[str, Case] = {
    "makemore": Case(
        lambda: models.Fused("gelu_tanh", tied=False, mask=True), "makemore", ("heads=3",), True, "bitwise"
    ),
    "llm.c": Case(lambda: models.Fused("gelu_tanh", mask=True), "llmc", ("heads=3",), True, "bitwise"),
    "graykode": Case(
        lambda: models.Fused("gelu_tanh", mask=True), "graykode", ("heads=3",), exactness="bitwise", save=as_conv1d
    ),
    "zero-to-hero": Case(
        gpts.ZeroToHero,
        "zero-to-hero",
        exactness="bitwise",
        save=lambda s: {"epoch": 2, "model_state_dict": s, "optimizer_state_dict": {}, "scheduler_state_dict": {}},
    ),
    "zero-to-hero, tied": Case(lambda: gpts.ZeroToHero(tied=True), "zero-to-hero", exactness="bitwise"),
    "commented-transformers": Case(gpts.Commented, "commented-transformers", ("heads=3",)),
    "commented-transformers, untied": Case(lambda: gpts.Commented(tied=False), "commented-transformers", ("heads=3",)),
    "commented-transformers, no bias": Case(
        lambda: gpts.Commented(head_bias=False, bias=False),
        "commented-transformers",
        ("heads=3",),
        exactness="bitwise",
    ),
    "nanogptplus": Case(gpts.NanoGptPlus, "nanogptplus", ("heads=3",)),
    "nanogptplus, head_dim said": Case(lambda: gpts.NanoGptPlus(4), "nanogptplus", ("head_dim=4",)),
    "nanogptplus, no bias": Case(
        lambda: gpts.NanoGptPlus(8, bias=False), "nanogptplus", ("heads=3",), exactness="bitwise"
    ),
    "affjljoo": Case(
        gpts.Swish,
        "affjljoo",
        ("heads=3",),
        exactness="bitwise",
        save=lambda s: {"model": s, "metrics": {"loss": 1.5}},
    ),
    "rasbt, fast": Case(lambda: kin.Rasbt(fused=True), "rasbt-gpt", ("heads=3",), exactness="bitwise"),
    "rasbt, fast and compiled": Case(
        lambda: kin.Rasbt(fused=True, bias=False),
        "rasbt-gpt",
        ("heads=3",),
        exactness="bitwise",
        save=lambda s: {f"_orig_mod.{name}": part for name, part in s.items()},
    ),
    "rasbt, einsum": Case(lambda: kin.Rasbt(fused=False), "rasbt-gpt", ("heads=3",), exactness="bitwise"),
    "rasbt, einsum without bias": Case(
        lambda: kin.Rasbt(fused=False, bias=False),
        "rasbt-gpt",
        ("heads=3",),
        exactness="bitwise",
    ),
    "x-transformers": Case(
        kin.XTransformer,
        "x-transformers",
        X,
        True,
        save=lambda s: {f"net.{name}": part for name, part in s.items()},
    ),
    "x-transformers, heads said": Case(
        lambda: kin.XTransformer(size=4),
        "x-transformers",
        ("heads=3", "norm_offset=true"),
        True,
    ),
    "x-transformers before 2024-06-27": Case(
        lambda: kin.XTransformer(plus=0),
        "x-transformers",
        ("head_dim=5", "norm_offset=false"),
        True,
    ),
    "x-transformers with ff_swish": Case(
        lambda: kin.XTransformer(activation="silu"),
        "x-transformers",
        (*X, "activation=silu"),
        True,
    ),
    "x-transformers of 2022": Case(kin.OldXTransformer, "x-transformers", ("heads=3", "activation=gelu")),
    "x-transformers of 2022, tied": Case(
        lambda: kin.OldXTransformer(8, tied=True),
        "x-transformers",
        ("head_dim=8", "activation=gelu"),
    ),
    "ARENA": Case(kin.Lens, "transformerlens", named=True),
    "ARENA, narrow heads": Case(lambda: kin.Lens(5), "transformerlens", named=True),
    "TransformerLens": Case(
        lambda: kin.Lens(activation="gelu", library=True),
        "transformerlens",
        ("activation=gelu",),
        True,
    ),
}
