"""SentencePiece in GGUF files: llama.cpp gives the ids of transformers, which are SentencePiece's, or it is refused."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt2hf.errors import TokenizerError
from ckpt2hf.stages.gguf.vocabulary import NONE, vocabulary_of
from ckpt2hf.stages.gguf.vocabulary_parity import LlamaVocabulary
from ckpt2hf.tokenizers import Hints, read
from ckpt2hf.tokenizers.sentencepiece_pieces import SPACE, Kind
from gguf_vocabularies import HARD, checks, converted, directory, file_of, hard_texts, proved, vocabulary
from tokenizing import of, training_text

PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
BPE = {"model_type": "bpe", "byte_fallback": True, **PLAIN}
UNIGRAM = {"model_type": "unigram", "vocab_size": 600}


@cache
def _model(settings: str) -> Path:
    folder = Path(mkdtemp())
    text = folder / "text.txt"
    text.write_text("\n".join(training_text(150)), encoding="utf-8")
    given = {"vocab_size": 900, "num_threads": 1, "minloglevel": 2, **json.loads(settings)}
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / "m"), **given)
    return folder / "m.model"


def model(**settings: Any) -> tuple[Path, int]:
    """A directory with a SentencePiece model that is trained so, and its rows."""
    return converted(Path(mkdtemp()), read(_model(json.dumps(settings)), Hints()))


MERGED = {
    "as Llama's": BPE,
    "without prefix": {**BPE, "add_dummy_prefix": False},
    "characters": {**BPE, "model_type": "char", "vocab_size": 500},
    "split digits": {**BPE, "split_digits": True, "allow_whitespace_only_pieces": True},
}
UNIGRAMS = {
    "as it is by default": UNIGRAM,
    "small letters": {**UNIGRAM, "normalization_rule_name": "nmt_nfkc_cf"},
    "unchanged text": {**UNIGRAM, "normalization_rule_name": "identity"},
    "all spaces": {**UNIGRAM, "remove_extra_whitespaces": False, "add_dummy_prefix": False},
    "an unknown control symbol": {**UNIGRAM, "control_symbols": ["[ə中]"]},
}


@pytest.mark.parametrize("about", MERGED)
def test_merged_pieces(about: str) -> None:
    folder, rows = model(**MERGED[about])
    found = vocabulary(folder, rows + 5)
    assert (found.model, found.pre, found.merges, found.charsmap) == ("llama", "default", (), b"")
    assert found.add_space_prefix is (about != "without prefix")
    assert found.specials == {"bos": 1, "eos": 2, "unk": 0}
    assert found.types[-1] == int(Kind.UNUSED)
    proved(
        found, folder, hard_texts(more=(SPACE, f"a{SPACE}", f"{SPACE}{SPACE} b", "[PAD900] [PAD 900]", "  ", "<0x41>"))
    )


@pytest.mark.parametrize("about", UNIGRAMS)
def test_the_most_likely_pieces(about: str) -> None:
    folder, rows = model(**UNIGRAMS[about])
    found = vocabulary(folder, rows + 5)
    assert (found.model, found.pre, found.merges) == ("t5", "default", ())
    assert bool(found.charsmap) is (about != "unchanged text")
    assert found.specials == {"bos": 1, "eos": 2, "unk": 0}
    proved(found, folder, hard_texts(more=(f"a {SPACE} b", "[PAD600] [PAD 600]", "  ", "<s>a</s><unk>")))


def test_a_text_may_have_the_mark_of_a_space_at_its_edges() -> None:
    edges = {"before": f"{SPACE}a", "after": f"a{SPACE}"}
    folder, rows = model(**UNIGRAM)
    found = vocabulary(folder, rows)
    proved(found, folder, edges)  # the table makes a space of it
    assert not any("at an edge" in note for note in found.notes)
    folder, rows = model(**UNIGRAMS["unchanged text"])
    found = vocabulary(folder, rows)
    assert any("at an edge" in note for note in found.notes)
    seen = checks(found, folder, edges)
    assert (seen["gguf tokenizer encodes"].numbers["first"], seen["gguf tokenizer decodes"].numbers["first"]) == (
        "after",
        "before",
    )


REFUSED = {
    "spaces are tidied": ({**BPE, "remove_extra_whitespaces": True}, "its normalizer Replace changes a text"),
    "text is normalized": ({**BPE, "normalization_rule_name": "nmt_nfkc"}, r"its normalizer .* changes a text"),
    "unknown characters": ({**BPE, "byte_fallback": False}, "no byte_fallback"),
    "symbols": ({**BPE, "user_defined_symbols": ["<sep>"]}, "user-defined symbols"),
    "suffix": ({**BPE, "treat_whitespace_as_suffix": True}, "its normalizer Replace changes a text"),
    "unigram, bytes": ({**UNIGRAM, "byte_fallback": True, "vocab_size": 900}, "as its bytes"),
    "unigram, all spaces and a prefix": ({**UNIGRAM, "remove_extra_whitespaces": False}, "or with neither"),
    "unigram, tidied without prefix": ({**UNIGRAM, "add_dummy_prefix": False}, "or with neither"),
    "unigram, symbols": ({**UNIGRAM, "user_defined_symbols": ["<sep>"]}, "its normalizer is none"),
    "unigram, suffix": ({**UNIGRAM, "treat_whitespace_as_suffix": True}, "its normalizer is none"),
}


@pytest.mark.parametrize("about", REFUSED)
def test_what_llama_cpp_does_otherwise_is_refused(about: str) -> None:
    how, why = REFUSED[about]
    folder, rows = model(**how)
    with pytest.raises(TokenizerError, match=why) as caught:
        vocabulary_of(folder, rows)
    assert caught.value.remedies[0] == NONE
    assert "SentencePiece" in caught.value.remedies[1]


def _llama(tmp_path: Path, **parts: Any) -> Path:
    """A directory as the tokenizers library has Llama 2: special tokens are looked for in a text."""
    folder, _ = model(**BPE)
    table = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    more = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    names = ("<unk>", "<s>", "</s>")
    table["added_tokens"] = [{"id": k, "content": name, "special": True, **more} for k, name in enumerate(names)]
    table["added_tokens"].append({"id": 900, "content": "<user>", "special": False, **more})
    table["normalizer"]["normalizers"][0]["prepend"] = SPACE
    table["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return directory(tmp_path, {**table, "post_processor": template, **parts}, **roles)


def test_special_tokens_in_a_text(tmp_path: Path) -> None:
    folder = _llama(tmp_path)
    found = vocabulary(folder, 901)
    assert (found.add_bos, found.add_eos, found.add_space_prefix) == (True, False, True)
    assert [Kind(found.types[k]) for k in (0, 1, 2, 900)] == [
        Kind.UNKNOWN,
        Kind.CONTROL,
        Kind.CONTROL,
        Kind.USER_DEFINED,
    ]
    proved(found, folder, {"in a text": "one<s> two </s>three<unk> <user>four  <user> <s>", **hard_texts(300)})
    for number in (0, 1, 900):
        types = tuple(int(Kind.NORMAL) if k == number else kind for k, kind in enumerate(found.types))
        assert not checks(dataclasses.replace(found, types=types), folder)["gguf tokenizer encodes"].passed


METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "never", "split": True}
CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "a space where there is none": (
        {"normalizer": None, "pre_tokenizer": {**METASPACE, "prepend_scheme": "always"}},
        "puts a space before a text that does not begin with one",
    ),
    "no spaces": ({"normalizer": None}, "does not write spaces as ▁"),
    "words": ({"pre_tokenizer": {"type": "WhitespaceSplit"}}, "its pre-tokenizer is WhitespaceSplit"),
}


def test_a_token_that_is_looked_for_in_the_changed_text_is_refused(tmp_path: Path) -> None:
    folder = _llama(tmp_path)
    table = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    table["added_tokens"][-1]["normalized"] = True
    (folder / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(TokenizerError, match="'<user>' is looked for in the changed text"):
        vocabulary_of(folder, 901)


@pytest.mark.parametrize("about", CHANGED)
def test_other_ways_to_mark_spaces_are_refused(about: str, tmp_path: Path) -> None:
    parts, why = CHANGED[about]
    with pytest.raises(TokenizerError, match=why):
        vocabulary_of(_llama(tmp_path, **parts), 901)


def test_metaspace_that_adds_none(tmp_path: Path) -> None:
    decoder = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {**METASPACE}]}
    decoder["decoders"] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    folder = _llama(tmp_path, normalizer=None, pre_tokenizer=METASPACE, decoder=decoder)
    found = vocabulary(folder, 901)
    assert not found.add_space_prefix
    proved(found, folder, hard_texts(500))


def test_merges_that_scores_cannot_say_are_refused(tmp_path: Path) -> None:
    folder = _llama(tmp_path)
    table = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    merges, vocab = table["model"]["merges"], table["model"]["vocab"]
    longer = next(pair for pair in merges if len(pair[0]) > 1 and pair[0][1:] + pair[1] not in vocab)
    kept = [*merges]
    vocab[longer[0][1:] + longer[1]] = 901
    merges.append([longer[0][1:], longer[1]] if longer[0][1:] in vocab else [longer[0][1:2], longer[1]])
    merges[-1] = [longer[0][0], longer[0][1:] + longer[1]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(TokenizerError, match="is not the only one, or not the one that merging by scores comes to"):
        vocabulary_of(folder, 902)
    table["model"]["merges"] = kept
    vocab["<0x4"] = 901  # and ">" is a character: no merge joins them
    vocab["4<0x41>"] = 902
    (tmp_path / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(TokenizerError, match="could put it together"):
        vocabulary_of(folder, 903)


@pytest.mark.parametrize("how", [BPE, UNIGRAM])
def test_wrong_scores_kinds_and_settings_are_found_out(how: dict[str, Any]) -> None:
    folder, rows = model(**how)
    found = vocabulary(folder, rows)
    turned = dataclasses.replace(found, scores=tuple(-score for score in found.scores))
    prefix = dataclasses.replace(found, add_space_prefix=not found.add_space_prefix)
    tidy = dataclasses.replace(found, remove_extra_whitespaces=not found.remove_extra_whitespaces)
    table = dataclasses.replace(found, charsmap=b"")
    for mutant in (turned, *([tidy, table, prefix] if found.model == "t5" else [prefix])):
        assert not all(check.passed for check in checks(mutant, folder).values())
    wrong = {"llama": (Kind.BYTE, Kind.NORMAL), "t5": (Kind.NORMAL, Kind.CONTROL)}[found.model]
    types = tuple(int(wrong[1]) if kind == wrong[0] else kind for kind in found.types)
    assert not all(check.passed for check in checks(dataclasses.replace(found, types=types), folder).values())


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from(HARD)), max_size=50))
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_any_text(kind: str, text: str) -> None:
    if kind not in _LOADED:
        how = BPE if kind == "llama" else UNIGRAM
        folder, rows = model(**how)
        file = file_of(vocabulary(folder, rows), folder / "vocabulary.gguf")
        original = sentencepiece.SentencePieceProcessor(model_file=str(_model(json.dumps(how))))
        _LOADED[kind] = (LlamaVocabulary(file), original)
    llama, original = _LOADED[kind]
    assert llama.encode(text, around=True, special=False) == original.encode(text)


_LOADED: dict[str, tuple[LlamaVocabulary, Any]] = {}


def test_random_texts_are_encoded_as_sentencepiece_does() -> None:
    folder, rows = model(**UNIGRAM)
    llama = LlamaVocabulary(file_of(vocabulary(folder, rows), folder / "vocabulary.gguf"))
    original = sentencepiece.SentencePieceProcessor(model_file=str(_model(json.dumps(UNIGRAM))))
    for text in of(HARD, 3000):
        assert llama.encode(text, around=False, special=False) == original.encode(text), repr(text)
    llama.close()
