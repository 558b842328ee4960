"""Every character of Unicode through the splits of llama.cpp and of the tokenizers library; files without tokenizer."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from itertools import product
from typing import TYPE_CHECKING, Any

import gguf
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from ckpt2hf.stages.gguf.vocabulary import vocabulary_of, write_none
from ckpt2hf.stages.gguf.vocabulary_parity import LlamaVocabulary
from ckpt2hf.tokenizers.byte_level import letters
from gguf_vocabularies import byte_level, directory, file_of, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKS = r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS: dict[str, tuple[list[Any], int]] = {
    "gpt-2": ([byte_level()], 4382),
    "starcoder": ([pre_tokenizers.Digits(individual_digits=True), byte_level()], 4395),
    "qwen35": (
        [
            pre_tokenizers.Split(
                Regex(f"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]){MARKS}"), "isolated"
            ),
            byte_level(use_regex=False),
        ],
        4433,
    ),
}
"""The parts of a split, and how many characters llama.cpp and the library take for something else."""
AROUND = ("a{}", "1{}", "!{}", " {}")
AT_ONCE = 64


def _all_pairs(split: list[Any]) -> Tokenizer:
    """Any two bytes are merged: two characters have other ids where a cut is between them."""
    alphabet = letters()
    vocab = {letter: number for number, letter in enumerate(alphabet)}
    pairs = list(product(alphabet, alphabet))
    vocab.update({left + right: 256 + k for k, (left, right) in enumerate(pairs)})
    made = Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    made.pre_tokenizer = pre_tokenizers.Sequence(split)
    made.decoder = decoders.ByteLevel()
    return made


def _different(library: Tokenizer, llama: LlamaVocabulary) -> Iterator[str]:
    characters = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]
    for about in AROUND:
        for at in range(0, len(characters), AT_ONCE):
            texts = [about.format(character) for character in characters[at : at + AT_ONCE]]
            whole = "#@\n".join(texts)
            if llama.encode(whole, around=False, special=False) == library.encode(whole).ids:
                continue
            for text, character in zip(texts, characters[at : at + AT_ONCE], strict=True):
                if llama.encode(text, around=False, special=False) != library.encode(text).ids:
                    yield character


@pytest.mark.slow
@pytest.mark.parametrize("name", SPLITS)
def test_only_characters_of_unicode_16_are_split_in_another_way(name: str, tmp_path: Path) -> None:
    split, count = SPLITS[name]
    library = _all_pairs(split)
    (tmp_path / "t.json").write_text(library.to_str(), encoding="utf-8")
    folder = directory(tmp_path, _read(tmp_path / "t.json"), eos_token=None)
    found = vocabulary(folder, 256 + 256 * 256)
    assert found.pre == name
    assert any("Unicode 16.0" in note for note in found.notes)
    llama = LlamaVocabulary(file_of(found, tmp_path / "v.gguf"))
    different = {*_different(library, llama)}
    llama.close()
    assert len(different) == count
    assert float(unicodedata.unidata_version[:4]) < 16, "this Python knows the characters that are asked for"
    assert {unicodedata.category(character) for character in different} == {"Cn"}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_a_directory_without_tokenizer_has_no_vocabulary(tmp_path: Path) -> None:
    assert vocabulary_of(tmp_path, 50) is None
    writer = gguf.GGUFWriter(str(tmp_path / "none.gguf"), "gpt2")
    writer.add_vocab_size(50)  # as every architecture does
    write_none(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert LlamaVocabulary(tmp_path / "none.gguf").tokens == 50


def test_a_refusal_needs_neither_pytorch_nor_llama_cpp(tmp_path: Path) -> None:
    folder = directory(tmp_path, {**json.loads(_all_pairs([byte_level()]).to_str()), "normalizer": {"type": "NFC"}})
    code = (
        "import sys; from pathlib import Path; from ckpt2hf.errors import TokenizerError\n"
        "from ckpt2hf.stages.gguf.vocabulary import vocabulary_of\n"
        "try: vocabulary_of(Path(sys.argv[1]), 70000)\n"
        "except TokenizerError as error: print(error.details[0])\n"
        "print(sorted({'torch', 'transformers', 'llama_cpp', 'gguf'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[1:] == ["[]"], ran.stdout
    assert "its normalizer (NFC)" in ran.stdout
