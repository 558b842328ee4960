"""What each Hugging Face architecture accepts and how it names its tensors, as data."""

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.targets.gpt2 import GPT2
from ckpt2hf.targets.target import Problem, Relation, Requirement, Target

TARGETS = (GPT2,)
"""Every target."""


def target(name: str) -> Target:
    """The target of that id."""
    for known in TARGETS:
        if known.id == name:
            return known
    raise BrokenPromiseError(f"a dialect names the target {name!r}, which does not exist")


__all__ = ["TARGETS", "Problem", "Relation", "Requirement", "Target", "target"]
