"""A Hugging Face directory's `config.json` as the facts of a spec, and the target it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import BrokenPromiseError, FactsError, UnsupportedError
from ckpt2hf.ir import FIELDS
from ckpt2hf.targets.reads import READERS
from ckpt2hf.targets.settings import Said, Settings
from ckpt2hf.targets.target import Requirement, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def target_of(config: Mapping[str, Any], targets: Sequence[Target], where: str) -> Target:
    """The target that `architectures` or, without it, `model_type` names. Raises UnsupportedError."""
    named = config.get("architectures")
    names = [str(name) for name in named] if isinstance(named, list) else []
    kind = str(config.get("model_type", ""))
    for target in targets:
        if target.hf_class in names or (not names and target.id.replace("-", "_") == kind.replace("-", "_")):
            return target
    raise UnsupportedError(
        f"config.json describes {', '.join(names) or kind or 'no model'}, which is not known here",
        details=[f"{target.id:14} {target.hf_class}" for target in targets],
        where=where,
        remedies=["ckpt2hf reads the classes above, language models with their head"],
    )


def read_config(
    target: Target, config: Mapping[str, Any], where: str, answers: Mapping[str, Any] | None = None
) -> dict[str, Said]:
    """Every field of the spec; `answers` are values of fields that a person says, where the file is ambiguous.

    Raises UnsupportedError naming all settings that a spec cannot say, FactsError for what has to be answered.
    """
    read = READERS.get(target.id)
    if read is None:
        raise UnsupportedError(f"directories of {target.hf_class} cannot be read yet", where=where)
    settings = Settings(config, target.hf_class, answers or {})
    found = read(settings)
    for need in target.requires:
        if isinstance(need, Requirement) and need.field not in found and len(need.allowed) == 1:
            found[need.field] = Said(need.allowed[0], f"{target.hf_class}: {need.why}", told=False)
    for name in ("embed_rows", "head_rows"):
        found[name] = settings.follows(found["vocab"].value, "a row for each token")
    for need in target.neutral:
        found.setdefault(need.field, Said(need.allowed[0], need.why, told=False))
    if settings.refused:
        raise UnsupportedError(
            f"this {target.hf_class} cannot be described: config.json asks for what is not known here",
            details=settings.refused,
            where=where,
            remedies=["correct config.json, if that is not what the model computes"],
        )
    if settings.asked:
        raise FactsError(
            f"releases of transformers read this {target.hf_class} differently",
            details=["config.json does not say with transformers_version which one wrote it"],
            where=where,
            remedies=settings.asked,
        )
    if absent := [name for name in FIELDS if name not in found]:
        raise BrokenPromiseError(f"target {target.id} reads nothing about {', '.join(absent)}")
    return {name: found[name] for name in FIELDS}
