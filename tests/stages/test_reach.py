"""Weights that float16 does not reach are refused before any work, whatever a form would have made of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ckpt2hf.errors import UsageError
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Table
from ckpt2hf.stages import BY_ID, require_reach
from ckpt2hf.tensors import DType, Meta
from stages.command import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

FACTS = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5")


def tensors(**values: float) -> dict[str, Mosaic]:
    """Tensors of several blocks with one large number each, far from the first element."""
    made = {}
    for name, value in values.items():
        dtype = DType[name.partition("_")[0].upper()]
        array = np.zeros((3000, 1000), dtype.numpy)
        array[2900, 5] = value
        made[name] = Mosaic.of(Table(Meta(array.shape, dtype), array))
    return made


@pytest.mark.parametrize("name", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("value", [7e4, -7e4])
def test_one_number_is_found_wherever_it_is(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="onnx-fp16 cannot hold every weight: float16 ends at 65504") as refused:
        require_reach([BY_ID["onnx-fp16"], BY_ID["onnx-q8"]], "onnx", tensors(**{name: value}), "here")
    assert len(refused.value.details) == 1
    assert float(refused.value.details[0].partition(" holds ")[2]) == pytest.approx(value, rel=0.01)
    assert refused.value.where == "here"
    assert refused.value.remedies == ("--to onnx,onnx-q8   has the range of float32",)


def test_what_can_be_held_is_not_refused() -> None:
    at_the_edge = tensors(f32=65504.0, f64=-65504.0, bf16=65280.0, f16=65504.0)
    require_reach([BY_ID["onnx-fp16"], BY_ID["onnx-q4f16"]], "onnx", at_the_edge, "here")
    require_reach([BY_ID["gguf-f16"]], "gguf", at_the_edge, "here")
    beyond = tensors(f32=1e30)
    require_reach([BY_ID["onnx"], BY_ID["onnx-q8"], BY_ID["onnx-q4"]], "onnx", beyond, "here")
    require_reach([BY_ID["gguf-bf16"], BY_ID["gguf-f32"], BY_ID["gguf-q8_0"]], "gguf", beyond, "here")
    require_reach([BY_ID["gguf-f16"]], "onnx", beyond, "here")  # of the other family


def test_of_many_some_are_named() -> None:
    with pytest.raises(UsageError) as refused:
        require_reach([BY_ID["gguf-f16"]], "gguf", tensors(**{f"f32_{i}": 1e5 for i in range(7)}), "here")
    assert len(refused.value.details) == 5
    assert refused.value.details[-1] == "and 3 tensors more"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_commands_refuse_it(repository: Path, tmp_path: Path) -> None:
    weights = torch.load(repository / "examples" / "az-mini" / "az_llm_mini_final.pt", weights_only=True)
    weights["blocks.1.ffwd.net.0.weight"][3, 5] = 1e6
    torch.save(weights, tmp_path / "large.pt")
    out = tmp_path / "out"

    def said(*words: object) -> tuple[int, str]:
        line = [COMMAND, *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    for form, name in (("onnx-q4f16", "transformer.h.1.mlp.c_fc.weight"), ("gguf-f16", "blk.1.ffn_up.weight")):
        ids_only = ("--gguf-tokenizer", "none") if form.startswith("gguf") else ()
        status, text = said("convert", tmp_path / "large.pt", "-o", out, *FACTS, "--to", form, *ids_only)
        assert (status, out.exists()) == (2, False), text
        assert f"{name} holds 1e+06" in text
        assert f"--to {'onnx-q4' if form == 'onnx-q4f16' else 'gguf-bf16'}" in text
    assert said("convert", tmp_path / "large.pt", "-o", out, *FACTS, "--verify", "bytes")[0] == 0
    for words in (("quantize", out, "--to", "onnx-q4f16,onnx-q4"), ("export", out, "--to", "gguf-f16,gguf-f32")):
        ids_only = ("--gguf-tokenizer", "none") if "gguf-f16" in words[-1] else ()
        status, text = said(*words, *ids_only)
        assert status == 2, text
        assert "holds 1e+06" in text
    assert not (out / "onnx").exists()
    assert not list(tmp_path.glob("*.log"))
