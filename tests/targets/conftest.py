"""The small models of every target, each with the interpreter that can run it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.targets import TARGETS
from ckpt2hf.verify.elsewhere import Elsewhere, needs_other
from target_models import SPECS, Model, drawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Standing(Elsewhere):
    """The comparison in an interpreter that stays: one start of transformers for all mutants."""

    process: subprocess.Popen[str]

    def _run(self, work: Path) -> None:
        assert self.process.stdin
        assert self.process.stdout
        print(work, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == f"{work}\n", "the other interpreter has ended"


STANDING = """
import sys
from pathlib import Path
import torch
from ckpt2hf.verify.elsewhere_child import main
torch.set_num_threads(1)
for line in sys.stdin:
    main(Path(line.rstrip()))
    print(line, end="", flush=True)
"""


@pytest.fixture(scope="session")
def there(python_5x: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """The other interpreter, waiting for folders with jobs."""
    words = [str(python_5x), "-P", "-W", "ignore", "-c", STANDING]
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield process
        assert process.stdin
        process.stdin.close()


MODELS = [
    pytest.param(
        Model(t, spec, drawn(spec)),
        id=f"{t.id}-{k}",
        marks=[pytest.mark.transformers5] if t.transformers else [],
    )
    for t in TARGETS
    for k, spec in enumerate(SPECS[t.id])
]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, python_5x: Path) -> Model:
    """Each model in turn."""
    made: Model = request.param
    if needs_other(made.target):
        return replace(made, compare=Standing(python_5x, made.target, request.getfixturevalue("there")))
    return made
