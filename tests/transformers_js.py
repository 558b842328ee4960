"""Transformers.js as a client of directories: run by Node.js, offline, from the packages that `make node` installs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.tokenizers import PROBES

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).resolve().parent / "node"
MODULES = FOLDER / "node_modules"
CLIENT = FOLDER / "client.mjs"
DTYPES = {
    "fp32": "model.onnx",
    "fp16": "model_fp16.onnx",
    "q8": "model_quantized.onnx",
    "int8": "model_int8.onnx",
    "uint8": "model_uint8.onnx",
    "q4": "model_q4.onnx",
    "q4f16": "model_q4f16.onnx",
}
"""The file that each word of Transformers.js should open."""


def node() -> str:
    """The program, with the packages of the lock file beside the scripts; without them the test fails."""
    program = shutil.which("node")
    if not program:
        pytest.fail("there is no `node`: run `make node`")
    try:
        installed = json.loads((MODULES / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    except FileNotFoundError:
        pytest.fail(f"{MODULES} does not exist: run `make node`")
    locked = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    if other := [name for name, each in installed.items() if each["version"] != locked.get(name, {}).get("version")]:
        pytest.fail(f"not what package-lock.json says: {', '.join(other)}: run `make node`")
    return program


def run(script: Path, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """A script, run in a folder."""
    return subprocess.run(
        [node(), str(script)], cwd=folder, input=given, capture_output=True, text=True, timeout=300, check=False
    )


def ask(directory: Path, **request: Any) -> Any:
    """The client's answer about a directory. Raises RuntimeError with what it said where it has none."""
    asked = {"folder": str(directory.parent), "name": directory.name, **request}
    done = run(CLIENT, directory.parent, json.dumps(asked))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def alone(directory: Path, dtype: str, folder: Path) -> Path:
    """A copy in which one file is all there is of the model, so that nothing else can be opened."""
    out = folder / dtype
    shutil.copytree(directory, out, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "onnx"))
    (out / "onnx").mkdir()
    shutil.copy(directory / "onnx" / DTYPES[dtype], out / "onnx")
    return out


def by_torch(directory: Path, prompts: Iterable[list[int]], count: int) -> list[list[int]]:
    """The greedy texts of transformers itself."""
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    found = []
    for ids in prompts:
        given = torch.tensor([ids])
        mask = torch.ones_like(given)
        text = model.generate(given, attention_mask=mask, max_new_tokens=count, do_sample=False, pad_token_id=0)
        found.append(text[0].tolist())
    return found


def misread(folder: Path) -> set[str]:
    """The built-in texts that AutoTokenizer of Transformers.js gives other ids than expected, or back as another text.

    The folder is one that `tokenizing.write` made. Texts that the original refuses are left out.
    """
    named = folder.with_name(folder.name.replace(" ", "-"))  # a space is taken for no name of a model
    if named != folder:
        named.symlink_to(folder)
    listed = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    expected = {name: (text, ids, back) for name, (text, ids, back) in zip(PROBES, listed, strict=True) if ids}
    found = ask(
        named, encode=[text for text, _, _ in expected.values()], decode=[ids for _, ids, _ in expected.values()]
    )
    got = zip(expected.items(), found["ids"], found["texts"], strict=True)
    return {name for (name, (_, ids, back)), their_ids, their_text in got if (ids, back) != (their_ids, their_text)}
