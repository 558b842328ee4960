"""Tokenizers: the file of the training run, and the same as transformers reads it. One module a kind of file."""

from ckpt2hf.tokenizers.agreement import encoded
from ckpt2hf.tokenizers.asked import AskedTokenizer, Policy, special_tokens
from ckpt2hf.tokenizers.find import files_in, in_folder, is_name, named, tokenizer_of
from ckpt2hf.tokenizers.fit import NONE, Special, Tokenizer, fitted
from ckpt2hf.tokenizers.format import Hints
from ckpt2hf.tokenizers.formats import FORMATS, format_of, read
from ckpt2hf.tokenizers.library import LibraryOriginal
from ckpt2hf.tokenizers.probes import PROBES, own_text, spoken
from ckpt2hf.tokenizers.source import ROLES, Original, TokenizerSource, Unencodable
from ckpt2hf.tokenizers.written import CONFIG, TOKENIZER, tables

__all__ = [
    "CONFIG",
    "FORMATS",
    "NONE",
    "PROBES",
    "ROLES",
    "TOKENIZER",
    "AskedTokenizer",
    "Hints",
    "LibraryOriginal",
    "Original",
    "Policy",
    "Special",
    "Tokenizer",
    "TokenizerSource",
    "Unencodable",
    "encoded",
    "files_in",
    "fitted",
    "format_of",
    "in_folder",
    "is_name",
    "named",
    "own_text",
    "read",
    "special_tokens",
    "spoken",
    "tables",
    "tokenizer_of",
]
