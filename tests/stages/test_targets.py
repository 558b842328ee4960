"""Every class: what is said to be exported is exported right, and what is refused is what optimum does not know."""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpt2hf.stages import ONNX, Apart, Job
from ckpt2hf.stages.onnx.parity import spread
from ckpt2hf.targets import TARGETS
from ckpt2hf.verify.elsewhere import needs_other
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.language_model import class_of
from ckpt2hf.verify.tolerances import LOGITS_TOLERANCE
from target_models import SPECS, Model, drawn, write
from transformers_js import ask, by_torch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NEW = 12
"""Tokens that Transformers.js writes."""
MODELS = [
    pytest.param(Model(target, SPECS[target.id][k], drawn(SPECS[target.id][k])), id=f"{target.id}-{k}")
    for target in TARGETS
    if target.id in ONNX.targets
    for k in (range(2) if target.id in {"gpt2", "gemma3_text"} else range(1))
]
"""Tied ones as well where the export stores them in another way; of Gemma 3, windows shorter than what is shown."""


@pytest.mark.node
@pytest.mark.parametrize("model", MODELS)
def test_what_is_exported_is_right_for_transformers_js_too(model: Model, tmp_path: Path) -> None:
    write(tmp_path / "model", model.state(), model.config())
    ids = np.random.default_rng(3).integers(model.spec.vocab, size=(2, model.spec.context + 1))
    np.save(tmp_path / "tokens.npy", ids)
    work = tmp_path / "work"
    work.mkdir()
    job = Job(
        stage=ONNX.id,
        directory=str(tmp_path / "model"),
        out=str(tmp_path / "onnx" / ONNX.file),
        base=None,
        tokens=str(tmp_path / "tokens.npy"),
        real=False,
        window=model.spec.context,
        at_once=2,
        preset="avx2",
    )
    made = Apart(tmp_path / "log").run(job, work, 1)
    assert [f"{check.name}: {check.summary}" for check in made.checks if not check.passed] == []
    assert len(made.checks) == 5
    assert made.files == ("model.onnx",)
    shutil.move(tmp_path / "onnx", tmp_path / "model" / "onnx")
    shown = ids[:1, : model.spec.context]
    wanted = HuggingFaceModel(tmp_path / "model", class_of(tmp_path / "model")).logits(shown)
    (found,) = ask(tmp_path / "model", dtype="fp32", logits=shown.tolist())
    assert np.abs(found - wanted[0]).max() < LOGITS_TOLERANCE * spread(wanted)
    prompts = [shown[0, :-NEW].tolist()]
    assert ask(tmp_path / "model", dtype="fp32", count=NEW, ids=prompts) == by_torch(tmp_path / "model", prompts, NEW)


def test_what_is_refused_is_what_optimum_does_not_know() -> None:
    import_module("optimum.exporters.onnx.model_configs")  # registers what it exports
    from optimum.exporters.tasks import TasksManager  # noqa: PLC0415

    for target in TARGETS:
        kind = target.config(SPECS[target.id][0])["model_type"]
        known = kind in TasksManager.get_supported_model_type_for_task("text-generation-with-past", "onnx")
        assert (known and not needs_other(target)) == (target.id in ONNX.targets), target.id
