"""What tests of every layer share: where the repository is, the golden cases, the second environment."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from support import MUTANTS, REFUSED, SOURCES, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"


@dataclass(frozen=True)
class GoldenCase:
    """A checkpoint that a real codebase saved, and the logits [batch, time, vocab] that codebase computes with it."""

    name: str
    path: Path
    config: Mapping[str, Any]
    semantics: Mapping[str, Any]
    input_ids: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def gives_log_probabilities(self) -> bool:
        """Whether the codebase's model ends with a log_softmax."""
        return bool(self.semantics.get("output", "logits") != "logits")

    def off(self, found: NDArray[np.float32]) -> float:
        """How far logits lie from what the codebase gives at most; infinitely where the shapes differ."""
        if found.shape != self.logits.shape:
            return np.inf
        shifted = found - np.logaddexp.reduce(found, axis=-1, keepdims=True) if self.gives_log_probabilities else found
        return float(np.abs(shifted - self.logits).max())


@functools.cache
def load_golden(name: str) -> GoldenCase:
    folder = GOLDEN / name
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    expected = load_file(folder / "expected.safetensors")
    return GoldenCase(
        name=name,
        path=folder / SOURCES.get(name, "checkpoint.pt"),
        config=case["config"],
        semantics=case.get("semantics", {}),
        input_ids=expected["input_ids"],
        logits=expected["logits"],
    )


@pytest.fixture
def golden() -> Callable[[str], GoldenCase]:
    """The golden case of a name: `golden("az50_v2").path`."""
    return load_golden


@pytest.fixture(
    params=sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir() and folder.name not in REFUSED)
)
def every_golden(request: pytest.FixtureRequest) -> GoldenCase:
    """Each golden case in turn that can be converted."""
    return load_golden(request.param)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def python_5x() -> Path:
    """The interpreter of the environment with transformers 5.x; without one the test fails, it does not skip."""
    python = Path(os.environ.get("CKPT2HF_PYTHON_5X") or ROOT / ".venv-5x" / "bin" / "python")
    if not python.exists():
        pytest.fail(f"{python} does not exist: run `make setup-5x`, or name an interpreter in CKPT2HF_PYTHON_5X")
    return python


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Models this small are four times slower on two threads than on one."""
    if torch := sys.modules.get("torch"):  # not imported for tests that do without
        torch.set_num_threads(1)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """One test's count of mutants; it travels with the report, also from workers of pytest-xdist."""
    counted = Tally()
    yield counted
    request.node.user_properties.append((MUTANTS, [counted.made, counted.killed]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many mutants were made and killed, added up over all tests and worker processes."""
    total = Tally()
    for report in terminalreporter.stats.get("", []):
        for name, counts in getattr(report, "user_properties", ()):
            if name == MUTANTS:
                total.add(*counts)
    if total.made:
        terminalreporter.write_line(str(total))


@pytest.fixture
def tmpfs(tmp_path: Path) -> Callable[[str], AbstractContextManager[Path]]:
    """A file system in memory, mounted with these options; where nobody may mount, the test fails and says so."""

    @contextmanager
    def mounted(options: str) -> Iterator[Path]:
        disk = tmp_path / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{done.stderr.strip()}: run this as root, or leave it out with PYTEST_ARGS=\"-m 'not mount'\"")
        try:
            yield disk
        finally:
            subprocess.run(["umount", str(disk)], check=True)  # noqa: S607 - the umount beside the mount

    return mounted
