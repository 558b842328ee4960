"""`vocab.json` and `merges.txt`, saved here by the library that trained them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    ByteLevelBPETokenizer,
    CharBPETokenizer,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    trainers,
)

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import Hints, in_folder, read
from tokenizing import decoded, differences, failures, ids, of, sequences, training_text, write
from transformers_js import misread

if TYPE_CHECKING:
    from pathlib import Path

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LETTERS = "abc  \n\t'sİə12½é\u00a0\u3000<s></s>"


def saved(folder: Path, specials: list[str] = SPECIALS, size: int = 700) -> ByteLevelBPETokenizer:
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(training_text(), vocab_size=size, special_tokens=specials, show_progress=False)
    made.save_model(str(folder))
    return made


@pytest.mark.parametrize("specials", [SPECIALS, ["<|endoftext|>"], []])
def test_ids_and_text_are_those_of_the_library(specials: list[str], tmp_path: Path) -> None:
    trained = saved(tmp_path, specials)
    source = read(tmp_path / "vocab.json", Hints())
    assert source.special == tuple(specials)
    assert source.files == (tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert "GPT-2's convention" in source.notes[0]
    assert not list(differences(source, of(LETTERS)))
    for text in of(LETTERS):
        assert ids(source.product, text) == trained.encode(text).ids
    for numbers in sequences(source):
        assert decoded(source.product, numbers) == source.original.decode(numbers)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=40), max_size=20))
def test_any_text(tmp_path: Path, texts: list[str]) -> None:
    if not (tmp_path / "vocab.json").exists():
        saved(tmp_path)
    source = read(tmp_path / "vocab.json", Hints())
    assert [ids(source.product, text) for text in texts] == [source.original.encode(text) for text in texts]


@pytest.mark.transformers5
def test_transformers_loads_what_was_read(tmp_path: Path, python_5x: Path) -> None:
    saved(tmp_path)
    write(read(tmp_path / "vocab.json", Hints()), tmp_path / "written", "gpt2")
    assert failures(sys.executable, [tmp_path / "written"]) == []
    assert failures(python_5x, [tmp_path / "written"]) == []


@pytest.mark.node
def test_transformers_js_reads_what_was_written(tmp_path: Path) -> None:
    saved(tmp_path)
    write(read(tmp_path / "vocab.json", Hints()), tmp_path / "written", "gpt2")
    assert misread(tmp_path / "written") == set()


def test_the_same_as_tokenizer_json_is_one(tmp_path: Path) -> None:
    made = saved(tmp_path)
    made.save(str(tmp_path / "tokenizer.json"))
    found = in_folder(tmp_path, Hints())
    assert found is not None
    assert found.files[0].name == "tokenizer.json"
    saved(tmp_path, size=500)
    with pytest.raises(TokenizerError, match="not the same"):
        in_folder(tmp_path, Hints())


def test_letters_of_bytes_without_tokens_of_them_are_refused(tmp_path: Path) -> None:
    """An initial alphabet of bytes, and a split at white space: nothing in the files tells."""
    made = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - no password
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(training_text(), trainer)
    made.model.save(str(tmp_path))
    with pytest.raises(TokenizerError, match="how text was split") as caught:
        read(tmp_path / "vocab.json", Hints())
    assert "begins with a space" in caught.value.details[0]
    assert "Tokenizer.save('tokenizer.json')" in caught.value.remedies[0]


def test_words_with_an_end_are_refused(tmp_path: Path) -> None:
    made = CharBPETokenizer()
    made.train_from_iterator(training_text(), vocab_size=600, show_progress=False)
    made.save_model(str(tmp_path))
    with pytest.raises(TokenizerError, match="how text was split") as caught:
        read(tmp_path / "vocab.json", Hints())
    assert "</w>" in caught.value.details[0]


@pytest.mark.parametrize("cut", [3, 700, 1500])
def test_merges_that_are_cut_off_are_refused(cut: int, tmp_path: Path) -> None:
    saved(tmp_path)
    whole = (tmp_path / "merges.txt").read_bytes()
    (tmp_path / "merges.txt").write_bytes(whole[: len(whole) - cut])
    with pytest.raises(TokenizerError) as caught:
        read(tmp_path / "vocab.json", Hints())
    assert caught.value.where
    assert caught.value.remedies


@pytest.mark.parametrize("text", ["{}", "[]", '{"a": "b"}', '{"a": 1, "b": 1}', '{"a"', '{"a": -1}', "\x00"])
def test_what_is_no_vocabulary_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(text, encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    with pytest.raises(TokenizerError) as caught:
        read(tmp_path / "vocab.json", Hints())
    assert caught.value.where


@pytest.mark.parametrize("mutant", ["merges", "prefix", "decoder"])
def test_mutants_are_seen(mutant: str, tmp_path: Path) -> None:
    saved(tmp_path)
    source = read(tmp_path / "vocab.json", Hints())
    tree = json.loads(source.product.to_str())
    if mutant == "merges":
        tree["model"]["merges"][:2] = reversed(tree["model"]["merges"][:2])
        tree["model"]["merges"].reverse()
    made = Tokenizer.from_str(json.dumps(tree))
    if mutant == "prefix":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    elif mutant == "decoder":
        made.decoder = decoders.Fuse()
    assert list(differences(replace(source, product=made)))
