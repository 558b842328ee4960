"""A GGUF file that was made, looked at: run by llama.cpp and held against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.plan import plan_gguf
from ckpt2hf.stages.divergence import CACHED_ROWS, CACHED_TOKENS, Divergence
from ckpt2hf.stages.gguf.model import LlamaModel
from ckpt2hf.stages.gguf.reference import reference
from ckpt2hf.stages.gguf.vocabulary_parity import tokenizer_checks
from ckpt2hf.stages.gguf.weights import use_of
from ckpt2hf.verify import Check
from ckpt2hf.verify.directory_tokenizer import directory_tokenizer

if TYPE_CHECKING:
    from ckpt2hf.stages.job import Job, Use
    from ckpt2hf.stages.price import Price
    from ckpt2hf.stages.stage import Stage
    from ckpt2hf.tensors import Array


def examine(job: Job, stage: Stage) -> tuple[tuple[Check, ...], Price | None, Use]:
    """What has to hold, what it costs, and how its weights are stored."""
    files = parts(Path(job.out))
    model = LlamaModel(files[0], job.window)
    apart, worst, widest = Divergence(), 0.0, 0.0
    rows: list[Array] = []
    for ids, wanted, last in reference(job):
        found = model.logits(ids[:, :-1])[:, -last:]
        apart.add(wanted, found, ids[:, -last:] if job.real else None)
        here = float(np.abs(wanted - found).max())
        worst = here if not here <= worst else worst  # NaN stays
        widest = max(widest, float(np.std(wanted, axis=-1).mean()))
        rows += list(ids[: max(CACHED_ROWS - len(rows), 0), : min(CACHED_TOKENS, job.window)])
    cached = Divergence()
    for row in rows:
        cached.add(model.logits(row[None]), model.stepped(row[None]), None)
    checks = [apart.finite_check(), *_tokenizer(job, files[0])]
    if stage.exact:
        checks.append(_near(job, worst, widest, apart.count))
    return tuple(checks), apart.price(cached, real=job.real), use_of(files, stage)


def _tokenizer(job: Job, file: Path) -> tuple[Check, ...]:
    """Whether llama.cpp reads text as the directory's tokenizer does, where the file has one."""
    tokenizer = directory_tokenizer(Path(job.directory)) if job.tokenizer else None
    if tokenizer is None:
        return ()
    own = {"the text it is measured on": tokenizer.decode(np.load(job.tokens)[0].tolist())} if job.real else {}
    return tokenizer_checks(file, Path(job.directory), own)


def _near(job: Job, worst: float, spread: float, positions: int) -> Check:
    """Whether float32 is as near as what llama.cpp computes can be: for GELU it has a table of float16."""
    plan = plan_gguf(Path(job.directory))
    limit = plan.architecture.tolerance * spread
    return Check(
        "gguf logits",
        passed=worst <= limit,
        summary=f"logits of {positions} positions differ by up to {worst:.2g}, {limit:.2g} is allowed",
        numbers={"max_abs": worst, "limit": limit, "positions": positions},
    )


def parts(out: Path) -> list[Path]:
    """The file, or what it was split into, in order."""
    return [out] if out.exists() else sorted(out.parent.glob(f"{out.stem}-*-of-*{out.suffix}"))
