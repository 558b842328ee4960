"""tiktoken's rank files and pickled encodings, trained here by byte pair encoding, read by tiktoken itself."""

from __future__ import annotations

import base64
import json
import pickle
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
import tiktoken.registry
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import Hints, TokenizerSource, in_folder, read
from ckpt2hf.tokenizers.byte_level import letters
from ckpt2hf.tokenizers.oniguruma import translated
from ckpt2hf.tokenizers.tiktoken_ranks import PATTERNS
from tokenizing import decoded, differences, failures, ids, of, sequences, training_text, write
from transformers_js import misread

if TYPE_CHECKING:
    from pathlib import Path

SPECIALS = {"<|bos|>": 1000, "<|endoftext|>": 1003}
"""With a gap between them."""
LETTERS = "abc  \n\r\n\t'sS'LLd\u017f12345½²éİ一\u00a0\u3000\u0301\u0085A.,/-<|bos|>"
HARD = (
    "<|bos|>x<|endoftext|>",
    "  <|bos|>  ",
    "a  \n\n  b   ",
    "\n\n\n   ",
    "12345678 ½²³",
    "1711711711 70077007",
    "I'\u017f I'K we'LL",
    "aaaaaaaa" * 9,
)


@cache
def ranks(pattern: str) -> dict[bytes, int]:
    """Ranks trained with a split, bytes first, as rustbpe and tiktoken's own trainer number them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(translated(PATTERNS[pattern])), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=950, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=[]
    )
    spaced = [" " * n + "x" + "\n" * n + "aa" * n for n in range(2, 40)]
    made.train_from_iterator([*training_text(150), *spaced, *(f"{n} {n}{n}" for n in range(0, 9000, 7))], trainer)
    back = {letter: byte for byte, letter in enumerate(letters())}
    order = sorted(made.get_vocab().items(), key=lambda item: item[1])
    tokens = [bytes(back[letter] for letter in token) for token, _ in order]
    single = sorted(token for token in tokens if len(token) == 1)
    return {token: rank for rank, token in enumerate([*single, *(token for token in tokens if len(token) > 1)])}


def rank_file(folder: Path, table: dict[bytes, int], name: str = "tokenizer.model") -> Path:
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in table.items()]
    (folder / name).write_text("".join(lines), encoding="ascii")
    return folder / name


def source_of(folder: Path, pattern: str, name: str = "tokenizer.model") -> TokenizerSource:
    return read(rank_file(folder, ranks(pattern), name), Hints(pattern=pattern, special_tokens=SPECIALS))


def pickled(folder: Path, encoding: Any, protocol: int = 4) -> Path:
    path = folder / "tokenizer.pkl"
    path.write_bytes(pickle.dumps(encoding, protocol=protocol))
    return path


def encoding(pattern: str = "nanochat", name: str = "rustbpe") -> tiktoken.Encoding:
    return tiktoken.Encoding(name, pat_str=PATTERNS[pattern], mergeable_ranks=ranks(pattern), special_tokens=SPECIALS)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_and_text_are_those_of_tiktoken(pattern: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, pattern)
    assert not list(differences(source, (*HARD, *of(LETTERS, 600))))
    for numbers in sequences(source):
        assert decoded(source.product, numbers) == source.original.decode(numbers)


@pytest.mark.parametrize(("ours", "theirs"), [("gpt2", "r50k_pat_str"), ("cl100k_base", ""), ("o200k_base", "")])
def test_patterns_are_those_of_tiktoken(ours: str, theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    expected = getattr(openai_public, theirs) if theirs else getattr(openai_public, ours)()["pat_str"]
    assert PATTERNS[ours] == expected


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from(LETTERS)), max_size=60))
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k_base", "o200k_base", "nanochat"])
def test_any_text(pattern: str, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if pattern not in _READ:
        _READ[pattern] = source_of(tmp_path_factory.mktemp("ranks"), pattern)
    source = _READ[pattern]
    assert ids(source.product, text) == source.original.encode(text)


_READ: dict[str, TokenizerSource] = {}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickled_encoding_says_everything(protocol: int, tmp_path: Path) -> None:
    source = read(pickled(tmp_path, encoding(), protocol), Hints())
    assert not list(differences(source, (*HARD, *of(LETTERS))))
    assert source.special == ("<|bos|>", "<|endoftext|>")
    assert source.vocabulary["<|endoftext|>"] == 1003


def test_a_registered_encoding_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = encoding(name="known")
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "known", known)
    with pytest.raises(TokenizerError, match="holds only a name, 'known'") as caught:
        read(pickled(tmp_path, known), Hints())
    assert any("--tokenizer-pattern" in remedy for remedy in caught.value.remedies)


def test_a_regex_may_leave_text_out(tmp_path: Path) -> None:
    path = rank_file(tmp_path, ranks("gpt2"), "my.tiktoken")
    source = read(path, Hints(pattern=r"\p{L}{1,3}+| ?\d+$|^\s", special_tokens={}))
    assert not list(differences(source, ("abcdefg", " 12\n 34", "\n\nab\n", "1")))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\p{N}{1,3}+|a", r"(?>\p{N}{1,3})|a"),
        (r"(?:ab[c]){2,}+x", r"(?>(?:ab[c]){2,})x"),
        (r"x[a-z\]{2}]{2}+", r"x(?>[a-z\]{2}]{2})"),
        (r"\p{L}++\s++$", r"\p{L}++\s++\z"),
        (r"[^$^]\$", r"[^$^]\$"),
        (r"((a)(b)){3}+", r"(?>((a)(b)){3})"),
    ],
)
def test_a_regex_for_oniguruma(pattern: str, expected: str) -> None:
    assert translated(pattern) == expected


@pytest.mark.parametrize("pattern", ["(?m:a)", "(?s)a", "(a", "a)", "[a", r"\p{Nonsense}+", "*"])
def test_a_regex_that_cannot_be_used_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="cannot be used") as caught:
        read(rank_file(tmp_path, ranks("gpt2")), Hints(pattern=pattern))
    assert caught.value.tried == pattern
    assert caught.value.remedies


def test_a_rank_file_alone_is_refused_with_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="how text is split") as caught:
        read(rank_file(tmp_path, ranks("llama3")), Hints())
    assert [remedy.split()[0] for remedy in caught.value.remedies] == ["--tokenizer-pattern", "--special-token"]


@pytest.mark.transformers5
def test_transformers_loads_what_was_read(tmp_path: Path, python_5x: Path) -> None:
    folders = []
    for model_type, pattern in (("gpt2", "gpt2"), ("llama", "llama3"), ("llama", "nanochat"), ("gpt2", "cl100k_base")):
        write(source_of(tmp_path, pattern), tmp_path / pattern, model_type)
        folders.append(tmp_path / pattern)
    assert failures(sys.executable, folders) == []
    assert failures(python_5x, folders) == []


@pytest.mark.node
@pytest.mark.parametrize("pattern", ["gpt2", "llama3", "nanochat", "cl100k_base"])
def test_transformers_js_reads_what_was_written(pattern: str, tmp_path: Path) -> None:
    write(source_of(tmp_path, pattern), tmp_path / pattern, "llama")
    assert misread(tmp_path / pattern) == set()


def test_one_encoding_in_two_files_is_one_and_two_are_refused(tmp_path: Path) -> None:
    rank_file(tmp_path, ranks("nanochat"), "my.tiktoken")
    pickled(tmp_path, encoding())
    found = in_folder(tmp_path, Hints(pattern="nanochat", special_tokens=SPECIALS))
    assert found is not None
    assert found.files == (tmp_path / "tokenizer.pkl",)
    with pytest.raises(TokenizerError, match="not the same"):
        in_folder(tmp_path, Hints(pattern="gpt2", special_tokens=SPECIALS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table, _: table.pop(b"\xfe"), "byte 0xfe"),
        (lambda table, _: table.update({b"x": 300}), "there twice"),
        (lambda _, specials: specials.update({"<|x|>": 5}), "there twice"),
        (lambda _, specials: specials.update({"an": 2000}), "a special token and an ordinary one"),
        (lambda _, specials: specials.update({"éé": 2000}), "letters of the special token 'éé'"),
        (lambda table, _: table.update({b"x": -1}), "no number"),
        (lambda _, specials: specials.update({"<|x|>": 1 << 30}), "ids up to 1073741824"),
        (lambda _, specials: specials.update({"": 2000}), "not text"),
    ],
)
def test_ranks_that_cannot_be_are_refused(change: Any, said: str, tmp_path: Path) -> None:
    table, specials = dict(ranks("gpt2")), dict(SPECIALS)
    change(table, specials)
    path = tmp_path / "x.tiktoken"
    with pytest.raises(TokenizerError, match=said):
        read(rank_file(tmp_path, table, path.name), Hints(pattern="gpt2", special_tokens=specials))


@pytest.mark.parametrize(
    "data", [b"", b"YQ== 0\nYg==", b"YQ== 0\n!!! 1\n", b"YQ== 0\nYQ== 1\n", b"YQ== x\n", b"YQ== 0\n" + b"Y" * 99]
)
def test_what_is_no_rank_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tiktoken").write_bytes(data)
    with pytest.raises(TokenizerError) as caught:
        read(tmp_path / "a.tiktoken", Hints(pattern="gpt2"))
    assert caught.value.where
    assert caught.value.remedies


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 12_000), byte=st.integers(0, 255), cut=st.integers(1, 12_000))
def test_broken_pickles_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, cut: int
) -> None:
    data = bytearray(pickle.dumps(encoding()))
    data[at % len(data)] = byte
    for broken in (bytes(data), bytes(data[: cut % len(data)])):
        path = tmp_path_factory.mktemp("broken") / "tokenizer.pkl"
        path.write_bytes(broken)
        try:
            read(path, Hints())
        except TokenizerError as error:
            assert error.where  # noqa: PT017 - either of two outcomes is right


def test_nothing_in_a_pickle_is_called(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("tiktoken was here",))

    with pytest.raises(TokenizerError):
        read(pickled(tmp_path, Hostile()), Hints())


@pytest.mark.parametrize("mutant", ["pattern", "merges", "merge", "decoder", "count"])
def test_mutants_are_seen(mutant: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, "cl100k_base")
    tree = json.loads(source.product.to_str())
    tree["model"]["ignore_merges"] = False
    split = tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]
    if mutant == "pattern":
        split["Regex"] = translated(PATTERNS["gpt2"])
    elif mutant == "merges":
        tree["model"]["merges"].reverse()
    elif mutant == "merge":
        del tree["model"]["merges"][0]
    elif mutant == "decoder":
        tree["decoder"] = {"type": "Fuse"}
    else:
        split["Regex"] = PATTERNS["cl100k_base"]
    made = Tokenizer.from_str(json.dumps(tree))
    assert list(differences(replace(source, product=made), HARD))
