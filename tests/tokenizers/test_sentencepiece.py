"""SentencePiece models, trained here by SentencePiece itself."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer, sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import Hints, TokenizerSource, in_folder, read
from ckpt2hf.tokenizers.sentencepiece_charsmap import steps, table
from tokenizing import decoded, differences, failures, ids, of, sequences, training_text, write
from transformers_js import misread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LETTERS = "abc ▁<s>sep\n\t\u0301\u0307\u0323ẛAİıé한ᄒ\u1161가\u11a8\x01\x7f~\uff5eﬁ½\u00a8⁇1 7  the\u0345Ω\u0130I"
HARD = (
    *(
        "<s>",
        "</s>",
        "<unk>",
        "▁",
        "▁▁ ",
        "  ▁ a ▁",
        "<sep>",
        "<sep> x",
        "x <sep> y",
        "<sep><s><sep>",
        "<sep><0x41><sep>",
    ),
    *("<sep>\u0338", "\n", "a\nb\n\nc", "the<SEP>the<sep>", "[CLS]", "[[CLS]]", "^^^", "<pad>x<pad>"),
)
LLAMA2C: dict[str, Any] = {
    "model_type": "bpe",
    "character_coverage": 1.0,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "unk_surface": r" \342\201\207 ",
    "normalization_rule_name": "identity",
}
"""The options of karpathy/llama2.c@350e04f tinystories.py `train_vocab`."""
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "identity": {"normalization_rule_name": "identity"},
    "nfkc": {"normalization_rule_name": "nfkc"},
    "nfkc_cf": {"normalization_rule_name": "nfkc_cf"},
    "nmt_nfkc_cf": {"normalization_rule_name": "nmt_nfkc_cf", "remove_extra_whitespaces": False},
    "no dummy prefix": {"add_dummy_prefix": False},
    "spaces kept": {"remove_extra_whitespaces": False},
    "nothing": {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": False},
    "suffix": {"treat_whitespace_as_suffix": True, "normalization_rule_name": "nfkc"},
    "suffix, spaces kept": {"treat_whitespace_as_suffix": True, "remove_extra_whitespaces": False},
    "user-defined": {"user_defined_symbols": ["<sep>", "<|im_start|>", "\n", "İ"]},
    "user-defined, case-folded": {
        "user_defined_symbols": ["<SEP>", "the", "ab"],
        "byte_fallback": True,
        "normalization_rule_name": "nfkc_cf",
    },
    "controls": {"control_symbols": ["<pad>x", "[CLS]", "<|bos|>", "^^"], "pad_id": 3, "character_coverage": 0.98},
    "controls, user-defined": {
        "control_symbols": ["[CLS]", "^^"],
        "user_defined_symbols": ["<sep>"],
        "character_coverage": 0.98,
    },
    "without bos and eos": {"bos_id": -1, "eos_id": -1, "byte_fallback": True, "user_defined_symbols": ["##"]},
    "across words": {"split_by_whitespace": False, "split_by_unicode_script": False, "split_by_number": False},
    "bytes": {**LLAMA2C, "remove_extra_whitespaces": False},
}


@cache
def trained(model_type: str, options: str, **more: Any) -> bytes:
    out = io.BytesIO()
    chosen = {"vocab_size": 600, **OPTIONS[options], **more, "model_type": model_type}
    SentencePieceTrainer.train(
        sentence_iterator=iter(training_text()),
        model_writer=out,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **chosen,
    )
    return out.getvalue()


def source_of(folder: Path, data: bytes) -> TokenizerSource:
    path = folder / "tokenizer.model"
    path.write_bytes(data)
    return read(path, Hints())


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("model_type", ["unigram", "bpe", "char"])
def test_ids_and_text_are_those_of_sentencepiece(model_type: str, options: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, trained(model_type, options))
    assert not list(differences(source, (*HARD, *of(LETTERS))))


@pytest.mark.parametrize("options", ["defaults", "nothing", "controls", "user-defined", "suffix"])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_any_ids_become_the_text_that_sentencepiece_makes(model_type: str, options: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, trained(model_type, options))
    for numbers in sequences(source):
        assert decoded(source.product, numbers) == source.original.decode(numbers)


def test_bytes_that_are_no_text_differ_in_nothing_but_replacement_characters(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("bpe", "bytes"))
    broken = 0
    for numbers in sequences(source, 400):
        expected = source.original.decode(numbers)
        broken += "\ufffd" in expected
        assert "\ufffd" in expected or decoded(source.product, numbers) == expected
    assert broken


MARKS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
TEXT = st.text(st.characters(exclude_characters=MARKS, exclude_categories=("Cs",)), max_size=40)
"""Without the noncharacters that mark cuts."""


@pytest.mark.parametrize("options", ["defaults", "nfkc_cf", "bytes", "user-defined"])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_any_text(model_type: str, options: str, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    source = _read_once(model_type, options, tmp_path_factory)
    assert ids(source.product, text) == source.original.encode(text)


_READ: dict[tuple[str, str], TokenizerSource] = {}


def _read_once(model_type: str, options: str, factory: pytest.TempPathFactory) -> TokenizerSource:
    if (model_type, options) not in _READ:
        _READ[model_type, options] = source_of(factory.mktemp("model"), trained(model_type, options))
    return _READ[model_type, options]


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc_cf"])
def test_characters_and_keys_are_normalized_as_by_sentencepiece(rule: str) -> None:
    from sentencepiece import SentencePieceNormalizer  # noqa: PLC0415

    raw = _charsmap(trained("char", "identity", normalization_rule_name=rule))
    proto = sentencepiece_model_pb2.ModelProto()
    proto.normalizer_spec.precompiled_charsmap = raw
    proto.normalizer_spec.add_dummy_prefix = False
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = False
    theirs = SentencePieceNormalizer(model_proto=proto.SerializeToString())
    ours = normalizers.Sequence(steps(raw, ()))
    known = table(raw)
    characters = [
        chr(n)
        for n in range(1, sys.maxunicode + 1)
        if not 0xD800 <= n <= 0xDFFF and chr(n) not in MARKS and (chr(n) in known or n < 0x3000 or n % 256 == 1)
    ]
    keys = [key for key in known if len(key) > 1]
    # A letter between them that nothing is composed with; one text for many, because each call costs.
    for texts in (characters, keys[::61], [key + "\u0323\u0301" for key in keys[::197]]):
        for start in range(0, len(texts), 5000):
            text = "q".join(texts[start : start + 5000])
            if ours.normalize_str(text) != theirs.normalize(text):
                wrong = [t for t in texts[start : start + 5000] if ours.normalize_str(t) != theirs.normalize(t)]
                pytest.fail(f"{list(map(ascii, wrong[:10]))}")


def _charsmap(data: bytes) -> bytes:
    raw: bytes = sentencepiece_model_pb2.ModelProto.FromString(data).normalizer_spec.precompiled_charsmap
    return raw


def test_roles_come_from_the_ids_of_the_model(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("bpe", "controls"))
    assert source.named == {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}
    assert source.special == ("<s>", "</s>", "<pad>", "<pad>x", "[CLS]", "<|bos|>", "^^")
    assert "bos" not in source_of(tmp_path, trained("bpe", "without bos and eos")).named


def everything(tmp_path: Path) -> list[Path]:
    folders = []
    for number, (model_type, options) in enumerate(
        [
            *(("unigram", name) for name in ("defaults", "nfkc_cf", "user-defined", "suffix", "controls")),
            *(("bpe", name) for name in ("bytes", "defaults", "user-defined", "nothing")),
            ("char", "spaces kept"),
        ]
    ):
        source = source_of(tmp_path, trained(model_type, options))
        folder = tmp_path / f"{model_type} {options}"
        write(source, folder, "llama" if number % 2 else "gpt2")
        folders.append(folder)
    return folders


def test_transformers_loads_what_was_read(tmp_path: Path) -> None:
    assert failures(sys.executable, everything(tmp_path)) == []


@pytest.mark.transformers5
def test_transformers_5_loads_what_was_read(tmp_path: Path, python_5x: Path) -> None:
    assert failures(python_5x, everything(tmp_path)) == []


@pytest.mark.node
def test_transformers_js_reads_what_was_written_but_for_names_of_special_tokens(tmp_path: Path) -> None:
    for options, wrong in (("bytes", {"other spaces"}), ("nothing", set())):
        folder = tmp_path / options
        write(source_of(tmp_path, trained("bpe", options)), folder, "llama")
        # It does not know split_special_tokens, and loses U+FEFF where it puts bytes together.
        assert misread(folder) == {"special tokens in text"} | wrong


@pytest.mark.node
def test_transformers_js_does_not_load_a_table_of_normalization(tmp_path: Path) -> None:
    write(source_of(tmp_path, trained("unigram", "defaults")), tmp_path / "nfkc", "llama")
    with pytest.raises(RuntimeError, match="Invalid regular expression"):  # JavaScript has no \\K
        misread(tmp_path / "nfkc")


def test_one_model_in_two_files_is_one_and_two_models_are_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("bpe", "bytes"))
    (tmp_path / "tok.model").write_bytes(trained("bpe", "bytes"))
    found = in_folder(tmp_path, Hints())
    assert found is not None
    assert found.files == (tmp_path / "tok.model",)
    assert found.vocabulary == source.vocabulary
    (tmp_path / "tok.model").write_bytes(trained("unigram", "defaults"))
    with pytest.raises(TokenizerError, match="not the same"):
        in_folder(tmp_path, Hints())


def _unfit(proto: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(proto.pieces[300], name, value)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "word": lambda proto: setattr(proto.trainer_spec, "model_type", proto.trainer_spec.WORD),
    "unused": lambda proto: _unfit(proto, type=5),
    "open alphabet": lambda proto: _unfit(proto, piece="qqq☃"),
    "twice": lambda proto: _unfit(proto, piece=proto.pieces[301].piece),
    "not finite": lambda proto: _unfit(proto, score=float("nan")),
    "no unknown": lambda proto: setattr(proto.pieces[0], "type", 1),
    "denormalizer": lambda proto: setattr(proto.denormalizer_spec, "precompiled_charsmap", b"\x04\x00\x00\x00abcd"),
    "charsmap cut off": lambda proto: setattr(
        proto.normalizer_spec, "precompiled_charsmap", _charsmap(trained("bpe", "defaults"))[:999]
    ),
    "charsmap outside": lambda proto: setattr(
        proto.normalizer_spec, "precompiled_charsmap", b"\x04\x00\x00\x00\xff\xff\xff\xff\x00"
    ),
    "spaced symbol": lambda proto: (
        setattr(proto.normalizer_spec, "remove_extra_whitespaces", True),
        _unfit(proto, piece="▁x▁y", type=4),
    ),
}
"""What SentencePiece or the tokenizers library cannot have in a model."""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("word", "whole words"),
        ("unused", "unused piece"),
        ("open alphabet", "'☃' of the piece 'qqq☃' is no piece itself"),
        ("denormalizer", "denormalizer_spec"),
        ("charsmap cut off", "cut off"),
        ("charsmap outside", "points outside itself"),
        ("no unknown", "unknown symbol"),
        ("twice", "there twice"),
        ("not finite", "no number"),
        ("spaced symbol", "its user-defined symbol '▁x▁y' has one"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change: str, said: str, tmp_path: Path) -> None:
    proto = sentencepiece_model_pb2.ModelProto.FromString(trained("bpe", "bytes"))
    CHANGES[change](proto)
    with pytest.raises(TokenizerError, match=said) as caught:
        source_of(tmp_path, proto.SerializeToString())
    assert caught.value.where == str(tmp_path / "tokenizer.model")
    assert caught.value.tried
    assert caught.value.remedies


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\x00", b"\n\xff\xff", b"base64 1\n", b"\n\x05\n\x03abc", b"\n" * 50])
def test_what_is_no_model_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError):
        source_of(tmp_path, data)


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(1, 250_000), at=st.integers(0, 250_000), byte=st.integers(0, 255))
def test_broken_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, byte: int
) -> None:
    data = bytearray(trained("bpe", "bytes"))
    data[at % len(data)] = byte
    for broken in (bytes(data), bytes(data[: cut % len(data)])):
        try:
            source_of(tmp_path_factory.mktemp("broken"), broken)
        except TokenizerError as error:
            assert error.where  # noqa: PT017 - either of two outcomes is right


def without(product: Any, step: str) -> Any:
    """The tokenizer without the steps of its normalization that have this in their JSON."""
    tree = json.loads(product.to_str())
    kept = [part for part in tree["normalizer"]["normalizers"] if step not in json.dumps(part, ensure_ascii=False)]
    assert len(kept) < len(tree["normalizer"]["normalizers"])
    tree["normalizer"]["normalizers"] = kept
    made = Tokenizer.from_str(json.dumps(tree))
    made.encode_special_tokens = True
    return made


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ("defaults", "Prepend"),
        ("defaults", "Precompiled"),
        ("defaults", '"NFC"'),
        ("defaults", "{2,}"),
        ("defaults", "[ ▁]+"),
        ("defaults", r"\\K"),
        ("suffix", "(?<=["),
    ],
)
def test_a_forgotten_step_is_seen(options: str, step: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("unigram", options))
    mutant = replace(source, product=without(source.product, step))
    assert list(differences(mutant, HARD))


def test_the_table_as_the_library_reads_it_is_seen(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("unigram", "defaults"))
    source.product.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(_charsmap(trained("unigram", "defaults"))),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
            normalizers.Prepend("▁"),
            normalizers.Replace(" ", "▁"),
        ]
    )
    assert list(differences(source))


def test_special_tokens_in_text_are_seen(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("bpe", "bytes"))
    source.product.encode_special_tokens = False
    assert any("<s>" in line for line in differences(source))


def test_a_forgotten_cut_is_seen(tmp_path: Path) -> None:
    source = source_of(tmp_path, trained("bpe", "user-defined"))
    source.product.pre_tokenizer = pre_tokenizers.Sequence([])
    assert list(differences(source, HARD))
