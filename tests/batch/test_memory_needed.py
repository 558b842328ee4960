"""What a proof is said to need against what it takes: anonymous memory of its process, watched from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from ckpt2hf.batch.local import _MODULES
from ckpt2hf.verify import LIBRARIES, Level

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20

# As a batch does it: a process that has imported everything is copied for each conversion, and its copy is watched.
RUN = """
import json, os, sys, time
from importlib import import_module
from pathlib import Path

level, modules, cases = json.loads(sys.argv[1])
for name in ("ckpt2hf.batch.child", *modules):
    import_module(name)
from ckpt2hf.run import Request, Writing, convert
from ckpt2hf.run.units import number_type
from ckpt2hf.verify import Level

def anonymous(pid):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

libraries = anonymous("self")
for case in cases:
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        if level == "logits":
            import torch
            torch.set_num_threads(2)
        writing = Writing(out=Path(case["source"] + case["dtype"] + ".out"), level=Level(level), threads=2)
        dtype = number_type(case["dtype"]) if case["dtype"] else None
        request = Request(source=Path(case["source"]), dialect="nanogpt", facts=("activation=gelu",), dtype=dtype)

        def tell(needs):
            os.write(there, json.dumps([needs.memory, needs.libraries]).encode())

        report = convert(request, writing, admit=tell)
        os._exit(not report.verdict.proved)
    most = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        most = max(most, anonymous(pid))
        time.sleep(0.001)
    memory, said = json.loads(os.read(here, 100))
    print(json.dumps({"libraries": libraries, "said": said, "memory": memory, "taken": most - libraries}), flush=True)
"""


@dataclass(frozen=True)
class Shape:
    """A nanoGPT."""

    layers: int
    width: int
    vocab: int
    context: int = 64
    half: bool = False
    """Whether it is stored in 16 bits."""

    def save(self, path: Path) -> None:
        width = self.width
        shapes = {
            "transformer.wte.weight": (self.vocab, width),
            "transformer.wpe.weight": (self.context, width),
            "transformer.ln_f.weight": (width,),
            "transformer.ln_f.bias": (width,),
        }
        for k in range(self.layers):
            block = {
                "ln_1": (width,),
                "ln_2": (width,),
                "attn.c_attn": (3 * width, width),
                "attn.c_proj": (width, width),
                "mlp.c_fc": (4 * width, width),
                "mlp.c_proj": (width, 4 * width),
            }
            for name, shape in block.items():
                shapes[f"transformer.h.{k}.{name}.weight"] = shape
                shapes[f"transformer.h.{k}.{name}.bias"] = shape[:1]
        made = torch.Generator().manual_seed(0)
        kind = torch.bfloat16 if self.half else torch.float32
        state = {name: (0.05 * torch.randn(shape, generator=made)).to(kind) for name, shape in shapes.items()}
        state["lm_head.weight"] = state["transformer.wte.weight"]
        names = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size")
        told = dict(zip(names, (self.layers, 4, width, self.context, self.vocab), strict=True))
        torch.save({"model": state, "model_args": {**told, "bias": True, "dropout": 0.0}}, path)


WORDS = Shape(1, 128, 90_000)
DEEP = Shape(36, 128, 300)
LONG = Shape(1, 64, 3_000, context=2048)
STORED_SMALL = Shape(2, 256, 20_000, half=True)


def measured(folder: Path, level: Level, cases: list[tuple[Shape, str]]) -> list[dict[str, int]]:
    made = []
    for shape, dtype in cases:
        path = folder / ("-".join(map(str, asdict(shape).values())) + ".pt")
        if not path.exists():
            shape.save(path)
        made.append({"source": str(path), "dtype": dtype})
    words = json.dumps([level.value, _MODULES.get(level, ()), made])
    done = subprocess.run([sys.executable, "-c", RUN, words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "cases"),
    [
        (Level.BYTES, [(WORDS, ""), (WORDS, "float16"), (DEEP, "float16")]),
        (
            Level.LOGITS,
            [(WORDS, "float16"), (DEEP, "float16"), (LONG, ""), (STORED_SMALL, "")],
        ),
    ],
    ids=["bytes", "logits"],
)
def test_a_proof_takes_what_it_is_said_to_take_at_most(
    tmp_path: Path, level: Level, cases: list[tuple[Shape, str]]
) -> None:
    found = measured(tmp_path, level, cases)
    assert len(found) == len(cases)
    for (shape, dtype), case in zip(cases, found, strict=True):
        told = f"{shape} {dtype}: { ({name: f'{nbytes / MIB:.0f} MiB' for name, nbytes in case.items()}) }"
        assert case["said"] == LIBRARIES[level]
        assert case["libraries"] <= case["said"], told
        assert case["taken"] <= case["memory"], told
        if case["memory"] > 150 * MIB:  # where it decides how many run at the same time
            assert case["taken"] >= case["memory"] / 4, told
        print(told)  # noqa: T201 - shown by `pytest -s`
