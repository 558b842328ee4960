"""What is written: every weight of the directory, in llama.cpp's order, and computed by llama.cpp as by PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest
import torch

from ckpt2hf.errors import UnsupportedError
from ckpt2hf.ir import Activation, RopeScaling
from ckpt2hf.plan import plan_gguf
from ckpt2hf.stages import BY_ID, Job
from ckpt2hf.stages.gguf.naming import base_name, size_label
from ckpt2hf.stages.gguf.vocabulary import write_none
from ckpt2hf.stages.gguf.writing import narrowed, write
from ckpt2hf.targets import TARGETS
from ckpt2hf.targets.gguf import ARCHITECTURES
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.language_model import class_of
from target_models import SPECS, Model, drawn
from target_models import write as write_directory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ckpt2hf.ir import ModelSpec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BY_TARGET = {target.id: target for target in TARGETS}
GENERAL = {"type": "model", "name": "Test", "languages": ["az"]}


def directory(folder: Path, target: str, spec: ModelSpec) -> Path:
    """A model of a class with loud weights."""
    model = Model(BY_TARGET[target], spec, drawn(spec))
    write_directory(folder, model.state(), model.config())
    return folder


def written(place: Path, out: Path, kind: str = "F32") -> Path:
    write(plan_gguf(place), out, kind, GENERAL, write_none)
    return out


def both(place: Path, file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of PyTorch and of llama.cpp for the same ids, up to the end of the context."""
    from ckpt2hf.stages.gguf.model import LlamaModel  # noqa: PLC0415 - loads llama.cpp

    model = HuggingFaceModel(place, class_of(place))
    ids = np.random.default_rng(4).integers(model.vocab, size=(2, model.context))
    return model.logits(ids), LlamaModel(file, model.context).logits(ids)


def cases() -> list[Any]:
    """Every form of each class that llama.cpp computes."""
    found = []
    for architecture in ARCHITECTURES:
        for target in TARGETS:
            if target.hf_class in architecture.hf_classes:
                found += [
                    pytest.param(target.id, k, id=f"{target.id}-{k}")
                    for k, spec in enumerate(SPECS[target.id])
                    if computed(target.id, spec)
                ]
    return found


def computed(target: str, spec: ModelSpec) -> bool:
    usual = Activation.GELU_TANH if target == "gemma3_text" else Activation.SILU
    return spec.activation in ({Activation.GELU, Activation.GELU_TANH} if target == "gpt2" else {usual}) and not (
        target in {"qwen3", "qwen3_moe", "gemma3_text", "olmo3"} and spec.out_bias
    )


@pytest.mark.parametrize(("target", "k"), cases())
def test_llama_cpp_computes_what_pytorch_does(target: str, k: int, tmp_path: Path) -> None:
    spec = SPECS[target][k]
    if target == "olmo3":  # its heads have to fill the width in llama.cpp
        spec = replace(spec, d_model=spec.heads * spec.head_dim)
    place = directory(tmp_path / "model", target, spec)
    plan = plan_gguf(place)
    wanted, found = both(place, written(place, tmp_path / "m.gguf"))
    limit = plan.architecture.tolerance * float(wanted.std(-1).mean())
    assert np.abs(wanted - found).max() <= limit
    assert np.abs(wanted - found)[:, -3:].max() <= limit  # beyond the first positions, where RoPE shows


def test_each_class_is_tried() -> None:
    assert {case.values[0] for case in cases()} == {"gpt2", "llama", "qwen3", "qwen3_moe", "gemma3_text", "olmo3"}
    assert len(cases()) >= 8


@pytest.mark.parametrize("scaling", ["linear:4", "llama3:8,1,4,16"])
def test_stretched_frequencies_are_llama_cpps_too(scaling: str, tmp_path: Path) -> None:
    spec = replace(SPECS["llama"][0], rope_scaling=RopeScaling(scaling))
    place = directory(tmp_path / "model", "llama", spec)
    wanted, found = both(place, written(place, tmp_path / "m.gguf"))
    assert np.abs(wanted - found).max() <= 1e-3 * float(wanted.std())
    plain = replace(spec, rope_scaling=RopeScaling("none"))
    other, _ = both(directory(tmp_path / "plain", "llama", plain), tmp_path / "m.gguf")
    assert np.abs(wanted - other).max() > 0.01 * float(wanted.std())  # it makes a difference


def test_relu_comes_close_and_says_so(tmp_path: Path) -> None:
    for tied in (False, True):
        spec = replace(SPECS["gpt2"][0], activation=Activation.RELU, tied=tied)
        place = directory(tmp_path / f"model{tied}", "gpt2", spec)
        plan = plan_gguf(place)
        assert [each.id for each in plan.rewrites] == ["ReLU as GELU of 256 times its input"]
        wanted, found = both(place, written(place, tmp_path / f"{tied}.gguf"))
        assert np.abs(wanted - found).max() <= plan.architecture.tolerance * float(wanted.std())


@pytest.mark.parametrize("activation", [Activation.SILU, Activation.RELU2])
def test_what_comes_close_to_nothing_is_refused(activation: Activation, tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "gpt2", replace(SPECS["gpt2"][0], activation=activation))
    with pytest.raises(UnsupportedError, match=r"llama\.cpp's gpt2 cannot express") as refused:
        plan_gguf(place)
    assert any("activation" in line for line in refused.value.details)


def test_what_llama_cpp_does_not_know_is_refused(tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "cohere2", SPECS["cohere2"][0])
    with pytest.raises(UnsupportedError, match="no GGUF is written of Cohere2ForCausalLM"):
        plan_gguf(place)


