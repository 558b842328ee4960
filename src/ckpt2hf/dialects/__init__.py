"""What each training codebase calls its tensors, as data, and how a checkpoint's dialect is recognised."""

from ckpt2hf.dialects.candidate import Candidate
from ckpt2hf.dialects.detect import candidates, detect, fits
from ckpt2hf.dialects.fact import Fact, Origin, Question, flag
from ckpt2hf.dialects.fit import Fit, told
from ckpt2hf.dialects.load import blamed, dialect, dialect_text, dialects
from ckpt2hf.dialects.own_file import DialectFile, own_file, read_file
from ckpt2hf.dialects.resolve import Resolution
from ckpt2hf.dialects.said import TOKEN_IDS, Said, merged, said_in_file, said_on_command_line
from ckpt2hf.dialects.schema import Dialect, Layout

__all__ = [
    "TOKEN_IDS",
    "Candidate",
    "Dialect",
    "DialectFile",
    "Fact",
    "Fit",
    "Layout",
    "Origin",
    "Question",
    "Resolution",
    "Said",
    "blamed",
    "candidates",
    "detect",
    "dialect",
    "dialect_text",
    "dialects",
    "fits",
    "flag",
    "merged",
    "own_file",
    "read_file",
    "said_in_file",
    "said_on_command_line",
    "told",
]
