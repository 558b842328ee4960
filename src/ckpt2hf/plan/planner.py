"""From a checkpoint and a decided dialect to a plan, or to one error that lists everything in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects import TOKEN_IDS, stated_at
from ckpt2hf.errors import Ckpt2hfError, FactsError, InexactError, UnsupportedError, UsageError
from ckpt2hf.naming import assign, link, to_names, to_slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.plan.plan import Plan, PlanOptions
from ckpt2hf.plan.rewriting import rewritten
from ckpt2hf.rewrites import REWRITES, Cast
from ckpt2hf.targets import target as target_named
from ckpt2hf.tokenizers import fitted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Candidate
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.rewrites import Exactness, Rewritten
    from ckpt2hf.targets import Target
    from ckpt2hf.tensors import Readable
    from ckpt2hf.tokenizers import Tokenizer


def make_plan(checkpoint: Checkpoint, candidate: Candidate, options: PlanOptions) -> Plan:
    """The whole way, on metadata. Raises FactsError, MappingError or UnsupportedError."""
    spec = candidate.resolution.spec
    if problems := spec.problems():
        details = [f"{problem}{_origin(candidate, problem)}" for problem in problems]
        raise FactsError("the facts describe an impossible model", details=details, where=str(checkpoint.path))
    naming = candidate.fit.layout.naming
    try:
        assignment = assign(naming, spec, {name: ref.meta for name, ref in checkpoint.tensors.items()})
    except Ckpt2hfError as error:
        where = f"{checkpoint.path}, read as dialect {candidate.fit.dialect.name}"
        remedies = [f"ckpt2hf inspect {checkpoint.path} --names"]
        raise type(error)(error.what, details=error.details, where=where, remedies=remedies) from error
    sources = {name: Mosaic.of(ref) for name, ref in assignment.taken(checkpoint.tensors).items()}
    slots = to_slots(assignment.links, sources)
    target, rewrites = _way(candidate.fit.targets, spec, slots, options.allow, where=str(checkpoint.path))
    final_spec, final_slots = (rewrites[-1].spec, rewrites[-1].slots) if rewrites else (spec, slots)
    links = link(target.naming, final_spec)
    tensors: dict[str, Readable] = dict(to_names(links, final_slots))
    if options.dtype:
        wanted = options.dtype
        tensors = {name: t if t.meta.dtype is wanted else Cast(t, wanted) for name, t in tensors.items()}
    token_ids, notes = _token_ids(options.token_ids or {}, final_spec.vocab)
    tokenizer = _tokenizer(options, final_spec, token_ids)
    if tokenizer:
        token_ids = tokenizer.token_ids
    notes += [problem.message for problem in target.restrictions(final_spec)]
    return Plan(
        checkpoint=checkpoint,
        candidate=candidate,
        target=target,
        spec=spec,
        assignment=assignment,
        sources=sources,
        slots=slots,
        rewrites=rewrites,
        links=links,
        tensors=tensors,
        config=_config(target, final_spec, tensors, token_ids),
        generation_config=token_ids,
        tokenizer=tokenizer,
        dtype=options.dtype,
        notes=(*([note] if (note := candidate.fit.layout.note) else []), *notes),
    )


def _origin(candidate: Candidate, problem: str) -> str:
    """Where the fact that a problem begins with comes from: the file, the user, or the line of the user's dialect."""
    fact = candidate.resolution.facts.get(problem.partition(" ")[0])
    if fact is None:
        return ""
    line = stated_at(candidate.fit.dialect, candidate.fit.layout, fact.field) if fact.origin.is_opinion else None
    return f" ({fact.origin.value}: {f'{line}: ' if line else ''}{fact.where})"


def _way(
    names: Sequence[str], spec: ModelSpec, slots: Mapping[str, Mosaic], allow: tuple[Exactness, ...], *, where: str
) -> tuple[Target, tuple[Rewritten, ...]]:
    """The first target that can express the spec, and the identities on the way. Raises what the first one lacks."""
    refused: list[UnsupportedError] = []
    for target in map(target_named, names):
        try:
            return target, rewritten(target, spec, slots, REWRITES, allow, where=where)
        except UnsupportedError as error:
            refused.append(error)
    raise next((error for error in refused if isinstance(error, InexactError)), refused[0])


def _config(
    target: Target, spec: ModelSpec, tensors: Mapping[str, Readable], token_ids: Mapping[str, Any]
) -> dict[str, Any]:
    """config.json. The type is the widest of all tensors, so that loading never rounds."""
    kinds: Sequence[Any] = sorted({t.meta.dtype for t in tensors.values()}, key=lambda d: (d.itemsize, d.value))
    return {
        "architectures": [target.hf_class],
        **target.config(spec),
        **token_ids,
        "torch_dtype": kinds[-1].torch_name,
    }


def _tokenizer(options: PlanOptions, spec: ModelSpec, token_ids: Mapping[str, int | None]) -> Tokenizer | None:
    """The tokenizer that fits. Raises TokenizerError where it does not, UsageError for tokens of none."""
    if options.tokenizer is None:
        if options.tokens:
            role = next(iter(options.tokens))
            raise UsageError(
                f"--{role}-token names a token, and there is no tokenizer",
                remedies=["--tokenizer FILE", f"--set {role}_token_id=ID"],
            )
        return None
    return fitted(options.tokenizer, rows=spec.vocab, context=spec.context, said=options.tokens, ids=token_ids)


def _token_ids(said: Mapping[str, int | None], vocab: int) -> tuple[dict[str, int | None], list[str]]:
    """Start and end tokens, null when unknown: the default of 50256 lies outside most home-made vocabularies."""
    ids: dict[str, int | None] = {"bos_token_id": None, "eos_token_id": None}
    notes = []
    for name in TOKEN_IDS:
        value = said.get(name)
        if value is not None and not 0 <= value < vocab:
            notes.append(f"{name} {value} lies outside the vocabulary of {vocab} and was left out")
        elif value is not None:
            ids[name] = value
    return ids, notes
