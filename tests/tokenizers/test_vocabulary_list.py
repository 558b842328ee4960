"""Vocabularies alone: of characters, of words, and of what is neither."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer, Tokenizer, pre_tokenizers

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import PROBES, Hints, Unencodable, in_folder, read
from ckpt2hf.tokenizers.vocabulary_list import WordsOriginal, _product
from tokenizing import decoded, differences, failures, ids, of, sequences, training_text, write
from transformers_js import misread

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = sorted({*"".join(training_text()), "\n", "<", ">", "/", "s"})
WORDS = list(dict.fromkeys(word for line in training_text() for word in line.split()))


def put(folder: Path, content: Any, name: str = "vocab.json") -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", CHARACTERS),
        ("vocab.json", {c: n for n, c in enumerate(CHARACTERS)}),
        ("itos.json", {"itos": CHARACTERS}),
        ("itos.json", {"itos": {str(n): c for n, c in enumerate(CHARACTERS)}}),
        ("stoi.json", {"stoi": {c: n for n, c in enumerate(CHARACTERS)}, "vocab_size": len(CHARACTERS)}),
        ("vocab.txt", "\n".join(c for c in CHARACTERS if c not in "\n\r") + "\n"),
    ],
)
def test_characters(name: str, content: Any, tmp_path: Path) -> None:
    source = read(put(tmp_path, content, name), Hints())
    assert source.format == "characters"
    assert not list(differences(source, of("".join(CHARACTERS))))
    assert source.original.encode("ab") == [source.vocabulary["a"], source.vocabulary["b"]]


@pytest.mark.parametrize("special", [("<unk>", "<eos>"), ("<eos>",), ()])
@pytest.mark.parametrize("form", ["txt", "json"])
def test_words(special: tuple[str, ...], form: str, tmp_path: Path) -> None:
    words = [*special, *WORDS]
    path = put(tmp_path, "\n".join(words) if form == "txt" else words, f"vocab.{form}")
    source = read(path, Hints())
    more = [" ".join(WORDS[at : at + 9]) for at in range(0, 90, 9)]
    hard = ["a <eos> b<eos>", " Bakı\tBakı\x1cBakı\u2028Bakı ", f"{WORDS[3]}  {WORDS[4]}\n<unk>"]
    assert not list(differences(source, [*more, *hard]))
    assert source.special == special
    for numbers in sequences(source):
        assert decoded(source.product, numbers) == source.original.decode(numbers)
    if "<unk>" in special:
        assert source.original.encode("qqqq") == [0]
        assert source.named == {"unk": "<unk>"}
    else:
        assert ids(source.product, "qqqq") is None
        with pytest.raises(Unencodable, match="'qqqq' is not among"):
            source.original.encode("qqqq")


def test_white_space_is_pythons() -> None:
    table = {"a": 0, "<unk>": 1}
    product = _product(table, "<unk>")
    original = WordsOriginal(table, {0: "a", 1: "<unk>"}, 1)
    for number in [*range(0x3100), 0xFEFF, 0xE000]:
        text = f"a{chr(number)}a"
        assert ids(product, text) == original.encode(text), hex(number)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("ab \n<unk>"))))
def test_any_text(text: str) -> None:
    table = {"a": 0, "<unk>": 1, "ab": 2, "b": 3}
    assert ids(_product(table, "<unk>"), text) == WordsOriginal(table, {}, 1).encode(text)


@pytest.mark.transformers5
def test_transformers_loads_what_was_read(tmp_path: Path, python_5x: Path) -> None:
    folders = [tmp_path / "words", tmp_path / "characters"]
    write(read(put(tmp_path, ["<unk>", "<eos>", *WORDS]), Hints()), folders[0], "gpt2")
    write(read(put(tmp_path, sorted({*"".join(PROBES.values())})), Hints()), folders[1], "llama")
    assert failures(sys.executable, folders) == []
    assert failures(python_5x, folders) == []


@pytest.mark.node
def test_transformers_js_reads_what_was_written(tmp_path: Path) -> None:
    write(read(put(tmp_path, ["<unk>", "<eos>", *WORDS]), Hints()), tmp_path / "words", "gpt2")
    write(read(put(tmp_path, sorted({*"".join(PROBES.values())})), Hints()), tmp_path / "characters", "llama")
    assert misread(tmp_path / "words") | misread(tmp_path / "characters") == set()


def test_word_pieces_are_refused_with_the_reason(tmp_path: Path) -> None:
    made = BertWordPieceTokenizer()
    made.train_from_iterator(training_text(), vocab_size=400, show_progress=False)
    made.save_model(str(tmp_path))
    with pytest.raises(TokenizerError, match="parts of words") as caught:
        read(tmp_path / "vocab.txt", Hints())
    assert "lower-cased" in caught.value.details[0]
    assert "Tokenizer.save" in caught.value.remedies[0]


@pytest.mark.parametrize("token", ["Ġthe", "▁the", "the</w>", "th@@"])
def test_parts_of_words_are_refused(token: str, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="parts of words"):
        read(put(tmp_path, [*WORDS, token]), Hints())


def test_characters_with_a_name_among_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="'<pad>': it does not say how text was cut"):
        read(put(tmp_path, [*CHARACTERS, "<pad>"]), Hints())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.txt", ""),
        ("vocab.txt", "a\n\nb\n"),
        ("vocab.txt", "a\na\n"),
        ("vocab.json", "[]"),
        ("vocab.json", "{}"),
        ("vocab.json", "[1, 2]"),
        ("vocab.json", '["a", ""]'),
        ("vocab.json", '{"a": 1, "b": 1}'),
        ("vocab.json", '{"a": -1}'),
        ("vocab.json", '{"a": true}'),
        ("vocab.json", '{"x": "a"}'),
        ("vocab.json", '{"n_layer": 12, "dropout": 0.1}'),
        ("vocab.json", "[" * 100_000),
    ],
)
def test_what_is_no_vocabulary_is_refused(name: str, content: str, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError) as caught:
        read(put(tmp_path, content, name), Hints())
    assert caught.value.where


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(TokenizerError, match="UTF-8"):
        read(tmp_path / "vocab.txt", Hints())


def test_two_forms_of_one_vocabulary_are_one(tmp_path: Path) -> None:
    put(tmp_path, ["<unk>", *WORDS])
    put(tmp_path, "\n".join(["<unk>", *WORDS]), "vocab.txt")
    assert in_folder(tmp_path, Hints()) is not None
    put(tmp_path, "\n".join([*WORDS, "<unk>"]), "vocab.txt")
    with pytest.raises(TokenizerError, match="not the same"):
        in_folder(tmp_path, Hints())


def test_another_split_is_seen(tmp_path: Path) -> None:
    source = read(put(tmp_path, ["<unk>", *WORDS]), Hints())
    made = Tokenizer.from_str(source.product.to_str())
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    assert list(differences(replace(source, product=made)))
