"""What SentencePiece does to a text before it looks for pieces, and how it makes a text of pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.tokenizers import sentencepiece_charsmap as charsmap
from ckpt2hf.tokenizers.sentencepiece_pieces import SPACE, Inexpressible, Kind, Pieces

if TYPE_CHECKING:
    from collections.abc import Mapping


_END = "\ufdee"
"""The dummy at the end of a text until all else is done; a noncharacter."""


def normalizer(proto: Any, held: Pieces, replaced: Mapping[str, str]) -> Any:  # noqa: ANN401 - classes of libraries
    """`normalizer_spec`, step by step, and then what the model wants replaced; None if there is nothing to do.

    Raises Inexpressible, and ValueError for a broken table.
    """
    from tokenizers import Regex, normalizers  # noqa: PLC0415 - only for such a file

    spec = proto.normalizer_spec
    symbols = held.texts(Kind.USER_DEFINED)
    tidy = spec.remove_extra_whitespaces
    spaced = next((symbol for symbol in symbols if tidy and ({" ", SPACE} & {*symbol})), None)
    if spaced is not None:
        raise Inexpressible(f"it removes extra spaces, and its user-defined symbol {spaced!r} has one")
    raw = spec.precompiled_charsmap
    mapped = charsmap.steps(raw, symbols) if raw else []
    suffix = proto.trainer_spec.treat_whitespace_as_suffix and spec.add_dummy_prefix
    prefix = [normalizers.Prepend(" ")] if spec.add_dummy_prefix and not suffix else []
    ended = [normalizers.Replace(Regex(r"(?<=[\s\S])\z"), _END)] if suffix else []
    if tidy and suffix:
        # A text of nothing but spaces has no dummy; one of nothing but characters that the table removes has.
        spaces = charsmap.character_class({" ", *(key for key, value in charsmap.table(raw).items() if value == " ")})
        kept = "".join(f"(?!{charsmap.literal(symbol)})" for symbol in symbols)
        ended = [normalizers.Replace(Regex(rf"\A(?:{kept}{spaces})+"), ""), *ended]
    if tidy:
        space = SPACE if spec.escape_whitespaces else " "
        steps = [
            *ended,
            *mapped,
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Replace(Regex(r"\A "), ""),
            normalizers.Replace(Regex(rf"[ {space}]+(?={_END}?\z)"), ""),  # also a mark that the text itself ends with
            *prefix,
        ]
    else:
        # A text of nothing but characters that the table removes still gets its dummy.
        steps = [*prefix, *ended, *mapped]
    if suffix:
        steps.append(normalizers.Replace(_END, " "))
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    steps += [normalizers.Replace(text, by) for text, by in replaced.items()]
    return normalizers.Sequence(steps) if steps else None


def decoder(proto: Any, held: Pieces) -> Any:  # noqa: ANN401 - classes of imported-here libraries
    """How pieces become text: control symbols have none, the unknown one has its surface, bytes are put together."""
    from tokenizers import Regex, decoders  # noqa: PLC0415 - only for such a file

    spec = proto.normalizer_spec
    exact = charsmap.literal
    steps = [
        decoders.Replace(Regex(rf"\A{exact(text)}\z"), proto.trainer_spec.unk_surface)
        for text in held.texts(Kind.UNKNOWN)
    ]
    if controls := held.texts(Kind.CONTROL):
        steps.append(decoders.Replace(Regex(rf"\A(?:{'|'.join(map(exact, controls))})\z"), ""))
    if held.texts(Kind.BYTE):
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if spec.remove_extra_whitespaces:
        steps.append(decoders.Replace(Regex(rf"\A{SPACE}+"), ""))
    elif spec.add_dummy_prefix:
        steps.append(decoders.Replace(Regex(rf"\A{SPACE}"), ""))
    return decoders.Sequence([*steps, decoders.Replace(SPACE, " ")])
