"""Byte-level BPE and tables of characters in GGUF files: llama.cpp gives the ids of transformers, or it is refused."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from ckpt2hf.errors import TokenizerError
from ckpt2hf.stages.gguf.pre_tokenizers import LONG_S
from ckpt2hf.stages.gguf.vocabulary import NONE, vocabulary_of
from ckpt2hf.stages.gguf.vocabulary_parity import LlamaVocabulary
from ckpt2hf.tokenizers import Hints, read
from ckpt2hf.tokenizers.byte_level import letters
from ckpt2hf.tokenizers.characters import characters
from ckpt2hf.tokenizers.oniguruma import translated
from ckpt2hf.tokenizers.sentencepiece_pieces import Kind
from ckpt2hf.tokenizers.tiktoken_ranks import PATTERNS
from gguf_vocabularies import (
    HARD,
    byte_level,
    checks,
    converted,
    directory,
    file_of,
    hard_texts,
    proved,
    trained,
    vocabulary,
)
from tokenizing import training_text

if TYPE_CHECKING:
    from pathlib import Path

CASE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
ASCII_CASE = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+"
END = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{CASE}{WORDS}|\p{{N}}{{1,3}}{END}"
GPT4_OLD = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
MARKS = r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ROWS = 810
UNKNOWN = "[UNK]"


def split(*patterns: str) -> Any:
    """Regexes, one after another, and then bytes."""
    cuts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*cuts, byte_level(use_regex=False)])


SPLITS = {
    "gpt-2": byte_level(),
    "gpt-2 as a regex": split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"),
    "gpt-2 as tiktoken's": split(translated(PATTERNS["gpt2"])),
    "starcoder": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()]),
    "dbrx": split(LLAMA3),
    "dbrx in ASCII": split(LLAMA3.replace(CASE, ASCII_CASE)),
    "dbrx as GPT-4's": split(GPT4_OLD),
    "qwen2": split(rf"{CASE}{WORDS}|\p{{N}}{END}"),
    "qwen35": split(CASE + MARKS),
}
"""By the name that llama.cpp has for it."""


@pytest.mark.parametrize("about", SPLITS)
def test_each_named_split_gives_the_same_ids(about: str, tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(SPLITS[about]), pad_token="<pad>")  # noqa: S106 - no password
    found = vocabulary(folder, ROWS)
    assert (found.model, found.pre) == ("gpt2", about.split(" ", 1)[0])
    assert found.specials == {"bos": 0, "eos": 0, "pad": 2}
    texts = {name: text for name, text in hard_texts().items() if LONG_S not in text}
    proved(found, folder, texts)


def test_what_ignores_case_takes_a_long_s_for_an_s(tmp_path: Path) -> None:
    for name, folds in (("dbrx", True), ("dbrx in ASCII", False), ("gpt-2", False)):
        table = trained(SPLITS[name])
        # Shows whether the last byte of a long s and an e are in one part.
        table["model"]["vocab"]["¿e"] = len(table["model"]["vocab"])
        table["model"]["merges"].insert(0, ["¿", "e"])
        folder = directory(tmp_path / name, table)
        found = vocabulary(folder, ROWS)
        assert any(LONG_S in note for note in found.notes) is folds
        assert checks(found, folder, {"a long s": f"it{LONG_S}elf"})["gguf tokenizer encodes"].passed is not folds


def test_a_part_that_is_a_token_is_taken_whole_where_the_file_says_so(tmp_path: Path) -> None:
    table = trained(SPLITS["dbrx"])
    table["model"]["ignore_merges"] = True
    assert vocabulary(directory(tmp_path / "closed", table), ROWS).pre == "llama-bpe"
    # " the" loses its last merge: only a look-up finds it now.
    table["model"]["merges"] = [pair for pair in table["model"]["merges"] if "".join(pair) != "Ġthe"]
    whole = directory(tmp_path / "whole", table)
    found = vocabulary(whole, ROWS)
    assert found.pre == "llama-bpe"
    proved(found, whole)
    assert not checks(dataclasses.replace(found, pre="dbrx"), whole)["gguf tokenizer encodes"].passed
    table["pre_tokenizer"] = trained(SPLITS["gpt-2"])["pre_tokenizer"]
    with pytest.raises(TokenizerError, match=r"Ġthe.*ignore_merges"):
        vocabulary_of(directory(tmp_path / "refused", table), ROWS)


@pytest.mark.parametrize("about", ["gpt-2", "dbrx", "qwen35"])
def test_bytes_that_training_never_saw(about: str, tmp_path: Path) -> None:
    """Trained without an initial alphabet, as many are."""
    folder = directory(tmp_path, trained(SPLITS[about], narrow=True))
    found = vocabulary(folder, ROWS)
    (note,) = (note for note in found.notes if "have no token" in note)
    assert int(note.split()[0]) > 100
    seen = checks(found, folder, {name: text for name, text in hard_texts().items() if LONG_S not in text})
    assert all(check.passed for check in seen.values()), seen
    assert f"without the {note.split()[0]} bytes that have no token" in seen["gguf tokenizer encodes"].summary
    other = "gpt-2" if about != "gpt-2" else "dbrx"
    assert not checks(dataclasses.replace(found, pre=other), folder)["gguf tokenizer encodes"].passed


def test_what_is_done_with_such_a_byte(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level(), narrow=True))
    llama = LlamaVocabulary(file_of(vocabulary(folder, ROWS), folder / "vocabulary.gguf"))
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def both(text: str) -> tuple[list[int], list[int]]:
        return llama.encode(text, around=False, special=True), library.encode(text).ids

    word = next(token for token in library.get_vocab() if token.isascii() and token.isalpha() and len(token) == 4)
    alone, whole = both(word)
    assert alone == whole
    # Greek is left out by both; beside it, only transformers merges on.
    assert both("\u03b1\u03b2") == ([], [])
    theirs, ours = both(f"{word[:2]}\u03b1{word[2:]}")
    assert library.decode(ours) == library.decode(theirs) == word
    assert theirs != ours == whole


def test_rows_without_a_token_are_unused(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level()))
    found = vocabulary(folder, ROWS)
    assert found.tokens[-1] == "[PAD809]"
    assert found.types[-10:] == (int(Kind.UNUSED),) * 10
    proved(found, folder, {"names of rows": "[PAD809][PAD800] [PAD809]"})
    with pytest.raises(TokenizerError, match="has the id 799, and the model 799 rows"):
        vocabulary_of(folder, 799)


def test_what_is_put_around_a_text(tmp_path: Path) -> None:
    table = trained(byte_level())
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for number, name in enumerate(("<|endoftext|>", "<s>"))
        },
    }
    table["post_processor"] = {
        "type": "Sequence",
        "processors": [{"type": "ByteLevel", "trim_offsets": True}, template],
    }
    table["post_processor"]["processors"][0] |= {"add_prefix_space": True, "use_regex": True}
    folder = directory(tmp_path / "both", table)
    found = vocabulary(folder, ROWS)
    assert (found.add_bos, found.add_eos, found.specials["bos"]) == (True, True, 1)
    proved(found, folder)
    assert not checks(dataclasses.replace(found, add_eos=False), folder)["gguf tokenizer encodes"].passed
    template["single"] = [template["single"][0], *template["single"]]
    with pytest.raises(TokenizerError, match=r"it puts the ids \[1, 1\] beside a text"):
        vocabulary_of(directory(tmp_path / "twice", table), ROWS)


def test_special_tokens_of_every_kind(tmp_path: Path) -> None:
    table = trained(byte_level(), specials=("<|endoftext|>", "a b", "<ə>…", "<|im_start|>"))
    more = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    table["added_tokens"] += [{"id": 800 + k, "content": text, **more} for k, text in enumerate(("user", "u\n\nv"))]
    folder = directory(tmp_path, table)
    found = vocabulary(folder, ROWS)
    kinds = [Kind(found.types[number]) for number in (0, 1, 2, 3, 800, 801)]
    assert kinds == [Kind.CONTROL] * 4 + [Kind.USER_DEFINED] * 2
    proved(found, folder, {"in text": "a busers <ə>…<|im_start|>user\nu\n\nvu\n\n<|endoftext|>"})
    for number in (0, 2, 800):
        types = tuple(int(Kind.NORMAL) if k == number else kind for k, kind in enumerate(found.types))
        seen = checks(dataclasses.replace(found, types=types), folder)["gguf tokenizer encodes"]
        assert seen.passed is (number == 0), seen.summary  # llama.cpp knows <|endoftext|> by its name


def test_special_tokens_that_are_plain_text(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level()), split_special_tokens=True)
    found = vocabulary(folder, ROWS)
    assert any("<|endoftext|> in a text is plain text in transformers" in note for note in found.notes)
    proved(found, folder)


def test_what_ends_a_text_is_harmless_where_no_token_does(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level(), specials=()), eos_token=None)
    full, padded = vocabulary(folder, 800), vocabulary(folder, 801)
    assert full.tokens[full.specials["eos"]] == letters()[0xFF]
    assert padded.tokens[padded.specials["eos"]] == "[PAD800]"
    assert any("no token ends a text" in note for note in full.notes)
    proved(full, folder)


def test_a_tokenizer_without_merges(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level(), size=0, specials=("<|endoftext|>",)))
    found = vocabulary(folder, 257)
    assert len(found.merges) == 1
    proved(found, folder, hard_texts())


def test_a_tokenizer_without_decoder_is_shown_as_text(tmp_path: Path) -> None:
    folder = directory(tmp_path, {**trained(byte_level()), "decoder": None})
    found = vocabulary(folder, ROWS)
    assert any("no decoder" in note for note in found.notes)
    proved(found, folder)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tiktoken_ranks(pattern: str, tmp_path: Path) -> None:
    table = trained(split(translated(PATTERNS[pattern])), specials=())
    back = {letter: byte for byte, letter in enumerate(letters())}
    lines = [
        f"{base64.b64encode(bytes(back[letter] for letter in token)).decode()} {number}\n"
        for token, number in sorted(table["model"]["vocab"].items(), key=lambda item: item[1])
    ]
    path = tmp_path / "ranks.tiktoken"
    path.write_text("".join(lines), encoding="ascii")
    source = read(path, Hints(pattern=pattern, special_tokens={"<|endoftext|>": 803}))
    folder, rows = converted(tmp_path / "model", source)
    names = {"gpt2": "gpt-2", "llama3": "llama-bpe"}
    if pattern in names:
        found = vocabulary(folder, rows)
        assert found.pre == names[pattern]
        proved(found, folder, {name: text for name, text in hard_texts().items() if LONG_S not in text})
        return
    strange = {"cl100k_base": r"\\s\+\+\\z", "o200k_base": r"\\p\{Lu\}", "nanochat": r"\\p\{N\}\{1,2\}"}
    with pytest.raises(TokenizerError, match=f"no name for a split with .*{strange[pattern]}"):
        vocabulary_of(folder, rows)


@pytest.mark.parametrize("alphabet", ["its own", "ASCII"])
def test_characters(alphabet: str, tmp_path: Path) -> None:
    text = "\n".join(training_text(100))
    text = text if alphabet == "its own" else "".join(filter(str.isascii, text))
    table = {character: number for number, character in enumerate(sorted({*text}))}
    folder, rows = converted(tmp_path, characters(tmp_path, table, "characters"))
    found = vocabulary(folder, rows)
    assert (found.model, found.pre, len(found.tokens)) == ("gpt2", "gpt-2", len(table))
    assert any("left out by llama.cpp" in note for note in found.notes)
    assert found.tokens[found.specials["eos"]] in "`^~|\\@#$%&*_{}[]<>+=/"
    proved(found, folder, {"all of it": text})
    if alphabet == "its own":
        fewer = dataclasses.replace(found, merges=found.merges[1:])
        assert not checks(fewer, folder, {"all of it": text})["gguf tokenizer encodes"].passed


def test_characters_of_which_one_ends_a_text(tmp_path: Path) -> None:
    table = {character: number for number, character in enumerate("\n abcədef")}
    folder, rows = converted(tmp_path, characters(tmp_path, table, "characters"), {"eos": "\n"})
    found = vocabulary(folder, rows)
    assert found.specials["eos"] == 0
    proved(found, folder, {"lines": "abc\ndəf\n\n"})


def _changed(**parts: Any) -> dict[str, Any]:
    table = trained(byte_level())
    return {**table, **parts}


def _without(*gone: str, unknown: str | None = None) -> dict[str, Any]:
    table = trained(byte_level(), size=0)
    left = {token: number for token, number in table["model"]["vocab"].items() if token not in gone}
    return {**table, "model": {**table["model"], "vocab": left, "unk_token": unknown}}


def _split_by(**parts: Any) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False, **parts}
    return _changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [cut, {**BYTES, "use_regex": False}]})


def _strips() -> dict[str, Any]:
    table = trained(byte_level())
    table["added_tokens"][1]["lstrip"] = True
    return table


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
REFUSED: dict[str, tuple[Any, str]] = {
    "prefix": (lambda: _changed(pre_tokenizer={**BYTES, "add_prefix_space": True}), "puts a space before a text"),
    "normalizer": (lambda: _changed(normalizer={"type": "NFC"}), r"its normalizer \(NFC\) changes a text"),
    "a byte": (
        lambda: _without("Ģ", unknown="Ġ"),
        "1 of the 256 bytes has no token, such as 0x80: in a text such a byte is 'Ġ'",
    ),
    "bytes": (lambda: _without("Ģ", "é", unknown="Ġ"), "2 of the 256 bytes have no token, such as 0x80"),
    "strips": (_strips, "'<s>' takes white space beside it"),
    "decoder": (lambda: _changed(decoder={"type": "BPEDecoder", "suffix": "</w>"}), "its decoder is BPEDecoder"),
    "punctuation": (
        lambda: _changed(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [{"type": "Punctuation", "behavior": "Isolated"}, BYTES],
            }
        ),
        "no name for its pre-tokenizer Punctuation",
    ),
    "a text": (lambda: _split_by(pattern={"String": " "}), "no name for a split at {'String': ' '}"),
    "behavior": (lambda: _split_by(behavior="MergedWithNext"), "Split with behavior mergedwithnext, invert False"),
    "own regex": (lambda: _split_by(pattern={"Regex": r"\s|[a|b]+|\w"}), r"no name for a split with \\s\n"),
    "no bytes": (
        lambda: _changed(pre_tokenizer={"type": "Sequence", "pretokenizers": [BYTES, {"type": "WhitespaceSplit"}]}),
        "its pre-tokenizer ends with WhitespaceSplit",
    ),
    "no such token": (lambda: trained(byte_level(), specials=("<s>",)), "its eos token '<|endoftext|>' is none of"),
    "overlap": (
        lambda: trained(byte_level(), specials=("<|endoftext|>", "<a>b", "b<c>")),
        "'<a>b' and 'b<c>' can overlap",
    ),
    "name": (
        lambda: _named_by_accident("</s>"),
        "'</s>' is an ordinary one, and llama.cpp makes a special one of that name",
    ),
    "shown wrong": (
        lambda: trained(byte_level(), specials=("<|endoftext|>", "<é>")),
        "the letters of its token '<é>' are what other bytes are written with",
    ),
}


def _named_by_accident(name: str) -> dict[str, Any]:
    table = trained(byte_level())
    vocab, merges = table["model"]["vocab"], table["model"]["merges"]
    for end in range(1, len(name)):
        vocab.setdefault(name[: end + 1], len(vocab))
        merges.append([name[:end], name[end]])
    return table


@pytest.mark.parametrize("about", REFUSED)
def test_what_llama_cpp_cannot_express_is_refused(about: str, tmp_path: Path) -> None:
    make, why = REFUSED[about]
    with pytest.raises(TokenizerError, match=why) as caught:
        vocabulary_of(directory(tmp_path, make()), ROWS)
    assert caught.value.remedies[0] == NONE
    assert "byte-level BPE" in caught.value.remedies[1]


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    table = trained(byte_level())
    for broken in ({**table, "model": None}, {**table, "post_processor": {"type": "Unheard"}}, {"added_tokens": [{}]}):
        with pytest.raises(TokenizerError, match=r"tokenizer.json is no tokenizer of the tokenizers library"):
            vocabulary_of(directory(tmp_path, broken), ROWS)
    (tmp_path / "tokenizer.json").write_text("[", encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer.json cannot be read"):
        vocabulary_of(tmp_path, ROWS)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(TokenizerError, match=r"the directory has tokenizer.model and no tokenizer.json"):
        vocabulary_of(tmp_path, ROWS)


def test_other_models_are_refused(tmp_path: Path) -> None:
    course = Tokenizer(models.BPE(vocab={"[UNK]": 0, "a": 1, "b": 2, "ab": 3}, merges=[("a", "b")], unk_token=UNKNOWN))
    course.pre_tokenizer = pre_tokenizers.Whitespace()
    (tmp_path / "course.json").write_text(course.to_str(), encoding="utf-8")
    folder, rows = converted(tmp_path / "course", read(tmp_path / "course.json", Hints()))
    with pytest.raises(TokenizerError, match=r"its pre-tokenizer is Whitespace \(written as its regex\)") as caught:
        vocabulary_of(folder, rows)
    assert "ByteLevel(add_prefix_space=False)" in caught.value.remedies[1]
    (tmp_path / "vocab.txt").write_text("one\ntwo\n<unk>\n", encoding="utf-8")
    folder, rows = converted(tmp_path / "words", read(tmp_path / "vocab.txt", Hints()))
    with pytest.raises(TokenizerError, match="it looks up whole words"):
        vocabulary_of(folder, rows)
    pieces = Tokenizer(models.WordPiece(vocab={"[UNK]": 0, "a": 1, "##b": 2}, unk_token=UNKNOWN))
    (tmp_path / "pieces.json").write_text(pieces.to_str(), encoding="utf-8")
    folder, rows = converted(tmp_path / "wordpiece", read(tmp_path / "pieces.json", Hints()))
    with pytest.raises(TokenizerError, match="WordPiece"):
        vocabulary_of(folder, rows)


def test_a_table_of_characters_with_an_unknown_one_is_refused(tmp_path: Path) -> None:
    table = {"[UNK]": 0, "a": 1, "b": 2}
    made = Tokenizer(models.WordLevel(vocab=table, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    (tmp_path / "t.json").write_text(made.to_str(), encoding="utf-8")
    folder, rows = converted(tmp_path / "model", read(tmp_path / "t.json", Hints()))
    with pytest.raises(TokenizerError, match=r"'\[UNK\]', and llama.cpp leaves such a character out"):
        vocabulary_of(folder, rows)


@pytest.mark.parametrize("about", ["gpt-2", "starcoder", "dbrx", "qwen2", "qwen35"])
def test_another_name_is_found_out(about: str, tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(SPLITS[about]))
    found = vocabulary(folder, ROWS)
    # A token of a split that cuts digits one by one has no two: a name that differs in that alone changes no id.
    alike = {"starcoder": {"gpt-2"}, "qwen2": {"dbrx"}}.get(about, set())
    for other in {"gpt-2", "starcoder", "dbrx", "qwen2", "qwen35", "default"} - {found.pre} - alike:
        seen = checks(dataclasses.replace(found, pre=other), folder)["gguf tokenizer encodes"]
        assert not seen.passed, other
        assert "texts differ; the first, " in seen.summary
        assert " in llama.cpp instead of [" in seen.summary


def test_missing_and_exchanged_merges_are_found_out(tmp_path: Path) -> None:
    folder = directory(tmp_path, trained(byte_level()))
    found = vocabulary(folder, ROWS)
    for merges in (found.merges[10:], (*found.merges[200:], *found.merges[:200])):
        assert not checks(dataclasses.replace(found, merges=merges), folder)["gguf tokenizer encodes"].passed
    tokens = list(found.tokens)
    tokens[300], tokens[301] = tokens[301], tokens[300]
    exchanged = checks(dataclasses.replace(found, tokens=tuple(tokens)), folder)
    assert not exchanged["gguf tokenizer encodes"].passed
    assert not exchanged["gguf tokenizer decodes"].passed


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.one_of(st.characters(exclude_categories=("Cs", "Cn")), st.sampled_from(HARD)), max_size=50))
def test_any_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not _LOADED:
        folder = directory(tmp_path_factory.mktemp("any"), trained(byte_level()))
        file = file_of(vocabulary(folder, ROWS), folder / "vocabulary.gguf")
        _LOADED.append((LlamaVocabulary(file), Tokenizer.from_file(str(folder / "tokenizer.json"))))
    llama, library = _LOADED[0]
    ids = library.encode(text).ids
    assert llama.encode(text, around=True, special=True) == ids
    assert llama.decode(ids) == library.decode(ids, skip_special_tokens=False)


_LOADED: list[tuple[LlamaVocabulary, Any]] = []
