"""Tokenizers: the file of the training run, and the same as transformers reads it. One module a kind of file."""

from ckpt2hf.tokenizers.agreement import encoded
from ckpt2hf.tokenizers.find import files_in, in_folder, named
from ckpt2hf.tokenizers.fit import NONE, Special, Tokenizer, fitted
from ckpt2hf.tokenizers.format import Hints
from ckpt2hf.tokenizers.formats import FORMATS, format_of, read
from ckpt2hf.tokenizers.probes import PROBES
from ckpt2hf.tokenizers.source import ROLES, Original, TokenizerSource, Unencodable
from ckpt2hf.tokenizers.written import FILES, TOKENIZER, tables, text

__all__ = [
    "FILES",
    "FORMATS",
    "NONE",
    "PROBES",
    "ROLES",
    "TOKENIZER",
    "Hints",
    "Original",
    "Special",
    "Tokenizer",
    "TokenizerSource",
    "Unencodable",
    "encoded",
    "files_in",
    "fitted",
    "format_of",
    "in_folder",
    "named",
    "read",
    "tables",
    "text",
]
