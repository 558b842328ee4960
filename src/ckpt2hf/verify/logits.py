"""Whether the written directory computes the source model's logits: the proof that does not look at names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.divergence import Divergence, expand, first_divergence
from ckpt2hf.verify.generation import check_generation
from ckpt2hf.verify.huggingface import ForwardError, eager_attention, load, logits
from ckpt2hf.verify.probes import Probes, make_probes
from ckpt2hf.verify.reference import Trace, reference
from ckpt2hf.verify.spoken import check_spoken
from ckpt2hf.verify.tolerances import Distance, float32_tolerance, float64_tolerance
from ckpt2hf.verify.verdict import Check, Number
from ckpt2hf.verify.weights import load_slots
from ckpt2hf.verify.wide import recorded, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Readable

_FILES: Mapping[str, str] = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}


def compare_logits(  # noqa: PLR0913 - all but two are keyword-only, and each is a fact of its own
    directory: Path,
    formats: Sequence[str],
    *,
    spec: ModelSpec,
    slots: Mapping[str, Readable],
    modules: Mapping[str, str],
    exactness: Exactness = Exactness.BITWISE,
    rewritten: AbstractSet[str] = frozenset(),
    text: str | None = None,
    tokens_seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[Check, ...]:
    """Every check of the `logits` level, in order; a mismatch names the first module that computes something else.

    `spec` and `slots` are the source model's, before rewrites; `modules` maps trace names (`layers.{i}.attn`) to module
    paths of the Hugging Face class (`transformer.h.{i}.attn`). `exactness` says what the conversion promised;
    `rewritten` names activations that a rewrite changes. The first format is compared in float32, in float64 and in
    generation; every further one has to load into the same model bit for bit. `text` goes through the directory's own
    tokenizer; None where it has none.
    """
    say = progress or (lambda _line: None)
    source = _Source(spec, load_slots(slots, torch.float32), make_probes(spec, tokens_seed))
    promise = _Promise(expand(modules, spec.layers), exactness, _expand_names(rewritten, spec.layers))
    checks: list[Check] = []
    first: _Seen | None = None
    for file_format in formats:
        name = _FILES[file_format]
        say(f"loading {name}")
        loaded = load(directory, file_format)
        checks.append(_loads(name, loaded.problems))
        if not loaded.problems:
            say(f"comparing logits of {name}")
            try:
                seen = _Seen(name, logits(loaded.model, source.probes.short), fingerprint(loaded.model))
                asked = (directory, text) if text is not None else None
                checks += [_same(first, seen)] if first else _against_source(loaded.model, source, seen, promise, asked)
                first = first or seen
            except ForwardError as error:
                checks.append(Check(f"runs {name}", False, f"{name} loads, but does not run: {error}"))
        del loaded  # one model in memory at a time
    return tuple(checks)


@dataclass(frozen=True, slots=True)
class _Source:
    """The model that was converted, and what it is asked."""

    spec: ModelSpec
    weights: Mapping[str, torch.Tensor]
    probes: Probes


@dataclass(frozen=True, slots=True)
class _Promise:
    """What the conversion claims, and how to look inside its result."""

    modules: Mapping[str, str]
    exactness: Exactness
    rewritten: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one weight file turned into."""

    name: str
    logits: torch.Tensor
    prints: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Sharp:
    """The comparison in float64."""

    distance: Distance
    noise: float
    """Largest float32 rounding error of the source's own logits."""
    tolerance: float
    divergence: Divergence | None
    numbers: dict[str, Number] = field(default_factory=dict)


def _loads(name: str, problems: Sequence[str]) -> Check:
    if problems:
        return Check(f"loads {name}", False, f"not cleanly: {'; '.join(problems)}")
    return Check(f"loads {name}", True, "no missing, unexpected or mismatched weights")


def _same(first: _Seen, other: _Seen) -> Check:
    """Whether two files turned into one model: the same bits in every parameter, the same bits in the logits."""
    different = [key for key, value in first.prints.items() if other.prints.get(key) != value]
    equal = torch.equal(first.logits, other.logits)
    name = f"{first.name} and {other.name} agree"
    if different or not equal:
        apart = Distance.between(other.logits, first.logits)
        where = f"; different weights: {', '.join(different[:6])}" if different else ""
        return Check(
            name,
            False,
            f"{other.name} differs from {first.name} by {apart.max_abs:.2g} in the logits{where}",
            {"max_abs": apart.max_abs, "different_weights": len(different)},
        )
    return Check(name, True, "both load into the same bits", {"max_abs": 0.0})


def fingerprint(model: Any) -> dict[str, int]:  # noqa: ANN401 - transformers is untyped
    """The sum of the bit patterns of every parameter: differs whenever a single element does."""
    return {
        name: int(parameter.detach().reshape(-1).view(torch.int32).sum(dtype=torch.int64))
        for name, parameter in model.named_parameters()
    }


