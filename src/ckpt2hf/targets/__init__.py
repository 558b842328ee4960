"""What each Hugging Face architecture accepts and how it names its tensors, as data."""

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.targets.cohere2 import COHERE2
from ckpt2hf.targets.gemma3_text import GEMMA3
from ckpt2hf.targets.gpt2 import GPT2
from ckpt2hf.targets.llama import LLAMA
from ckpt2hf.targets.nanochat import NANOCHAT
from ckpt2hf.targets.olmo3 import OLMO3
from ckpt2hf.targets.openai_gpt import OPENAI_GPT
from ckpt2hf.targets.qwen3 import QWEN3
from ckpt2hf.targets.qwen3_moe import QWEN3_MOE
from ckpt2hf.targets.target import Architecture, Problem, Relation, Requirement, Target, Together

TARGETS = (GPT2, OPENAI_GPT, LLAMA, QWEN3, QWEN3_MOE, GEMMA3, OLMO3, COHERE2, NANOCHAT)
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
    "Architecture",
    "Problem",
    "Relation",
    "Requirement",
    "Target",
    "Together",
    "target",
]
