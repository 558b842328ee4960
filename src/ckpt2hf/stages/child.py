"""Run in a process of its own: makes one form of a model, and proves it or measures what it costs."""

from __future__ import annotations

import glob
import os
import sys
import threading
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf import limits
from ckpt2hf.stages.catalogue import BY_ID
from ckpt2hf.stages.job import Job, Made
from ckpt2hf.verify import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.stages.job import Use, Written
    from ckpt2hf.stages.stage import Stage

LEAST_SHARE = 0.95
"""Of the weights of matrices that multiply, how many have to have the bits that a form promises."""
_DISTRIBUTIONS = {
    "onnx": ("onnx", "onnxruntime", "optimum", "optimum-onnx", "torch", "transformers"),
    "gguf": ("gguf", "llama-cpp-python", "torch", "transformers"),
}
"""What makes and measures the files of a family."""


def main(work: Path) -> None:
    """Do the job in a folder."""
    begun = time.perf_counter()
    job = Job.read(work)
    stage = BY_ID[job.stage]
    out = Path(job.out)
    written: Written = import_module(f"ckpt2hf.stages.{stage.family}.{stage.maker}").make(job, stage, work)
    checks, price, use = import_module(f"ckpt2hf.stages.{stage.family}.examine").examine(job, stage)
    Made(
        files=tuple(sorted(path.name for path in out.parent.glob(f"{glob.escape(out.stem)}*{out.suffix}*"))),
        checks=(*checks, promised(use, stage)),
        price=price,
        use=use,
        settings=written.settings,
        notes=written.notes,
        versions=dict(_versions(stage.family)),
        seconds=round(time.perf_counter() - begun, 3),
        peak_memory_bytes=limits.peak_memory(),
    ).write(work)


def promised(use: Use, stage: Stage) -> Check:
    """Whether a form is what it is called: quantizers pass by what they do not know, without an error."""
    said = f"{use.share:.1%} of the weights of matrices that multiply have at most {stage.bits} bits"
    return Check("bits", passed=use.share >= LEAST_SHARE, summary=said, numbers={"share": use.share})


def _versions(family: str) -> Iterator[tuple[str, str]]:
    for name in _DISTRIBUTIONS[family]:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _end_with_parent() -> None:
    """End when the other side of the standard input is gone: nobody wants the result any more."""
    while os.read(0, 1):  # no lock of a stream is held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main(Path(sys.argv[1]))