def _against_source(
    model: Any,  # noqa: ANN401 - transformers is untyped
    source: _Source,
    seen: _Seen,
    promise: _Promise,
    asked: tuple[Path, str] | None = None,
) -> Iterator[Check]:
    """The float32, float64 and generation checks of a model that loaded, and that of a text."""
    wanted = reference(source.spec, source.weights, source.probes.short.tokens)
    if seen.logits.shape != wanted.shape:
        shapes = f"{list(seen.logits.shape)} instead of {list(wanted.shape)}"
        yield Check("float32 logits", False, f"the logits have the shape {shapes}")
        return
    sharp = _sharp(model, source, wanted, promise)
    yield _float32(model, source, (seen.logits, wanted), sharp)
    yield _float64(sharp, promise.exactness)
    yield check_generation(model, source.spec, source.weights, source.probes.sharp.tokens, sharp.noise)
    if asked:
        yield check_spoken(model, asked[0], (source.spec, source.weights), asked[1], sharp.noise)


def _float32(model: Any, source: _Source, short: tuple[torch.Tensor, torch.Tensor], sharp: _Sharp) -> Check:  # noqa: ANN401
    """The logits of every probe, as a user computes them."""
    probes = source.probes
    last_found = logits(model, probes.last)
    last_wanted = reference(source.spec, source.weights, probes.last.tokens, start=probes.last.start)
    distances = [Distance.between(*short), Distance.between(last_found, last_wanted)]
    scale = min(distance.scale for distance in distances)
    worst = max(distances, key=lambda distance: (math.isnan(distance.max_abs), distance.max_abs))
    tolerance = float32_tolerance(scale, sharp.noise)
    numbers: dict[str, Number] = {
        "max_abs": worst.max_abs,
        "mean_abs": max(distance.mean_abs for distance in distances),
        "scale": scale,
        "tolerance": tolerance,
        "noise": sharp.noise,
        "top1_agreement": min(distance.top1_agreement for distance in distances),
        "sequences": probes.short.tokens.shape[0] + probes.last.tokens.shape[0],
        "tokens": probes.tokens,
        "last_position": source.spec.context - 1,
    }
    if worst.within(tolerance):
        said = f"agree to {worst.max_abs:.1e} (tolerance {tolerance:.1e}) on {probes.tokens} tokens"
        return Check("float32 logits", True, said, numbers)
    return _parted("float32 logits", worst.max_abs, tolerance, sharp.divergence, numbers)


def _sharp(model: Any, source: _Source, float32: torch.Tensor, promise: _Promise) -> _Sharp:  # noqa: ANN401
    """Both models in float64 on a short sequence, with every traced activation compared."""
    probe = source.probes.sharp
    wanted: Trace = {}
    found: Trace = {}
    reference(source.spec, source.weights, probe.tokens, trace=wanted, dtype=torch.float64)
    with eager_attention(model), widened(model), recorded(model, promise.modules, found):
        distance = Distance.between(logits(model, probe), wanted["logits"])
    noise = Distance.between(float32[: len(probe.tokens), : probe.tokens.shape[1]].double(), wanted["logits"]).max_abs
    share = noise / distance.scale if distance.scale else 0.0
    divergence = first_divergence(
        found, wanted, promise.modules, exactness=promise.exactness, rewritten=promise.rewritten, noise=share
    )
    tolerance = float64_tolerance(distance.scale, promise.exactness, share)
    return _Sharp(distance, noise, tolerance, divergence, {"tokens": probe.tokens.numel(), "modules": len(found)})


def _float64(sharp: _Sharp, exactness: Exactness) -> Check:
    """Agreement of the logits, and of every activation that no rewrite had touched."""
    distance, tolerance = sharp.distance, sharp.tolerance
    numbers: dict[str, Number] = {
        "max_abs": distance.max_abs,
        "mean_abs": distance.mean_abs,
        "scale": distance.scale,
        "tolerance": tolerance,
        "exactness": exactness.value,
        **sharp.numbers,
    }
    if not distance.within(tolerance) or (sharp.divergence and sharp.divergence.untouched):
        return _parted("float64 logits", distance.max_abs, tolerance, sharp.divergence, numbers)
    said = f"agree to {distance.max_abs:.1e} (tolerance {tolerance:.1e}, {exactness.value})"
    return Check("float64 logits", True, said, numbers)


def _parted(
    name: str, max_abs: float, tolerance: float, divergence: Divergence | None, numbers: dict[str, Number]
) -> Check:
    where = f"; first diverging module: {divergence}" if divergence else "; no traced module diverges before the logits"
    found = {"first_diverging": divergence.name, "first_diverging_module": divergence.module} if divergence else {}
    apart = "logits are not finite" if math.isnan(max_abs) else f"logits differ by {max_abs:.2g}"
    return Check(name, False, f"{apart} (tolerance {tolerance:.1e}){where}", {**numbers, **found})


def _expand_names(names: AbstractSet[str], layers: int) -> frozenset[str]:
    return frozenset(expand({name: name for name in names}, layers))
