"""Proofs that a written directory computes what the checkpoint computes. Importing this imports no torch."""

from ckpt2hf.verify.alone import ALONE, check_alone
from ckpt2hf.verify.back import verify_back
from ckpt2hf.verify.elsewhere import require_interpreter
from ckpt2hf.verify.health import Finding, Severity, health
from ckpt2hf.verify.left_out import prove_left_out
from ckpt2hf.verify.levels import Level, require, verify, warm_up
from ckpt2hf.verify.measure import Measured, measure, surprisal
from ckpt2hf.verify.memory import LIBRARIES, memory_needed
from ckpt2hf.verify.sampling import Sampling, Stop
from ckpt2hf.verify.sums import Summed
from ckpt2hf.verify.tokenizer import check_tokenizer
from ckpt2hf.verify.verdict import Check, Verdict
from ckpt2hf.verify.windows import Windows

__all__ = [
    "ALONE",
    "LIBRARIES",
    "Check",
    "Finding",
    "Level",
    "Measured",
    "Sampling",
    "Severity",
    "Stop",
    "Summed",
    "Verdict",
    "Windows",
    "check_alone",
    "check_tokenizer",
    "health",
    "measure",
    "memory_needed",
    "prove_left_out",
    "require",
    "require_interpreter",
    "surprisal",
    "verify",
    "verify_back",
    "warm_up",
]
