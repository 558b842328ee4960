"""What tests of vocabularies in GGUF files share: tokenizers trained here, directories with one, files of one."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ckpt2hf.stages.gguf.vocabulary import Vocabulary, vocabulary_of
from ckpt2hf.stages.gguf.vocabulary_parity import tokenizer_checks
from ckpt2hf.tokenizers import fitted, tables
from tokenizing import of, training_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.tokenizers import TokenizerSource
    from ckpt2hf.verify import Check

SPECIALS = ("<|endoftext|>", "<s>", "<pad>")
HARD = (
    "aZb1 2'stTrevd  \n\r\t.!?_-/\u00a0\u2003éəƏıİŞ\u0301\u0327ǅʰ中ก\u0e31٣²½\U0001d7d8🙂"
    "\u200d\u200b\u0085\u2028\x00\u017f\u212aﬁ¨\u1e9b"
)
"""Characters of every kind that a regex, a table or a model may take in its own way."""


def byte_level(*, use_regex: bool = True) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def trained(
    split: Any, size: int = 800, specials: tuple[str, ...] = SPECIALS, *, narrow: bool = False
) -> dict[str, Any]:
    """A byte-level BPE's `tokenizer.json`; a `narrow` one was trained on ASCII and has no other bytes."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = split
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=[] if narrow else pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = [word for line in training_text(20) for word in line.split()]
    # What the names of splits differ in: signs before and after words, lines' ends, capitals, marks, many digits.
    marked = [f"({a}).\n\n{b}'S -{a}\u0301{b}\n  12345{k * 7} {k}\n" for k, (a, b) in enumerate(pairwise(words))]
    texts = [*training_text(100), *marked * 5]
    made.train_from_iterator([text.encode("ascii", "ignore").decode() for text in texts] if narrow else texts, trainer)
    return dict(json.loads(made.to_str()))


def directory(folder: Path, table: Mapping[str, Any], **config: Any) -> Path:
    """A directory with this tokenizer, whose settings name an end unless `config` says something else."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": False,
        "eos_token": "<|endoftext|>",
        **config,
    }
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    known = {key: value for key, value in settings.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(known), encoding="utf-8")
    return folder


def converted(folder: Path, source: TokenizerSource, said: Mapping[str, str | None] | None = None) -> tuple[Path, int]:
    """A directory as `ckpt2hf convert` writes it, and the number of its rows."""
    rows = max(source.vocabulary.values()) + 1
    tokenizer = fitted(source, rows=rows, context=64, said=said or {}, ids={})
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {**tables(tokenizer), "config.json": {"model_type": "gpt2"}}.items():
        (folder / name).write_text(json.dumps(table), encoding="utf-8")
    return folder, rows


def vocabulary(folder: Path, rows: int) -> Vocabulary:
    found = vocabulary_of(folder, rows)
    assert found is not None
    return found


def file_of(found: Vocabulary, path: Path) -> Path:
    """A GGUF file with the vocabulary and nothing else."""
    writer = gguf.GGUFWriter(str(path), "gpt2")
    found.write(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def checks(found: Vocabulary, folder: Path, texts: Mapping[str, str] | None = None) -> dict[str, Check]:
    """What llama.cpp says of it, by the name of the check."""
    file = file_of(found, folder / "vocabulary.gguf")
    return {check.name: check for check in tokenizer_checks(file, folder, texts or {})}


def proved(found: Vocabulary, folder: Path, texts: Mapping[str, str] | None = None) -> None:
    """Fails with what llama.cpp does otherwise."""
    for check in checks(found, folder, texts).values():
        assert check.passed, check.summary


def hard_texts(count: int = 1500, more: tuple[str, ...] = ()) -> dict[str, str]:
    """Random texts, by a name each."""
    return {f"random text {k}": text for k, text in enumerate([*of(HARD, count), *more])}
