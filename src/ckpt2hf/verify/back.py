"""Proofs that a checkpoint made for a training code is the Hugging Face model it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import lookup, open_checkpoint
from ckpt2hf.dialects import read_as
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.naming import collapse, to_slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.verify.bytes import both_ways, compare
from ckpt2hf.verify.levels import Level
from ckpt2hf.verify.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.plan import BackPlan


def verify_back(
    file: Path,
    plan: BackPlan,
    level: Level,
    *,
    kind: str,
    threads: int,
    progress: Callable[[str, int], None] = lambda _phase, _total: None,
    advance: Callable[[int], None] = lambda _nbytes: None,
) -> Verdict:
    """The verdict on a written checkpoint. `kind` is the weight file of the source, `safetensors` or `bin`.

    A lower level that fails ends it: the next one would only repeat it.
    """
    progress("verify structure", 0)
    try:
        written = open_checkpoint(file, weights_key=plan.file.weights or None, as_named=True)
    except Ckpt2hfError as error:
        return Verdict(level.value, (Check("reads back", False, " ".join(str(error).split())),))
    checks = tuple(_structure(written, plan))
    if not all(check.passed for check in checks) or level is Level.STRUCTURE:
        return Verdict(level.value, checks)
    progress("verify bytes", plan.nbytes)
    checks = (*checks, *_bytes(written, plan, threads=threads, advance=advance))
    if all(check.passed for check in checks) and level is Level.LOGITS:
        progress("verify logits", 0)
        checks = (*checks, *_logits(written, plan, kind, lambda line: progress(f"verify logits: {line}", 0)))
    return Verdict(level.value, checks)


def _structure(written: Checkpoint, plan: BackPlan) -> Iterator[Check]:
    """Names, shapes and types; what stands beside the tensors; and what the dialect reads in the file."""
    wanted = {**plan.tensors, **{name: plan.tensors[holder] for name, holder in plan.file.same.items()}}
    found = written.tensors
    wrong = [f"{name} is missing" for name in collapse(name for name in wanted if name not in found)]
    wrong += [f"{name} is not planned" for name in collapse(name for name in found if name not in wanted)]
    wrong += [
        f"{name} is {found[name].meta}, planned {part.meta}"
        for name, part in wanted.items()
        if name in found and found[name].meta != part.meta
    ]
    apart = [name for name, holder in plan.file.same.items() if not _shared(found, name, holder)]
    wrong += [f"{name} has a storage of its own" for name in collapse(apart)]
    said = f"{len(wanted)} tensors, names, shapes, types and shared storages as planned"
    yield Check("structure", not wrong, "; ".join(wrong[:5]) or said, {"tensors": len(found)})
    if plain := {path: value for path, value in plan.file.beside.items() if not isinstance(value, dict)}:
        off = [path for path, value in plain.items() if lookup(written.metadata, path) != value]
        told = f"not as planned: {', '.join(off)}" if off else f"{len(plain)} values as planned"
        yield Check("beside the tensors", not off, told, {"values": len(plain)})
    read = read_as(plan.layout, written, plan.final_spec, plan.answers).resolution
    facts, spec = read.facts, plan.final_spec.as_json()
    off = [name for name in spec if name not in facts or facts[name].value != getattr(plan.final_spec, name)]
    problems = [*read.conflicts, *(f"{name} is read otherwise" for name in off)]
    told = "; ".join(problems[:5]) or f"{len(spec)} facts are read from the file as the model has them"
    yield Check(f"read as {plan.dialect.id}", not problems, told, {"facts": len(facts)})


def _shared(found: Mapping[str, object], name: str, holder: str) -> bool:
    """Whether two names stand for the very same bytes of the file."""
    return name in found and found.get(holder) == found[name]


def _bytes(written: Checkpoint, plan: BackPlan, *, threads: int, advance: Callable[[int], None]) -> Iterator[Check]:
    """The file, mapped forwards, is the directory; what carries no knowledge is what the code would have made."""
    whole = {name: Mosaic.of(written.tensors[name]) for name in plan.tensors}
    linked = {name: part for name, part in whole.items() if name not in plan.file.buffers}
    source, computed = both_ways(plan, linked)
    if source:
        said = "tensors of the directory came back from the checkpoint, every bit"
        yield compare("forwards to the directory", source, threads, advance, said)
    if computed:
        said = "written tensors computed again from the directory, every bit"
        yield compare("computed again", computed, threads, advance, said)
    if plan.file.buffers:
        pairs = {name: (plan.tensors[name], whole[name]) for name in plan.file.buffers}
        yield compare("masks and tables", pairs, threads, advance, "that carry no knowledge, as the code makes them")


def _logits(written: Checkpoint, plan: BackPlan, kind: str, progress: Callable[[str], None]) -> tuple[Check, ...]:
    """The checkpoint, read back and computed by our own forward, gives the logits of the directory's model."""
    from ckpt2hf.verify.logits import compare_logits  # noqa: PLC0415 - the only level that needs torch

    slots = to_slots(plan.links, {name: Mosaic.of(ref) for name, ref in written.tensors.items()})
    directory = plan.checkpoint.path if plan.checkpoint.path.is_dir() else plan.checkpoint.path.parent
    return compare_logits(
        directory,
        [kind],
        spec=plan.final_spec,
        slots=slots,
        modules=plan.target.modules,
        exactness=plan.exactness,
        rewritten=plan.activations,
        progress=progress,
    )
