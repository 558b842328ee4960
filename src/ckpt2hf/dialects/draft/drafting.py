"""A first dialect file for a checkpoint whose names no dialect knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.facts import Facts, rope_tables
from ckpt2hf.dialects.draft.lexicon import lexicon
from ckpt2hf.dialects.draft.parts import Draft
from ckpt2hf.dialects.draft.understanding import understand
from ckpt2hf.dialects.families import FAMILIES
from ckpt2hf.ir import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.parts import FactLine
    from ckpt2hf.dialects.draft.understood import Understood

_NEEDS = 8
"""Names that are enough to know the layout by."""


def draft(checkpoint: Checkpoint, leaving_out: Collection[str] = ()) -> Draft:
    """Every tensor in its place with a confidence, or as a question. Raises MappingError where nothing repeats.

    `leaving_out` are built-in dialects whose words are not to be used: for tests on their own checkpoints.
    """
    model = understand(checkpoint, lexicon(leaving_out))
    family, why = _family(model)
    facts = Facts(checkpoint, model, family).lines()
    target, because = _target(model, family)
    return Draft(
        title=f"drafted from {checkpoint.path.name}",
        source="repository, commit and files of your code",
        target=target,
        family=family,
        reasons=(f"Family {family}: {why}.", f"Target {target}: {because}."),
        needs=_needs(model),
        places=model.places,
        left_out=model.left_out,
        facts=facts,
        family_facts=_taken(family, facts),
    )


def _family(model: Understood) -> tuple[str, str]:
    """Which of the families it is nearer to, and why."""
    if model.has_positions:
        return "gpt", "there is a table of positions"
    if rope_tables(model.left_out):
        return "llama", "there are tables of RoPE"
    if model.gated:
        return "llama", "its MLP has three matrices, and there is no table of positions"
    if not model.norm_bias:
        return "llama", "its norms have no bias, and there is no table of positions"
    return "gpt", "its norms have biases and its MLP has two matrices"


def _target(model: Understood, family: str) -> tuple[str, str]:
    """The architecture to try first."""
    if family == "gpt":
        return "gpt2", 'of its family; "openai-gpt" where blocks normalise after the sum'
    if model.experts is not None:
        return "qwen3_moe", "there are experts"
    if model.qk_norm is not None:
        return "qwen3", "queries and keys are normalised"
    return "llama", "of its family"


def _needs(model: Understood) -> tuple[str, ...]:
    """Names of the layout: what lies outside the blocks first, then what is in each of them."""
    tied = {left.kind.pattern for left in model.left_out}
    matrices = [kind for kind in model.kinds if len(kind.shape) > 1 and kind.pattern not in tied]
    ranked = sorted(matrices, key=lambda kind: len(kind.variables))
    return tuple(kind.pattern for kind in ranked[:_NEEDS])


def _taken(family: str, facts: Collection[FactLine]) -> Mapping[str, str]:
    """What the family says and the draft does not."""
    said = {fact.name for fact in facts}
    found = {}
    for name, source in FAMILIES[family].items():
        if name not in said:
            value = source.get("const", source.get("equals"))
            found[name] = str(value).lower() if isinstance(value, bool) else str(plain(value))
    return found
