"""What each Hugging Face architecture accepts and how it names its tensors, as data."""

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.targets.gpt2 import GPT2
from ckpt2hf.targets.llama import LLAMA
from ckpt2hf.targets.openai_gpt import OPENAI_GPT
from ckpt2hf.targets.qwen3 import QWEN3, QWEN3_MOE
from ckpt2hf.targets.target import Problem, Relation, Requirement, Target, Together
from ckpt2hf.targets.windowed import COHERE2, GEMMA3, OLMO3

TARGETS = (GPT2, OPENAI_GPT, LLAMA, QWEN3, QWEN3_MOE, GEMMA3, OLMO3, COHERE2)
"""Every target."""


def target(name: str) -> Target:
    """The target of that id."""
    for known in TARGETS:
        if known.id == name:
            return known
    raise BrokenPromiseError(f"a dialect names the target {name!r}, which does not exist")


__all__ = [
    "GPT2",
    "TARGETS",
    "Problem",
    "Relation",
    "Requirement",
    "Target",
    "Together",
    "target",
]
