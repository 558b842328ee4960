"""A file that llama.cpp has quantized, from the float32 one."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import llama_cpp

from ckpt2hf import limits
from ckpt2hf.errors import VerificationError
from ckpt2hf.plan import plan_gguf
from ckpt2hf.stages.gguf.fallback import fallbacks
from ckpt2hf.stages.gguf.importance import importance
from ckpt2hf.stages.gguf.written import notes_of
from ckpt2hf.stages.job import Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.stages.job import Job
    from ckpt2hf.stages.stage import Stage
    from ckpt2hf.tensors import Array


def make(job: Job, stage: Stage, _work: Path) -> Written:
    """Write the file. Raises VerificationError where llama.cpp says no more than that it failed."""
    assert job.base is not None  # noqa: S101 - only what is written from the directory has none
    kind: str = stage.settings["kind"]
    asked: Any = llama_cpp.llama_model_quantize_default_params()
    asked.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    asked.nthread = int(os.environ.get("OMP_NUM_THREADS") or limits.processors())
    matter = importance(job) if job.importance else {}
    columns = _columns(matter)
    if matter:
        asked.imatrix = ctypes.cast(columns, type(asked.imatrix))
    status = llama_cpp.llama_model_quantize(job.base.encode(), job.out.encode(), asked)
    if status:
        raise VerificationError(f"llama.cpp could not quantize to {kind}: status {status}", where=job.base)
    settings = {"kind": kind, "tokenizer": _tokenizer(job.base), "importance": len(matter)}
    plan = plan_gguf(Path(job.directory))
    return Written(settings, (*notes_of(plan), *fallbacks(plan, stage)))


def _columns(matter: Mapping[str, Array]) -> Any:  # noqa: ANN401 - an array of the library's structures
    """The importance of columns as llama.cpp takes it: structures that end with an empty one."""
    kind = llama_cpp.llama_model_imatrix_data
    each = [
        kind(name.encode(), array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), array.size)
        for name, array in matter.items()
    ]
    return (kind * (len(each) + 1))(*each)


def _tokenizer(file: str) -> str:
    """Which kind a file has."""
    return str(gguf.GGUFReader(file).fields["tokenizer.ggml.model"].contents())
