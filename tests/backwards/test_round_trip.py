"""File to directory to file: the same tensors, bit for bit, for every golden case that only moved numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import Level, Request, Writing, convert, dialect
from ckpt2hf.checkpoints import lookup, open_checkpoint
from ckpt2hf.errors import UnsupportedError
from ckpt2hf.ops import identical
from support import EVERY_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import BackReport, Report

    Back = Callable[..., tuple[Path, BackReport]]
    Converted = Callable[[str], tuple[Path, Report]]

_LECTURE = {"ln_f.weight", "ln_f.bias", "lm_head.weight", "lm_head.bias"}
FOLDED = {
    "az50_v2": _LECTURE,
    "az50_v2_ddp_prefix": _LECTURE,
    "az50_v2_accelerate_dir": _LECTURE,
    "ng_video": _LECTURE,
    "fareedkhan": {"layer_norm.weight", "layer_norm.bias", "lm_head.weight", "lm_head.bias"},
    "clean_transformer_arena": {"ln_final.w", "ln_final.b", "unembed.W_U", "unembed.b_U"},
    "former_postnorm": {"tblocks.1.norm2.weight", "tblocks.1.norm2.bias", "toprobs.weight", "toprobs.bias"},
}
"""Cases whose head bias was folded into the head, and the tensors whose numbers their directory no longer shows."""
WITHOUT_MASKS = {"model_args.multiple_of", "model_args.hidden_dim"}
"""What llama2.c may have been told otherwise for the same width of the MLP."""


ROW_TOO_MANY = "waylandzhang_sinusoidal"


@pytest.fixture(params=sorted(EVERY_FLAGS.keys() - {ROW_TOO_MANY}))
def every_golden(request: pytest.FixtureRequest, golden: Callable[[str], Any]) -> Any:
    """Each golden case whose code can load what its directory holds."""
    return golden(request.param)


def test_a_row_that_no_class_keeps_cannot_come_back(converted: Converted, back: Back) -> None:
    """That code's embedding has a row more than there are tokens, so it could not load a file without it."""
    with pytest.raises(UnsupportedError) as refused:
        returned(ROW_TOO_MANY, converted, back)
    assert "embed_rows is 127; this code always has 128" in str(refused.value)


def returned(name: str, converted: Converted, back: Back, level: Level = Level.BYTES) -> tuple[Path, BackReport]:
    directory, report = converted(name)
    return back(directory, report.dialect.id, layout=report.dialect.layout, level=level)


def test_every_tensor_comes_back(every_golden: Any, converted: Converted, back: Back) -> None:
    _, report = converted(every_golden.name)
    file, backwards = returned(every_golden.name, converted, back)
    before, after = (open_checkpoint(path).tensors for path in (every_golden.path, file))
    assert before.keys() == after.keys()
    different = {name for name, ref in before.items() if not identical(ref, after[name])}
    assert backwards.exactness == "bitwise"
    if every_golden.name not in FOLDED:
        assert report.exactness == "bitwise"
        assert not different
        return
    assert report.exactness == "algebraic"
    assert different == FOLDED[every_golden.name]
    vectors = [after[name] for name in different if len(after[name].meta.shape) == 1]
    assert sum(not ref.load().any() for ref in vectors) == 1, "the head bias, and it alone, is zero"


def test_the_settings_come_back(every_golden: Any, converted: Converted, back: Back) -> None:
    """Wherever the codebase's own file holds a fact, the file that is made for it holds the same one."""
    _, report = converted(every_golden.name)
    file, _ = returned(every_golden.name, converted, back)
    before, after = (open_checkpoint(path).metadata for path in (every_golden.path, file))
    layout = next(each for each in dialect(report.dialect.id).layout if each.title == report.dialect.layout)
    facts = {path for path, entry in layout.save.fields.items() if entry.fact} - WITHOUT_MASKS
    shared = {path for path in facts if lookup(before, path) is not None}
    assert shared == (facts if before else set())
    for path in shared:
        assert lookup(after, path) == lookup(before, path), path


