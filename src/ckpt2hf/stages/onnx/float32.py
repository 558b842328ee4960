"""The float32 ONNX file, through optimum. It answers for nothing: whether the file is right is measured afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from optimum.exporters.onnx import main_export

from ckpt2hf.stages.job import Written

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage

TASK = "text-generation-with-past"
"""One graph that runs with and without the keys and values of earlier tokens."""


def make(job: Job, _stage: Stage, work: Path) -> Written:
    """Write the file, and what is above 2 GB beside it."""
    made = work / "exported"
    main_export(
        job.directory,
        output=made,
        task=TASK,
        framework="pt",
        library_name="transformers",
        local_files_only=True,
        trust_remote_code=False,
        do_validation=False,  # its failure would be a line in a log
    )
    out = Path(job.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for path in made.glob("model.onnx*"):  # model.onnx_data is named in the graph, so it keeps its name
        shutil.move(path, out.parent / path.name)
    return Written({"task": TASK})