def test_each_weight_is_there_once_and_whole(tmp_path: Path) -> None:
    spec = SPECS["gpt2"][0]
    place = directory(tmp_path / "model", "gpt2", spec)
    tensors = {each.name: each.data for each in gguf.GGUFReader(written(place, tmp_path / "m.gguf")).tensors}
    from safetensors.numpy import load_file  # noqa: PLC0415

    state = load_file(place / "model.safetensors")
    assert sum(int(np.prod(each.shape)) for each in tensors.values()) == sum(each.size for each in state.values())
    assert np.array_equal(tensors["blk.1.attn_qkv.weight"], state["transformer.h.1.attn.c_attn.weight"].T)
    assert np.array_equal(tensors["blk.0.ffn_down.weight"], state["transformer.h.0.mlp.c_proj.weight"].T)
    assert np.array_equal(tensors["position_embd.weight"], state["transformer.wpe.weight"])


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_narrow_types_hold_matrices_only(kind: str, tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "llama", SPECS["llama"][0])
    for tensor in gguf.GGUFReader(written(place, tmp_path / "m.gguf", kind)).tensors:
        assert tensor.tensor_type.name == (kind if len(tensor.shape) > 1 else "F32"), tensor.name


def test_bfloat16_is_rounded_as_pytorch_does_and_float16_may_not_overflow() -> None:
    numbers = np.random.default_rng(1).normal(0, 1, 10_000).astype(np.float32)
    special = np.array([0.0, -0.0, 1.00390625, 1.01171875, 3.4e38, 1e-40, np.inf, -np.inf, np.nan], np.float32)
    wide = np.concatenate([numbers, special])
    wanted = torch.from_numpy(wide).bfloat16().float().numpy()
    found = (narrowed(wide, "BF16").astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(wanted, found, equal_nan=True)
    assert np.array_equal(narrowed(numbers, "F16"), numbers.astype(np.float16))
    with pytest.raises(OverflowError, match="too large for float16"):
        narrowed(np.array([1e6], np.float32), "F16")


def test_a_large_file_is_split_and_its_parts_are_one_model(tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "llama", SPECS["llama"][0])
    write(plan_gguf(place), tmp_path / "m.gguf", "F32", GENERAL, write_none, largest=20_000)
    files = sorted(tmp_path.glob("m-*.gguf"))
    assert len(files) > 2
    assert BY_ID["gguf-f32"].is_path(f"gguf/m-F32-00001-of-{len(files):05}.gguf")
    wanted, found = both(place, files[0])
    assert np.abs(wanted - found).max() <= 1e-3 * float(wanted.std())


def test_a_lost_turn_of_the_rows_would_be_seen(tmp_path: Path) -> None:
    place = directory(tmp_path / "model", "llama", SPECS["llama"][0])
    plan = plan_gguf(place)
    part = plan.tensors["blk.0.attn_q.weight"]
    rows = np.arange(part.meta.shape[0]).reshape(-1, 2).T.reshape(-1)
    from ckpt2hf.rewrites.leaves import Rows  # noqa: PLC0415

    wrong = replace(plan, tensors={**plan.tensors, "blk.0.attn_q.weight": Rows(part, rows)})
    write(wrong, tmp_path / "m.gguf", "F32", GENERAL, write_none)
    wanted, found = both(place, tmp_path / "m.gguf")
    assert np.abs(wanted - found).max() > 0.01 * float(wanted.std())


def test_metadata_say_what_the_model_is(tmp_path: Path) -> None:
    spec = SPECS["gemma3_text"][0]
    place = directory(tmp_path / "model", "gemma3_text", spec)
    fields = gguf.GGUFReader(written(place, tmp_path / "m.gguf")).fields
    said = {name: field.contents() for name, field in fields.items()}
    assert said["general.architecture"] == "gemma3"
    assert said["general.name"] == "Test"
    assert said["general.languages"] == ["az"]
    assert said["general.file_type"] == 0
    assert said["gemma3.context_length"] == spec.context
    assert said["gemma3.attention.sliding_window"] == spec.sliding_window
    slides = [spec.layer_pattern.slides(i) for i in range(spec.layers)]
    assert said["gemma3.attention.sliding_window_pattern"] == slides


def test_names_follow_the_convention() -> None:
    for count in (990, 601_000, 1_500_000, 134_000_000, 1_240_000_000, 70_000_000_000, 1_100_000_000_000):
        assert size_label(count) == gguf.size_label(count, 0, 0, 0), count
    assert base_name("Az Mini (v2)!") == "Az-Mini-v2"
    assert base_name("...") == "model"


def test_logits_are_compared_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckpt2hf.stages.gguf import reference  # noqa: PLC0415

    place = directory(tmp_path / "model", "llama", SPECS["llama"][0])
    np.save(tmp_path / "tokens.npy", np.random.default_rng(0).integers(SPECS["llama"][0].vocab, size=(3, 11)))
    job = Job(
        stage="gguf-f16",
        directory=str(place),
        out="",
        base=None,
        tokens=str(tmp_path / "tokens.npy"),
        real=False,
        window=5,
        at_once=2,
        preset="",
    )
    first = [(ids.copy(), wanted.copy(), last) for ids, wanted, last in reference.reference(job)]
    monkeypatch.setattr(reference, "_compute", lambda *_: pytest.fail("computed again"))
    again = list(reference.reference(job))
    assert sum(wanted.shape[0] * wanted.shape[1] for _, wanted, _ in first) == 30
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    model = HuggingFaceModel(place, class_of(place))
    for ids, wanted, last in first:
        assert np.array_equal(wanted, model.logits(ids[:, :-1])[:, -last:])
