"""Many checkpoints: which there are, in what order they run, and what became of each."""

from ckpt2hf.batch.batch import Batch
from ckpt2hf.batch.dry_run import means, planned
from ckpt2hf.batch.gather import Said, gather
from ckpt2hf.batch.job import BatchOptions, Gathered, Job
from ckpt2hf.batch.part import Part, parsed
from ckpt2hf.batch.result import collected, write_report
from ckpt2hf.batch.state import state_of

__all__ = [
    "Batch",
    "BatchOptions",
    "Gathered",
    "Job",
    "Part",
    "Said",
    "collected",
    "gather",
    "means",
    "parsed",
    "planned",
    "state_of",
    "write_report",
]
