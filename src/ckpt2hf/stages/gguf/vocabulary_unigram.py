"""SentencePiece's unigram model for llama.cpp's model `t5`.

llama.cpp has SentencePiece's normalization and search. tokenizer.json has them as a chain of the library's normalizers,
the one that `ckpt2hf convert` writes for a SentencePiece model: it is made again here, and has to come out the same.

Source: ggml-org/llama.cpp@0c1e570 src/llama-vocab.cpp (`llm_tokenizer_ugm_session`).
"""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.stages.gguf.vocabulary_table import Draft, parts
from ckpt2hf.tokenizers.sentencepiece_charsmap import table
from ckpt2hf.tokenizers.sentencepiece_pieces import SPACE, Inexpressible, Kind, Pieces
from ckpt2hf.tokenizers.sentencepiece_pieces import unigram as built_unigram
from ckpt2hf.tokenizers.sentencepiece_text import normalizer

if TYPE_CHECKING:
    from ckpt2hf.stages.gguf.vocabulary_source import Source

MODEL = "t5"


def unigram(source: Source) -> Draft:
    """A unigram model. Raises Inexpressible."""
    if source.model.get("byte_fallback"):
        raise Inexpressible(
            "it writes an unknown character as its bytes (byte_fallback), which llama.cpp's unigram model does not"
        )
    if source.specials_in_text or any(not each.special for each in source.added):
        raise Inexpressible("it looks for special tokens in a text, and SentencePiece's models do not")
    unknown = source.model.get("unk_id")
    if unknown is None:
        raise Inexpressible("it has no unknown token, and llama.cpp's unigram model has to have one")
    rows = source.model["vocab"]
    hidden = {each.id: Kind.CONTROL for each in source.added} | {unknown: Kind.UNKNOWN}
    kinds = {number: hidden.get(number, Kind.NORMAL) for number in range(len(rows))}
    scores = {number: float(np.float32(score)) for number, (_, score) in enumerate(rows)}
    pieces = Pieces(tuple((text, scores[number], kinds[number]) for number, (text, _) in enumerate(rows)))
    charsmap, tidy = _normalization(source, pieces)
    notes = ["what is unknown is shown as ⁇ by transformers, and as its token's name or not at all by llama.cpp"]
    if tidy and SPACE not in table(charsmap):
        notes.append(f"a {SPACE} at an edge of a text itself is dropped by transformers, and kept by llama.cpp")
    return Draft(
        model=MODEL,
        texts={number: text for number, (text, _) in enumerate(rows)},
        kinds=kinds,
        scores=scores,
        unknown=unknown,
        harmless=(unknown,),
        add_space_prefix=tidy,
        remove_extra_whitespaces=tidy,
        charsmap=charsmap,
        notes=tuple(notes),
    )


def _normalization(source: Source, pieces: Pieces) -> tuple[bytes, bool]:
    """SentencePiece's table, and whether spaces are tidied: a space before the text, one between words.

    Raises Inexpressible.
    """
    steps = parts(source.table.get("normalizer"), "normalizers")
    encoded = next((step["precompiled_charsmap"] for step in steps if step.get("type") == "Precompiled"), "")
    charsmap = base64.b64decode(encoded)
    built = built_unigram(pieces)
    if not _splits(source, built.pattern):
        raise Inexpressible("its pre-tokenizer is none that SentencePiece's unigram model is written with")
    for tidy in (True, False):
        # With a space before the text and no tidying, llama.cpp puts none before a text of nothing but spaces; without
        # one and with tidying, it puts one before the first word all the same.
        spec = SimpleNamespace(
            remove_extra_whitespaces=tidy,
            add_dummy_prefix=tidy,
            escape_whitespaces=True,
            precompiled_charsmap=charsmap,
        )
        proto = SimpleNamespace(normalizer_spec=spec, trainer_spec=SimpleNamespace(treat_whitespace_as_suffix=False))
        made = normalizer(proto, pieces, built.replaced)
        if parts(_table(made), "normalizers") == steps:
            return charsmap, tidy
    raise Inexpressible(
        "its normalizer is none that llama.cpp has: SentencePiece's own with add_dummy_prefix and "
        "remove_extra_whitespaces, or with neither"
    )


def _splits(source: Source, pattern: str | None) -> bool:
    """Whether the pre-tokenizer cuts unknown characters out by this regex, and does nothing else."""
    from tokenizers import Regex, pre_tokenizers  # noqa: PLC0415 - only for such a tokenizer

    expected = None if pattern is None else _table(pre_tokenizers.Split(Regex(pattern), behavior="isolated"))
    return bool(source.table.get("pre_tokenizer") == expected)


def _table(part: Any) -> Any:  # noqa: ANN401 - a class of the library, and a part of a JSON file
    """A part of a tokenizer as it stands in tokenizer.json."""
    return json.loads(part.__getstate__())
