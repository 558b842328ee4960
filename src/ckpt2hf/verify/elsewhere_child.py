"""Run by another interpreter: compares a directory with the slots of the source model, and writes down every check."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import transformers

from ckpt2hf.checkpoints import safetensors
from ckpt2hf.files import MappedFile
from ckpt2hf.ir import ModelSpec, parse_field
from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.elsewhere import JOB, RESULT, SLOTS
from ckpt2hf.verify.logits import compare_logits


def main(work: Path) -> None:
    """The checks of the job in a folder, as `result.json` beside it."""
    job = json.loads((work / JOB).read_text(encoding="utf-8"))
    slots, _ = safetensors.read(MappedFile(work / SLOTS))
    checks = compare_logits(
        Path(job["directory"]),
        job["formats"],
        spec=ModelSpec(**{name: parse_field(name, value) for name, value in job["spec"].items()}),
        slots=slots,
        modules=job["modules"],
        exactness=Exactness(job["exactness"]),
        rewritten=frozenset(job["rewritten"]),
        text=job["text"],
    )
    result = {"transformers": transformers.__version__, "checks": [dataclasses.asdict(check) for check in checks]}
    (work / RESULT).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
