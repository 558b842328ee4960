"""Other forms of a model in a container: under every restriction, and in just the memory that is asked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from image.engine import Caller, docker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.usefixtures("image")]
GELU = ("--set", "activation=gelu")
EVERY = ("onnx", "onnx-fp16", "onnx-q8", "onnx-int8", "onnx-uint8", "onnx-q4", "onnx-q4f16", "gguf-f32", "gguf-f16")


def forms_of(directory: Path) -> list[str]:
    report = json.loads((directory / "conversion.json").read_text(encoding="utf-8"))
    return [stage["id"] for stage in report["stages"]]


def test_every_form_is_made_in_one_command(caller: Caller, golden_in: Callable[[str], str]) -> None:
    words = ("-o", "/out/model", *GELU, "--to", ",".join(EVERY))
    done = caller.run("convert", golden_in("nanogpt_bias"), *words)
    assert done.code == 0, done.text
    assert forms_of(caller.out / "model") == list(EVERY)
    assert {path.name for path in caller.out.iterdir()} == {"model", "model.convert.log"}
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in caller.out.rglob("*")}
    assert owners == {(caller.uid, caller.gid)}
    sums = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=caller.out / "model", check=False).returncode == 0


def test_a_directory_gets_forms_afterwards(caller: Caller, golden_in: Callable[[str], str]) -> None:
    assert caller.run("convert", golden_in("nanogpt_bias"), "-o", "/out/model", *GELU).code == 0
    done = caller.run("export", "/out/model", "--to", "onnx")
    assert done.code == 0, done.text
    done = caller.run("quantize", "/out/model", "--to", "onnx-q4", "--max-kl", "1e-9")
    assert done.code == 1, done.text
    assert "onnx-q4 rejected" in done.err
    assert forms_of(caller.out / "model") == ["onnx"]


def test_too_little_memory_is_refused_and_what_is_asked_for_is_enough(
    caller: Caller, repository: Path, container: Callable[..., str]
) -> None:
    """At the size of the course's own model, which takes gigabytes for its forms."""
    script = repository / "scripts" / "make_course_checkpoint.py"
    subprocess.run([sys.executable, script, caller.source / "course.pt"], check=True, capture_output=True)
    facts = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5")
    words = ("convert", "/in/course.pt", "-o", "/out/model", *facts, "--to", "onnx,onnx-q8,onnx-q4")

    def ended(mebibytes: int) -> tuple[int, str]:
        limits = (f"--memory={mebibytes}m", f"--memory-swap={mebibytes}m")
        name = container([*caller.flags, *limits], *words)
        code = int(docker("wait", name).out)
        text = docker("logs", name).text
        assert docker("inspect", "--format={{.State.OOMKilled}}", name).out.strip() == "false", text
        return code, text

    code, text = ended(1500)
    assert code == 2, text
    assert list(caller.out.iterdir()) == []
    asked = re.search(r"takes up to (\d+) MiB", text)
    assert asked, text
    code, text = ended(int(asked[1]))
    assert code == 0, text
    assert forms_of(caller.out / "model") == ["onnx", "onnx-q8", "onnx-q4"]
