"""From a Hugging Face directory to what a GGUF file holds, or to one error with everything in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.errors import UnsupportedError
from ckpt2hf.ir import Position
from ckpt2hf.ir.tables import rope_frequencies
from ckpt2hf.naming import link, to_names
from ckpt2hf.ops import Mosaic
from ckpt2hf.plan.directory import open_directory, understood
from ckpt2hf.plan.rewriting import rewritten
from ckpt2hf.rewrites import APPROXIMATE, REWRITES
from ckpt2hf.rewrites.leaves import Table
from ckpt2hf.targets.gguf import ARCHITECTURES
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.rewrites import Rewritten
    from ckpt2hf.targets.gguf import GgufArchitecture
    from ckpt2hf.tensors import Readable

_POSITIONS, _FREQUENCIES = "position_embd.weight", "rope_freqs.weight"
_WIDE = {_POSITIONS, _FREQUENCIES}
"""Tables that are float32 in every file. Source: llama.cpp convert_hf_to_gguf.py, prepare_tensors."""
_NO_ARCHITECTURE = "ONNX, or onnxruntime with the Hugging Face directory, computes it"


@dataclass(frozen=True, slots=True)
class GgufPlan:
    """What is written."""

    architecture: GgufArchitecture
    rewrites: tuple[Rewritten, ...]
    """What was done to the model so that the architecture can express it."""
    spec: ModelSpec
    """Of the model that is written."""
    keys: Mapping[str, Any]
    """Metadata that comes after the architecture's name."""
    tensors: Mapping[str, Readable]
    """By their names in the file; matrices `[out, in]`."""

    @property
    def matrices(self) -> dict[str, Readable]:
        """Those that may have fewer bits: what multiplies, or is looked up by a token's id."""
        return {
            name: tensor for name, tensor in self.tensors.items() if len(tensor.meta.shape) > 1 and name not in _WIDE
        }


def plan_gguf(directory: Path) -> GgufPlan:
    """The whole way of a directory, on metadata and vectors.

    Raises UnsupportedError for what llama.cpp cannot compute, and everything that reading a directory does.
    """
    checkpoint, _ = open_directory(directory)
    model = understood(checkpoint, {})
    return as_gguf(model.target.hf_class, model.spec, model.slots, str(directory))


def as_gguf(hf_class: str, spec: ModelSpec, slots: Mapping[str, Mosaic], where: str) -> GgufPlan:
    """A model of a class for llama.cpp. Raises UnsupportedError."""
    architecture = next((each for each in ARCHITECTURES if hf_class in each.hf_classes), None)
    if architecture is None:
        known = ", ".join(sorted(name for each in ARCHITECTURES for name in each.hf_classes))
        raise UnsupportedError(
            f"no GGUF is written of {hf_class}",
            details=[f"of these it is: {known}"],
            where=where,
            remedies=[_NO_ARCHITECTURE],
        )
    rewrites = (*REWRITES, *APPROXIMATE)
    made = rewritten(architecture, spec, slots, rewrites, (), where=where, remedy=_NO_ARCHITECTURE)
    spec, slots = (made[-1].spec, made[-1].slots) if made else (spec, slots)
    tensors: dict[str, Readable] = dict(to_names(link(architecture.naming, spec), slots))
    return GgufPlan(
        architecture=architecture,
        rewrites=made,
        spec=spec,
        keys=architecture.config(spec),
        tensors={**tensors, **_stretched(spec)},
    )


def modules_of_gguf(directory: Path) -> dict[str, tuple[str, ...]]:
    """For each matrix of the file that multiplies, the modules of the class that do, with the same columns.

    Several are experts, in their order; of queries, keys and values, which are given the same, there is one.
    """
    checkpoint, _ = open_directory(directory)
    model = understood(checkpoint, {})
    plan = as_gguf(model.target.hf_class, model.spec, model.slots, str(directory))
    holder = {slot: each.names[0] for each in link(model.target.naming, model.spec) for slot in each.slots}
    if model.spec.tied:
        holder["embed.weight"] = model.target.naming.ties[0].name.text
    else:
        del holder["embed.weight"]
    found = {}
    for each in link(plan.architecture.naming, plan.spec):
        (name,) = each.names
        matrices = [slot for slot in each.slots if slot.endswith(".weight") and "norm" not in slot and slot in holder]
        if not matrices or name == _POSITIONS:
            continue
        kept = matrices if ".experts." in matrices[0] else matrices[:1]
        found[name] = tuple(holder[slot].removesuffix(".weight") for slot in kept)
    return found


def _stretched(spec: ModelSpec) -> dict[str, Readable]:
    """By what each frequency of RoPE is divided, where the metadata cannot say it."""
    if spec.position is not Position.ROPE or spec.rope_scaling.kind != "llama3":
        return {}
    plain = spec.rope_theta ** -(np.arange(0, spec.rope_dims, 2, dtype=np.float64) / spec.rope_dims)
    factors = (plain / rope_frequencies(spec.rope_theta, spec.rope_dims, spec.rope_scaling)).astype(np.float32)
    return {_FREQUENCIES: Mosaic.of(Table(Meta(factors.shape, DType.F32), factors))}