def test_forwards_again_gives_the_same_directory(
    every_golden: Any, converted: Converted, back: Back, tmp_path: Path
) -> None:
    directory, report = converted(every_golden.name)
    file, _ = returned(every_golden.name, converted, back)
    said = {**EVERY_FLAGS[every_golden.name], "dialect": report.dialect.id}
    for name in report.source.side_files:  # params.json and the like stay beside the weights
        shutil.copy(every_golden.path.parent / name, file.parent)
    again = convert(Request(source=file, **said), Writing(out=tmp_path / "again", level=Level.BYTES))
    assert again.verdict.proved
    one, other = (open_checkpoint(d / "model.safetensors", as_named=True).tensors for d in (directory, again_at(again)))
    assert one.keys() == other.keys()
    assert all(identical(ref, other[name]) for name, ref in one.items())
    assert (directory / "config.json").read_bytes() == (again_at(again) / "config.json").read_bytes()


def again_at(report: Report) -> Path:
    return Path(report.output)


def test_torch_loads_it_with_nothing_but_weights(every_golden: Any, converted: Converted, back: Back) -> None:
    file, report = returned(every_golden.name, converted, back)
    tree = torch.load(file, weights_only=True)
    known = dialect(report.dialect)
    weights = next(each for each in known.layout if each.title == report.layout).save.weights
    state = tree[weights] if weights else tree
    before = open_checkpoint(every_golden.path).tensors
    assert set(state) == set(before)
    for name, holder in report.second_names.items():
        assert state[name].untyped_storage().data_ptr() == state[holder].untyped_storage().data_ptr()
        assert state[name].stride() == state[holder].stride()
    alone = {state[name].untyped_storage().data_ptr() for name in state if name not in report.second_names}
    assert len(alone) == len(state) - len(report.second_names)
    for name, ref in before.items():
        assert tuple(state[name].shape) == ref.meta.shape
        assert str(state[name].dtype) == f"torch.{ref.meta.dtype.torch_name}"


@pytest.mark.parametrize("name", ["nanogpt_bias", "llama2c", "lfs_qwen3", "az50_v2", "minimind3"])
def test_the_function_is_proved(name: str, converted: Converted, back: Back) -> None:
    _, report = returned(name, converted, back, Level.LOGITS)
    assert {"float32 logits", "float64 logits", "greedy generation"} <= {c.name for c in report.verdict.checks}


def test_a_power_of_two_in_the_attention_scale_comes_back(
    converted: Converted, back: Back, models: Any, tmp_path: Path
) -> None:
    """Four heads: what moves into q is a half, which loses no bit, so the code of day 14 gets its own numbers back."""
    del converted
    model = models.loud(models.Lecture("gelu", "d_model", heads=4))
    model.lm_head.bias.data.zero_()
    torch.save(model.state_dict(), tmp_path / "day14.pt")
    said = {"dialect": "az-course", "facts": ("attention_scale=d_model**-0.5",)}
    out = tmp_path / "hf"
    assert convert(Request(source=tmp_path / "day14.pt", **said), Writing(out=out, level=Level.BYTES)).verdict.proved
    file, _ = back(out, "az-course", layout="days 13", facts=("attention_scale=d_model**-0.5",))
    found = torch.load(file, weights_only=True)
    assert all(torch.equal(found[name], part) for name, part in model.state_dict().items())
    plain, _ = back(out, "az-course", layout="days 13")
    name = "blocks.0.sa.heads.0.query.weight"
    assert torch.equal(torch.load(plain, weights_only=True)[name], model.state_dict()[name] / 2)


def test_a_half_precision_model_keeps_its_bits(converted: Converted, back: Back) -> None:
    file, _ = returned("minimind3", converted, back)
    state = torch.load(file, weights_only=True)
    assert {part.dtype for part in state.values()} == {torch.float16}
    assert np.isfinite(state["model.norm.weight"].float().numpy()).all()
