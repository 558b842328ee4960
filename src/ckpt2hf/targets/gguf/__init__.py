"""What llama.cpp computes, as data: the architectures of GGUF files, their metadata and the names of their tensors.

Source: ggml-org/llama.cpp as of llama-cpp-python 0.3.36, src/models; ggml docs/gguf.md.
"""

from ckpt2hf.targets.gguf.architecture import GgufArchitecture
from ckpt2hf.targets.gguf.gemma3 import GEMMA3
from ckpt2hf.targets.gguf.gpt2 import GPT2
from ckpt2hf.targets.gguf.llama import LLAMA
from ckpt2hf.targets.gguf.olmo2 import OLMO2
from ckpt2hf.targets.gguf.qwen3 import QWEN3
from ckpt2hf.targets.gguf.qwen3moe import QWEN3MOE

ARCHITECTURES = (GPT2, LLAMA, QWEN3, QWEN3MOE, GEMMA3, OLMO2)
"""Every one that is written."""

__all__ = ["ARCHITECTURES", "GgufArchitecture"]
