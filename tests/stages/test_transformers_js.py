"""Transformers.js, which nobody here wrote, generates from the directories what PyTorch and onnxruntime generate."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tokenizers import Tokenizer

from ckpt2hf.api import Command, FormsRequest, Level, Request, Writing, convert, make_forms
from transformers_js import DTYPES, FOLDER, MODULES, alone, ask, by_torch, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckpt2hf.api import Form

pytestmark = [pytest.mark.slow, pytest.mark.node, pytest.mark.filterwarnings("ignore")]
NEW = 24
"""Tokens after each prompt; the smallest context is 32."""
PROMPTS = [[5, 3, 8, 2], [17], [90, 1, 44, 44, 7, 61, 12, 30], [0, 95], [33, 60, 2, 71, 9]]
TEXTS = ["The cow eats", "Yanvar", "Bu gün hava", "Uşaqlar bağda alma yığır. İIıi ½ ə_2 [PAD] x"]


def by_onnxruntime(file: Path, prompts: Iterable[list[int]], count: int = NEW) -> list[list[int]]:
    """The greedy texts of a file, by onnxruntime in Python."""
    from ckpt2hf.stages.onnx.model import OnnxModel  # noqa: PLC0415
    from ckpt2hf.stages.onnx.parity import greedy  # noqa: PLC0415

    model = OnnxModel(file)
    return [greedy(model, np.array([ids]), count, cached=True)[0].tolist() for ids in prompts]


def damage(path: Path) -> None:
    """Multiplies the last scale of a quantized file, which is the head's, by a number for each row."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    model = onnx.load(path)
    tensor = [each for each in model.graph.initializer if "_scale" in each.name and len(each.dims)][-1]
    array = numpy_helper.to_array(tensor)
    factors = np.random.default_rng(0).uniform(0.2, 5, array.shape).astype(array.dtype)
    tensor.CopyFrom(numpy_helper.from_array(array * factors, tensor.name))
    onnx.save(model, path)


@pytest.fixture(scope="module")
def mini(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained example with its tokenizer, in every form."""
    out = tmp_path_factory.mktemp("node") / "az-mini-hf"
    source = repository / "examples" / "az-mini" / "az_llm_mini_final.pt"
    facts = ("attention_scale=head_dim**-0.5",)
    convert(Request(source=source, dialect="az-course", facts=facts), Writing(out=out, level=Level.BYTES))
    make_forms(FormsRequest(directory=out, command=Command.EXPORT, forms=("onnx", "onnx-fp16")))
    forms = ("onnx-q8", "onnx-int8", "onnx-uint8", "onnx-q4", "onnx-q4f16")
    make_forms(FormsRequest(directory=out, command=Command.QUANTIZE, forms=forms))
    return out


def test_float32_is_what_pytorch_generates(formed: tuple[Path, dict[str, Form]], tmp_path: Path) -> None:
    found = ask(alone(formed[0], "fp32", tmp_path), dtype="fp32", count=NEW, ids=PROMPTS)
    assert [len(text) for text in found] == [len(ids) + NEW for ids in PROMPTS]
    assert len({tuple(text[-NEW:]) for text in found}) == len(PROMPTS)
    assert found == by_torch(formed[0], PROMPTS, NEW)


@pytest.mark.parametrize("dtype", ["q8", "q4"])
def test_int8_and_int4_are_what_onnxruntime_generates(
    formed: tuple[Path, dict[str, Form]], dtype: str, tmp_path: Path
) -> None:
    found = ask(alone(formed[0], dtype, tmp_path), dtype=dtype, count=NEW, ids=PROMPTS)
    assert found == by_onnxruntime(formed[0] / "onnx" / DTYPES[dtype], PROMPTS)
    assert found != by_onnxruntime(formed[0] / "onnx" / "model.onnx", PROMPTS)


def test_the_file_that_is_asked_for_is_the_one_that_is_opened(
    formed: tuple[Path, dict[str, Form]], tmp_path: Path
) -> None:
    out = shutil.copytree(formed[0], tmp_path / formed[0].name)
    right = {dtype: ask(out, dtype=dtype, count=NEW, ids=PROMPTS) for dtype in ("fp32", "q8", "q4")}
    for dtype in ("q8", "q4"):
        damage(out / "onnx" / DTYPES[dtype])
        wrong = ask(out, dtype=dtype, count=NEW, ids=PROMPTS)
        assert wrong != right[dtype]
        assert wrong == by_onnxruntime(out / "onnx" / DTYPES[dtype], PROMPTS)
    assert ask(out, dtype="fp32", count=NEW, ids=PROMPTS) == right["fp32"]


def test_a_file_that_is_not_there_is_an_error(formed: tuple[Path, dict[str, Form]], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"onnx/model_q4\.onnx"):
        ask(alone(formed[0], "q8", tmp_path), dtype="q4", count=NEW, ids=PROMPTS)


def test_every_form_is_opened_by_its_word(mini: Path, tmp_path: Path) -> None:
    for dtype, file in DTYPES.items():
        found = ask(alone(mini, dtype, tmp_path), dtype=dtype, count=NEW, ids=PROMPTS)
        assert found == by_onnxruntime(mini / "onnx" / file, PROMPTS), dtype


def test_a_pipeline_writes_what_ckpt2hf_generate_writes(mini: Path) -> None:
    words = ["generate", str(mini), *TEXTS, "--max-new-tokens", str(NEW), "--json"]
    command = [sys.executable, "-c", "from ckpt2hf.cli import main; main()", *words]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    tokenizer = Tokenizer.from_file(str(mini / "tokenizer.json"))
    prompts = [tokenizer.decode(one["prompt_ids"]) for one in said]
    found = ask(mini, dtype="fp32", count=NEW, texts=TEXTS)
    assert found == [prompt + one["text"] for prompt, one in zip(prompts, said, strict=True)]


def test_texts_become_the_ids_that_they_become_in_python(mini: Path) -> None:
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(mini)
    wanted = [tokenizer(text).input_ids for text in TEXTS]
    backs = [tokenizer.decode(ids) for ids in wanted]
    assert ask(mini, encode=TEXTS, decode=wanted) == {"ids": wanted, "texts": backs}


def test_the_example_of_the_page_runs(mini: Path, repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "onnx.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```js\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.mjs").write_text(code, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copytree(mini, tmp_path / "models" / mini.name)
    done = run(tmp_path / "example.mjs", tmp_path)
    assert done.returncode == 0, done.stderr
    tokenizer = Tokenizer.from_file(str(mini / "tokenizer.json"))
    prompt = tokenizer.encode("The cow eats").ids
    (ids,) = by_onnxruntime(mini / "onnx" / DTYPES["q8"], [prompt])
    assert done.stdout == tokenizer.decode(ids) + "\n"


def test_the_lock_file_fits_any_registry() -> None:
    text = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
    assert len(packages) > 20
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert "resolved" not in text
    assert "registry" not in text
