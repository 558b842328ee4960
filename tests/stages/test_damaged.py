"""Wrong exports and damaged quantizations are seen, each by what looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpt2hf.stages import Gates, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import Form
    from ckpt2hf.verify import Check

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
VOCAB = {"nanogpt_bias": 96, "llama2c": 288}
WINDOW = 32
"""The context of the smaller one."""


def failed(checks: tuple[Check, ...]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def scaled(path: Path, to: Path, part: str, factor: float) -> Path:
    """The file with the last tensor of such a name multiplied: of quantized ones that is the head's."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    model = onnx.load(path)
    tensor = [each for each in model.graph.initializer if part in each.name and len(each.dims)][-1]
    array = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((array * factor).astype(array.dtype), tensor.name))
    onnx.save(model, to)
    return to


@pytest.fixture
def checks(formed: tuple[Path, dict[str, Form]], tokens: Callable) -> Callable[[Path], set[str]]:
    """Gives the names of the checks that a float32 file fails."""
    from ckpt2hf.stages.onnx.parity import compare  # noqa: PLC0415

    out = formed[0]
    return lambda file: failed(compare(out, file, tokens(VOCAB[out.name]), WINDOW))


def test_the_right_export_passes(formed: tuple[Path, dict[str, Form]], checks: Callable) -> None:
    assert checks(formed[0] / "onnx" / "model.onnx") == set()


def test_a_wrong_weight_is_seen(formed: tuple[Path, dict[str, Form]], checks: Callable, tmp_path: Path) -> None:
    part = "ln_f.weight" if formed[0].name == "nanogpt_bias" else "norm.weight"
    wrong = scaled(formed[0] / "onnx" / "model.onnx", tmp_path / "model.onnx", part, 1.001)
    assert {"onnx logits", "onnx cache", "onnx padding"} <= checks(wrong)


def test_a_wrong_cache_is_seen_by_what_uses_it(
    formed: tuple[Path, dict[str, Form]], checks: Callable, tmp_path: Path
) -> None:
    import onnx  # noqa: PLC0415

    model = onnx.load(formed[0] / "onnx" / "model.onnx")
    swap = {"present.0.key": "present.1.key", "present.1.key": "present.0.key"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                names[k] = swap.get(name, name)
    onnx.save(model, tmp_path / "model.onnx")
    found = checks(tmp_path / "model.onnx")
    assert "onnx cache" in found
    assert "onnx logits" not in found


def test_ignored_padding_is_seen_by_what_uses_it(
    formed: tuple[Path, dict[str, Form]], checks: Callable, tmp_path: Path
) -> None:
    import onnx  # noqa: PLC0415
    from onnx import helper  # noqa: PLC0415

    model = onnx.load(formed[0] / "onnx" / "model.onnx")
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = "every_one" if name == "attention_mask" else name
    one = helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1])
    made = [
        helper.make_node("Shape", ["attention_mask"], ["mask_shape"]),
        helper.make_node("ConstantOfShape", ["mask_shape"], ["every_one"], value=one),
    ]
    for node in reversed(made):
        model.graph.node.insert(0, node)
    onnx.save(model, tmp_path / "model.onnx")
    assert checks(tmp_path / "model.onnx") == {"onnx padding"}


def job(out: Path, form: str, work: Path) -> Job:
    return Job(
        stage=form,
        directory=str(out),
        out=str(work / "made.onnx"),
        base=str(out / "onnx" / "model.onnx"),
        tokens="",
        real=True,
        window=WINDOW,
        at_once=2,
        preset="avx2",
    )


def test_a_damaged_scale_does_not_pass_the_gates(
    formed: tuple[Path, dict[str, Form]], tokens: Callable, tmp_path: Path
) -> None:
    from ckpt2hf.stages.onnx.measuring import price_of  # noqa: PLC0415

    out = formed[0]
    ids, base = tokens(VOCAB[out.name]), out / "onnx" / "model.onnx"
    for name, part in (("model_quantized.onnx", "_scale"), ("model_q4.onnx", "_scales")):
        right = price_of(base, out / "onnx" / name, ids, job(out, "", tmp_path))[1]
        damaged = scaled(out / "onnx" / name, tmp_path / name, part, 4.0)
        checks, wrong = price_of(base, damaged, ids, job(out, "", tmp_path))
        assert failed(checks) == set()
        assert right.ppl_ratio
        gates = Gates(max_kl=right.mean_kl * 1.2, min_top1=right.top1 - 0.01, max_ppl_ratio=right.ppl_ratio * 1.5)
        assert gates.problems(right) == []
        assert "mean KL" in gates.problems(wrong)[0]


def test_a_scale_that_is_no_number_is_seen(
    formed: tuple[Path, dict[str, Form]], tokens: Callable, tmp_path: Path
) -> None:
    from ckpt2hf.stages.onnx.measuring import price_of  # noqa: PLC0415

    out = formed[0]
    damaged = scaled(out / "onnx" / "model_q4.onnx", tmp_path / "m.onnx", "_scales", float("nan"))
    ids = tokens(VOCAB[out.name])
    checks, price = price_of(out / "onnx" / "model.onnx", damaged, ids, job(out, "", tmp_path))
    assert failed(checks) == {"finite logits"}
    assert np.isnan(price.mean_kl)


