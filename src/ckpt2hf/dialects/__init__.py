"""What each training codebase calls its tensors, as data, and how a checkpoint's dialect is recognised."""

from ckpt2hf.dialects.candidate import Candidate
from ckpt2hf.dialects.detect import candidates, detect, fits
from ckpt2hf.dialects.express import Expressed, Mismatch, express, read_as
from ckpt2hf.dialects.fact import Fact, Origin, Question, flag
from ckpt2hf.dialects.fit import Fit, told
from ckpt2hf.dialects.load import blamed, dialect, dialect_text, dialects, stated_at
from ckpt2hf.dialects.own_file import DialectFile, own_file, read_file
from ckpt2hf.dialects.resolve import Resolution
from ckpt2hf.dialects.said import TOKEN_IDS, Said, merged, said_in_file, said_on_command_line
from ckpt2hf.dialects.schema import Dialect, Layout
from ckpt2hf.dialects.unwritten import Unwritten

__all__ = [
    "TOKEN_IDS",
    "Candidate",
    "Dialect",
    "DialectFile",
    "Expressed",
    "Fact",
    "Fit",
    "Layout",
    "Mismatch",
    "Origin",
    "Question",
    "Resolution",
    "Said",
    "Unwritten",
    "blamed",
    "candidates",
    "detect",
    "dialect",
    "dialect_text",
    "dialects",
    "express",
    "fits",
    "flag",
    "merged",
    "own_file",
    "read_as",
    "read_file",
    "said_in_file",
    "said_on_command_line",
    "stated_at",
    "told",
]
