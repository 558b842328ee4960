"""`tokenizer.json`: with and without special tokens, byte-level or not, and as a course makes it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import Hints, fitted, read
from ckpt2hf.tokenizers.word_split import WORDS, spelled_out
from tokenizing import decoded, differences, failures, of, sequences, training_text, write
from transformers_js import misread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LETTERS = "abc  \n\t'sİə12½é<s>[UNK][CLS]"


def course() -> Tokenizer:
    """Bytes' letters in the alphabet, a split at white space, and no decoder."""
    made = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - no password
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(training_text(), trainer)
    return made


def byte_level(*specials: str) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(training_text(), trainer)
    return made


def framed() -> Tokenizer:
    """With a token put before and after each text."""
    made = byte_level("<s>", "</s>")
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return made


def words() -> Tokenizer:
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))  # noqa: S106 - no password
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.train_from_iterator(training_text(), trainers.WordLevelTrainer(special_tokens=["<unk>"], show_progress=False))
    return made


RECIPES: dict[str, Callable[[], Tokenizer]] = {
    "course": course,
    "byte-level": lambda: byte_level("<|endoftext|>"),
    "without special tokens": byte_level,
    "framed": framed,
    "words": words,
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_ids_and_text_are_those_of_the_library(recipe: str, tmp_path: Path) -> None:
    RECIPES[recipe]().save(str(tmp_path / "tokenizer.json"))
    source = read(tmp_path / "tokenizer.json", Hints())
    assert not list(differences(source, of(LETTERS)))
    for numbers in sequences(source, 50):
        assert decoded(source.product, numbers) == source.original.decode(numbers)


@pytest.mark.transformers5
def test_transformers_loads_what_was_read(tmp_path: Path, python_5x: Path) -> None:
    folders = []
    for number, (recipe, make) in enumerate(RECIPES.items()):
        make().save(str(tmp_path / "tokenizer.json"))
        source = read(tmp_path / "tokenizer.json", Hints())
        write(source, tmp_path / recipe, "llama" if number % 2 else "gpt2")
        folders.append(tmp_path / recipe)
    assert failures(sys.executable, folders) == []
    assert failures(python_5x, folders) == []


@pytest.mark.node
@pytest.mark.parametrize("recipe", RECIPES)
def test_transformers_js_reads_what_was_written(recipe: str, tmp_path: Path) -> None:
    RECIPES[recipe]().save(str(tmp_path / "tokenizer.json"))
    write(read(tmp_path / "tokenizer.json", Hints()), tmp_path / recipe, "gpt2")
    # For JavaScript U+FEFF is white space, and U+0085 is not: WhitespaceSplit minds.
    assert misread(tmp_path / recipe) == ({"other spaces"} if recipe == "words" else set())


def test_white_space_is_split_by_a_regex_that_is_the_same_for_every_character(tmp_path: Path) -> None:
    made = course()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.Whitespace()])
    made.save(str(tmp_path / "tokenizer.json"))
    source = read(tmp_path / "tokenizer.json", Hints())
    assert any("regex" in note for note in source.notes)
    assert json.loads(source.product.to_str())["pre_tokenizer"] == spelled_out(
        json.loads(made.to_str())["pre_tokenizer"]
    )
    plain, regex = pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 4096):
        # What stands at a letter and at a mark shows which of the three kinds a character is.
        text = "".join(f"a{character} !{character} " for character in characters[start : start + 4096])
        assert plain.pre_tokenize_str(text) == regex.pre_tokenize_str(text)


def test_a_name_that_is_no_token_is_told_and_left_out(tmp_path: Path) -> None:
    course().save(str(tmp_path / "tokenizer.json"))
    names: dict[str, Any] = {"eos_token": "<|endoftext|>", "pad_token": {"content": "[PAD]"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    source = read(tmp_path / "tokenizer.json", Hints())
    tokenizer = fitted(source, rows=700, context=64, said={}, ids={})
    assert tokenizer.token_ids == {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 3}
    assert any("'<|endoftext|>'" in note and "--eos-token '[SEP]'" in note for note in tokenizer.notes)


@pytest.mark.parametrize(
    "text", ['{"added_tokens"', '{"added_tokens": []}', '{"added_tokens": [], "model": {"type": "X"}}']
)
def test_what_is_no_tokenizer_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(TokenizerError) as caught:
        read(tmp_path / "tokenizer.json", Hints())
    assert caught.value.where
    assert caught.value.remedies