def test_layers_that_a_quantizer_passes_by_are_seen(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ckpt2hf.stages import STAGES  # noqa: PLC0415
    from ckpt2hf.stages.child import promised  # noqa: PLC0415
    from ckpt2hf.stages.onnx import int4  # noqa: PLC0415
    from ckpt2hf.stages.onnx.weights import use_of  # noqa: PLC0415

    stage = next(each for each in STAGES if each.id == "onnx-q4")
    monkeypatch.setattr(int4, "with_plain_products", lambda model: model)
    asked = job(exported, stage.id, tmp_path)
    int4.make(asked, stage, tmp_path)
    use = use_of(Path(asked.out), exported / "onnx" / "model.onnx", stage.bits)
    assert use.share < 0.5
    assert not promised(use, stage).passed
    assert any("the quantizer left" in why for _, why in use.kept)


def test_divergence_is_what_torch_computes() -> None:
    import torch  # noqa: PLC0415

    from ckpt2hf.stages.divergence import kl  # noqa: PLC0415

    a, b = np.random.default_rng(0).normal(0, 3, (2, 2, 7, 50)).astype(np.float32)
    p, q = (torch.from_numpy(x).double().log_softmax(-1) for x in (a, b))
    wanted = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    assert np.allclose(kl(a, b), wanted.numpy(), rtol=1e-12)
    assert kl(a, a).max() < 1e-12


def test_what_is_too_large_for_one_file_lies_beside_it(
    formed: tuple[Path, dict[str, Form]], tokens: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ckpt2hf.stages import STAGES  # noqa: PLC0415
    from ckpt2hf.stages.onnx import file, int4  # noqa: PLC0415
    from ckpt2hf.stages.onnx.measuring import price_of  # noqa: PLC0415

    out = formed[0]
    monkeypatch.setattr(file, "LARGEST", 1000)
    asked = job(out, "onnx-q4", tmp_path)
    int4.make(asked, next(each for each in STAGES if each.id == "onnx-q4"), tmp_path)
    assert (tmp_path / "made.onnx_data").stat().st_size > 1000
    ids = tokens(VOCAB[out.name])
    beside = price_of(out / "onnx" / "model.onnx", Path(asked.out), ids, asked)[1]
    alone = price_of(out / "onnx" / "model.onnx", out / "onnx" / "model_q4.onnx", ids, asked)[1]
    assert beside == alone


@pytest.mark.parametrize(("form", "kind"), [("onnx-q8", np.uint8), ("onnx-int8", np.int8), ("onnx-uint8", np.uint8)])
def test_int8_for_avx2_has_seven_bits(exported: Path, tmp_path: Path, form: str, kind: type) -> None:
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    from ckpt2hf.stages import STAGES  # noqa: PLC0415
    from ckpt2hf.stages.onnx import int8  # noqa: PLC0415

    asked = job(exported, form, tmp_path)
    settings = int8.make(asked, next(each for each in STAGES if each.id == form), tmp_path).settings
    assert settings["reduce_range"]
    graph = onnx.load(asked.out).graph
    multiplied = {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"}
    matrices = [numpy_helper.to_array(each) for each in graph.initializer if each.name in multiplied]
    assert len(matrices) > 4
    for matrix in matrices:
        assert matrix.dtype == kind
        assert int(matrix.max()) - int(matrix.min()) <= 128  # of 255


def test_the_errors_of_layers_show_where_a_file_is_damaged(
    formed: tuple[Path, dict[str, Form]], tokens: Callable, tmp_path: Path
) -> None:
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    from ckpt2hf.stages.onnx.measuring import price_of  # noqa: PLC0415

    out = formed[0]
    ids, base, file = tokens(VOCAB[out.name]), out / "onnx" / "model.onnx", out / "onnx" / "model_q4.onnx"
    right = price_of(base, file, ids, job(out, "", tmp_path))[1]
    model = onnx.load(file)
    first = [each for each in model.graph.node if each.op_type == "MatMulNBits" and ".0/" in each.name]
    scales = next(each for each in model.graph.initializer if each.name == first[-1].input[2])
    scales.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scales) * np.float32(4), scales.name))
    onnx.save(model, tmp_path / "damaged.onnx")
    wrong = price_of(base, tmp_path / "damaged.onnx", ids, job(out, "", tmp_path))[1]
    assert len(right.key_errors) == len(right.value_errors) == 2
    # What leaves the first layer is seen by the keys and values of the second.
    assert (wrong.key_errors[0], wrong.value_errors[0]) == (right.key_errors[0], right.value_errors[0])
    assert wrong.key_errors[1] > right.key_errors[1] > 0
    assert wrong.value_errors[1] > right.value_errors[1] > 0
    assert wrong.logit_error > right.logit_error
