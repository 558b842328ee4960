"""Golden checkpoints converted once a session, and the flags each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Level, Request, Writing, convert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report

FLAGS: dict[str, dict[str, Any]] = {
    # What a person who trained each model knows, and types.
    "az50_v1": {"facts": ("heads=3",)},
    "az50_v2": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "az50_v2_accelerate_dir": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "az50_v2_ddp_prefix": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "build_nanogpt": {},
    "mingpt": {"dialect": "mingpt", "facts": ("heads=3",)},
    "nanogpt_bias": {"facts": ("activation=gelu",)},
    "nanogpt_nobias_origmod": {"facts": ("activation=gelu",)},
    "nanogpt_nobias_raw": {"dialect": "nanogpt", "facts": ("heads=6", "activation=gelu")},
    "ng_video": {"dialect": "karpathy-lecture", "facts": ("attention_scale=head_dim**-0.5",)},
}


@pytest.fixture(scope="session")
def flags() -> dict[str, dict[str, Any]]:
    """What the user says about each golden checkpoint."""
    return FLAGS


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[[str], tuple[Path, Report]]:
    """A golden case's proved directory and its report, made once."""
    done: dict[str, tuple[Path, Report]] = {}

    def make(name: str) -> tuple[Path, Report]:
        if name not in done:
            folder = repository / "tests" / "golden" / name
            source = folder / ("best_model" if (folder / "best_model").exists() else "checkpoint.pt")
            out = tmp_path_factory.mktemp("converted") / name
            report = convert(Request(source=source, **FLAGS[name]), Writing(out=out, level=Level.LOGITS))
            done[name] = (out, report)
        return done[name]

    return make
