"""What plans and inspects starts in a fraction of a second, because it never imports torch or transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = str(ROOT / "examples" / "az-mini" / "az_llm_mini_final.pt")
ASSERTED = ["--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5"]
HEAVY = {"torch", "transformers", "tokenizers", "accelerate", "onnx", "onnxruntime"}
# The command ends by raising SystemExit; what it had imported by then goes to the file named first.
RUN = """
import json, pathlib, sys
out, sys.argv = sys.argv[1], ["ckpt2hf", *sys.argv[2:]]
status = 0
try:
    from ckpt2hf.cli import main
    main()
except SystemExit as end:
    status = end.code or 0
pathlib.Path(out).write_text(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ckpt2hf; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["convert", "--help"], ["inspect", CHECKPOINT, *ASSERTED], ["plan", CHECKPOINT, *ASSERTED]],
    ids=lambda arguments: " ".join(a for a in arguments[:2] if a != CHECKPOINT),
)
def test_a_command_that_reads_no_weights_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(out), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert out.exists(), done.stderr
    status, modules = json.loads(out.read_text())
    assert status == 0, done.stdout + done.stderr
    assert done.stdout
    # A plan reads the tokenizer beside the checkpoint; that takes hundredths of a second.
    assert HEAVY & set(modules) <= ({"tokenizers"} if arguments[0] == "plan" else set())
