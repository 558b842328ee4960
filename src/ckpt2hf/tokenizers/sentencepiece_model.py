"""SentencePiece's `.model`: unigram, BPE and characters, taken from the protobuf.

The converters of transformers are not followed. They are not exact about the normalization
(`sentencepiece_charsmap.py` says why), take the text `</s>` for the control symbol, put a dummy prefix behind a
user-defined symbol, and give characters that stand alone other ids than SentencePiece where white space is kept.

One thing stays different: where byte tokens together are no text, SentencePiece shows each byte that is wrong as a
replacement character, and the library shows all of them so. No text has such ids.

Source: google/sentencepiece@827591a src/normalizer.cc (`Normalize`), @f5c7363 src/unigram_model.cc (`EncodeOptimized`),
@362d1c2 src/bpe_model.cc (`SampleEncode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import sentencepiece_pieces as pieces
from ckpt2hf.tokenizers import sentencepiece_text as around
from ckpt2hf.tokenizers.data import read_bytes
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.sentencepiece_pieces import Built, Inexpressible, Kind, Pieces
from ckpt2hf.tokenizers.source import ROLES, TokenizerSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SentencePieceOriginal:
    """SentencePiece itself, on the file's bytes."""

    processor: Any

    @property
    def library(self) -> str:
        """Name and version."""
        return f"sentencepiece {version('sentencepiece')}"

    def encode(self, text: str) -> list[int]:
        """What `encode(text)` gives: neither `<s>` nor `</s>` is put around it."""
        ids: list[int] = self.processor.encode(text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """What `decode(ids)` gives. Control symbols have no text."""
        text: str = self.processor.decode(list(ids))
        return text


def fits(path: Path, head: bytes) -> bool:
    """Whether it is a protobuf whose first field is a piece. Llama 3's file of the same name is text."""
    return path.suffix == ".model" and head[:1] == b"\n"


def read(path: Path, _hints: Hints) -> TokenizerSource:
    """The tokenizer in a `.model`. Raises TokenizerError, NotFoundError."""
    data = read_bytes(path)
    try:
        proto = _parsed(data)
        kind, build = _kind(proto)
        held = Pieces.of(proto)
        # The parts are built first: they look at what SentencePiece trusts.
        product = _product(proto, held, build)
        processor = _loaded(data)
    except Inexpressible as error:
        raise TokenizerError(
            f"{path.name} cannot be expressed exactly: {error}",
            where=str(path),
            tried="SentencePiece model",
            remedies=["--tokenizer none   (the directory is made without)"],
        ) from error
    except ValueError as error:
        raise TokenizerError(
            f"{path.name} is no SentencePiece model: {error}",
            where=str(path),
            tried="SentencePiece model",
            remedies=["copy the file again, whole", "--tokenizer none   (the directory is made without)"],
        ) from error
    ids = {role: getattr(processor, f"{role}_id")() for role in ROLES}
    return TokenizerSource(
        format=f"SentencePiece {kind}",
        files=(path,),
        original=SentencePieceOriginal(processor),
        product=product,
        named={role: processor.id_to_piece(number) for role, number in ids.items() if number >= 0},
        specials_in_text=False,
    )


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - a class that protobuf makes
    """The message in a file. Raises ValueError."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only for such a file
    from sentencepiece import sentencepiece_model_pb2  # noqa: PLC0415

    model: Any = sentencepiece_model_pb2.ModelProto  # type: ignore[attr-defined]  # made when it is imported
    try:
        proto = model.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not proto.pieces:
        raise ValueError("it has no pieces")
    if not isinstance(proto.trainer_spec.unk_surface, str):
        raise ValueError("its text for what is unknown is not in UTF-8")  # noqa: TRY004 - of the file, not of a caller
    return proto


def _loaded(data: bytes) -> Any:  # noqa: ANN401 - a class of a library that is imported here only
    """SentencePiece on the bytes. Raises ValueError."""
    from sentencepiece import SentencePieceProcessor  # noqa: PLC0415 - only for such a file

    try:
        return SentencePieceProcessor(model_proto=data)
    except Exception as error:  # it raises RuntimeError, and others for what is no model at all
        raise ValueError(str(error)) from error


def _kind(proto: Any) -> tuple[str, Callable[[Pieces], Built]]:  # noqa: ANN401
    """The kind of model in words, and what builds it. Raises Inexpressible."""
    spec = proto.trainer_spec
    kinds: Mapping[int, tuple[str, Callable[[Pieces], Built]]] = {
        spec.UNIGRAM: ("unigram", pieces.unigram),
        spec.BPE: ("BPE", pieces.bpe),
        spec.CHAR: ("characters", pieces.characters),
    }
    if spec.model_type not in kinds:
        raise Inexpressible(
            "it is of whole words, and the tokenizers library does not join unknown words as SentencePiece does"
        )
    if proto.denormalizer_spec.precompiled_charsmap:
        raise Inexpressible("it changes decoded text by a table of its own (denormalizer_spec)")
    return kinds[spec.model_type]


def _product(proto: Any, held: Pieces, build: Callable[[Pieces], Built]) -> Any:  # noqa: ANN401
    from tokenizers import AddedToken, Regex, Tokenizer, pre_tokenizers  # noqa: PLC0415 - only for such a file

    built = build(held)
    made = Tokenizer(built.model)
    if (normalizer := around.normalizer(proto, held, built.replaced)) is not None:
        made.normalizer = normalizer
    if built.pattern is not None:
        made.pre_tokenizer = pre_tokenizers.Split(Regex(built.pattern), behavior="isolated")
    made.decoder = around.decoder(proto, held)
    made.add_special_tokens([AddedToken(text, normalized=False) for text in held.texts(Kind.CONTROL)])
    # In text they are ordinary characters. The library does not save this; transformers' split_special_tokens sets it.
    made.encode_special_tokens = True
    return made


FORMAT = Format(
    id="sentencepiece",
    title="SentencePiece model (*.model)",
    beside=("tokenizer.model", "*.model"),
    packages=("sentencepiece", "google.protobuf", "tokenizers"),
    fits=fits,
    read=read,
)
