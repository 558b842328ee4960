"""A file with the weights in a floating-point type, from the directory itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.plan import plan_gguf
from ckpt2hf.rewrites import Exactness
from ckpt2hf.stages.gguf.vocabulary import vocabulary_of, write_none
from ckpt2hf.stages.gguf.writing import write
from ckpt2hf.stages.job import Written

if TYPE_CHECKING:
    from ckpt2hf.plan import GgufPlan
    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage

_NO_TOKENIZER = "there is no tokenizer in the file: llama.cpp takes and gives ids only"


def make(job: Job, stage: Stage, _work: Path) -> Written:
    """Write the file."""
    plan = plan_gguf(Path(job.directory))
    vocabulary = vocabulary_of(Path(job.directory), plan.spec.vocab) if job.tokenizer else None
    kind: str = stage.settings["kind"]
    write(plan, Path(job.out), kind, job.general, vocabulary.write if vocabulary else write_none)
    settings = {
        "architecture": plan.architecture.id,
        "tokenizer": vocabulary.model if vocabulary else "none",
        "pre_tokenizer": vocabulary.pre if vocabulary else None,
        "rewrites": [each.id for each in plan.rewrites],
    }
    return Written(settings, (*notes_of(plan), *(vocabulary.notes if vocabulary else (_NO_TOKENIZER,))))


def notes_of(plan: GgufPlan) -> tuple[str, ...]:
    """What is not quite the model that was trained."""
    return tuple(
        f"{each.id} (approximate): {each.why}" for each in plan.rewrites if each.exactness is Exactness.APPROXIMATE
    )
