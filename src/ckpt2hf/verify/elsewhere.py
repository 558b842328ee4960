"""A comparison of logits in another interpreter, for classes that the transformers beside us does not have.

The other environment needs torch, a transformers with the class, safetensors, NumPy and pydantic; of ckpt2hf it sees
this very package and nothing else of our environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import VerificationError
from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.targets import Target
    from ckpt2hf.tensors import Readable

OPTION = "--python-5x"
PACKAGE = Path(__file__).resolve().parent.parent
JOB, SLOTS, RESULT = "job.json", "slots.safetensors", "result.json"
"""Names of the files that go there and come back."""
_LINES = 12
"""Lines of the other interpreter's last words that are shown."""


def needs_other(target: Target) -> bool:
    """Whether the transformers beside us is older than the class."""
    if not target.transformers:
        return False
    try:
        return _numbers(version("transformers")) < _numbers(target.transformers)
    except PackageNotFoundError:
        return True


def require_interpreter(target: Target, python: Path | None) -> None:
    """Refuse to begin what could not be proved. Raises VerificationError."""
    if not needs_other(target) or (python is not None and python.is_file() and os.access(python, os.X_OK)):
        return
    what = f"{target.hf_class} needs transformers {target.transformers} or later to be proved"
    remedies = [
        f"{OPTION} .venv-5x/bin/python   (an interpreter with torch and transformers {target.transformers} or later)",
        "--verify bytes   (proves the weights, not the function)",
    ]
    if python is None:
        raise VerificationError(what, remedies=remedies)
    raise VerificationError(what, details=[f"{python} is no interpreter that can be run"], remedies=remedies)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The comparison of `verify.logits`, run by another interpreter."""

    python: Path
    target: Target

    def __call__(  # noqa: PLR0913 - the words of `compare_logits`
        self,
        directory: Path,
        formats: Sequence[str],
        *,
        spec: ModelSpec,
        slots: Mapping[str, Readable],
        modules: Mapping[str, str],
        exactness: Exactness = Exactness.BITWISE,
        rewritten: AbstractSet[str] = frozenset(),
        text: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> tuple[Check, ...]:
        """Every check of the `logits` level. Raises VerificationError where the other interpreter cannot."""
        from safetensors.torch import save_file  # noqa: PLC0415 - torch, which only this level needs
        from torch import float32  # noqa: PLC0415

        from ckpt2hf.verify.weights import load_slots  # noqa: PLC0415

        if progress:
            progress(f"comparing logits with {self.python}")
        with tempfile.TemporaryDirectory(prefix="ckpt2hf-elsewhere-") as folder:
            work = Path(folder)
            save_file({name: t.contiguous().clone() for name, t in load_slots(slots, float32).items()}, work / SLOTS)
            job = {
                "directory": str(directory.resolve()),
                "formats": list(formats),
                "spec": spec.as_json(),
                "modules": dict(modules),
                "exactness": exactness.value,
                "rewritten": sorted(rewritten),
                "text": text,
            }
            (work / JOB).write_text(json.dumps(job), encoding="utf-8")
            self._run(work)
            return self._answer(work)

    def _run(self, work: Path) -> None:
        words, environment = command_elsewhere(self.python, "ckpt2hf.verify.elsewhere_child", work)
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter the user named
                [*words, str(work)],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                cwd=work,
            )
        except OSError as error:
            raise VerificationError(f"{self.python} cannot be run", details=[str(error)]) from error
        if done.returncode or not (work / RESULT).exists():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_LINES:]
            raise VerificationError(
                f"{self.python} gave no comparison, and ended with status {done.returncode}",
                details=last,
                remedies=[
                    f"install torch, transformers, safetensors, numpy and pydantic there, or give {OPTION} another"
                ],
            )

    def _answer(self, work: Path) -> tuple[Check, ...]:
        found = json.loads((work / RESULT).read_text(encoding="utf-8"))
        if _numbers(found["transformers"]) < _numbers(self.target.transformers):
            raise VerificationError(
                f"{self.python} has transformers {found['transformers']}, "
                f"and {self.target.hf_class} needs {self.target.transformers} or later"
            )
        said = f"{self.target.hf_class} of transformers {found['transformers']}, in an interpreter of its own"
        where = Check("class", passed=True, summary=said, numbers={"transformers": found["transformers"]})
        return (where, *(Check(**check) for check in found["checks"]))


def command_elsewhere(python: Path, module: str, work: Path) -> tuple[list[str], dict[str, str]]:
    """The words that run a module of ours in another interpreter, and its environment; `work` is a new folder."""
    # A folder with a link to our package: its own folder may be full of our environment's libraries.
    (work / "path").mkdir()
    (work / "path" / PACKAGE.name).symlink_to(PACKAGE)
    # An interpreter is named from where we are, and runs somewhere else. A link to one is not followed: beside it lies
    # what tells it which environment it is of.
    words = [str(python.absolute()), "-P", "-W", "ignore", "-m", module]
    return words, {**os.environ, "PYTHONPATH": str(work / "path")}


def _numbers(release: str) -> tuple[int, ...]:
    """The first two numbers of `5.24.0`."""
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in (*release.split("."), "0")[:2])
