"""What all kinds of tokenizers share: special tokens, the rows that no token has, what begins and ends a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.stages.gguf.vocabulary_table import Draft, Vocabulary
from ckpt2hf.tokenizers.sentencepiece_pieces import Inexpressible, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt2hf.stages.gguf.vocabulary_source import Added, Source

_ENDING = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[e~[",
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
    "<REPO>", "<reponame>", "<|file_sep|>",
}  # fmt: skip
"""Tokens that end a text in llama.cpp because of their names."""
_MARKED = _ENDING | {
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>", "<PRE>", "\u2581<PRE>",
    "<|code_prefix|>", "<|prefix|>", "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>",
    "<SUF>", "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>", "<|fim_middle|>", "<fim-middle>", "<fim_middle>",
    "<\uff5cfim\u2581end\uff5c>", "<MID>", "\u2581<MID>", "<|code_middle|>", "<|middle|>", "<|channel|>",
    "<|message|>", "<|start|>", "<|constrain|>",
}  # fmt: skip
"""Tokens that llama.cpp takes out of a text as a whole because of their names, whatever the file calls them."""
_DEFAULT_END = 11
"""The token that ends a text in llama.cpp where a `gpt2` file does not name one."""


def finished(source: Source, draft: Draft, rows: int) -> Vocabulary:
    """The vocabulary with a token for each row. Raises Inexpressible."""
    beyond = sorted(number for number in draft.texts if not 0 <= number < rows)
    if beyond:
        raise Inexpressible(f"its token {draft.texts[beyond[0]]!r} has the id {beyond[0]}, and the model {rows} rows")
    if draft.model == "gpt2" or source.specials_in_text:
        _require_apart(source.added, found=source.specials_in_text)
    _require_plain(draft)
    tokens, types = _filled(draft, rows)
    specials, notes = _roles(source, draft, rows)
    before, after = source.around
    ends = [tokens[k] for k, kind in enumerate(types) if kind is Kind.CONTROL and tokens[k] in _ENDING]
    others = [token for token in ends if tokens[specials["eos"]] != token]
    if others:
        notes.append(f"llama.cpp also ends a text at {', '.join(others)}, because of the name")
    if not source.specials_in_text and Kind.CONTROL in types:
        name = tokens[types.index(Kind.CONTROL)]
        notes.append(f"{name} in a text is plain text in transformers, and the special token for llama.cpp's programs")
    low = min(draft.scores.values(), default=0.0)
    return Vocabulary(
        model=draft.model,
        pre=draft.pre,
        tokens=tuple(tokens),
        types=tuple(int(kind) for kind in types),
        scores=tuple(draft.scores.get(k, low) for k in range(rows)) if draft.scores else (),
        merges=draft.merges,
        specials=specials,
        add_bos=bool(before),
        add_eos=bool(after),
        add_space_prefix=draft.add_space_prefix,
        remove_extra_whitespaces=draft.remove_extra_whitespaces,
        charsmap=draft.charsmap,
        notes=(*draft.notes, *notes),
    )


def _filled(draft: Draft, rows: int) -> tuple[list[str], list[Kind]]:
    """A token and its kind for each row; llama.cpp takes no two tokens of one name."""
    used = set(draft.texts.values())
    if len(used) < len(draft.texts):
        raise Inexpressible("two of its tokens have one name in llama.cpp")
    tokens, types = [], []
    for number in range(rows):
        text, kind = draft.texts.get(number), draft.kinds.get(number, Kind.UNUSED)
        if text is None:
            # Pieces are found in text by their names, and a space is never in it: it is written as something else.
            text = f"[PAD{number}]" if draft.model == "gpt2" else f"[PAD {number}]"
            while text in used:
                text = f"[{text}]"
            used.add(text)
        tokens.append(text)
        types.append(kind)
    return tokens, types


def _require_plain(draft: Draft) -> None:
    """Raises Inexpressible for an ordinary token that llama.cpp would not leave one, or cannot read."""
    for number, text in draft.texts.items():
        kind = draft.kinds[number]
        if kind in (Kind.NORMAL, Kind.UNUSED, Kind.BYTE) and text in _MARKED:
            raise Inexpressible(
                f"its token {text!r} is an ordinary one, and llama.cpp makes a special one of that name"
            )
        if "\0" in text or not text:
            raise Inexpressible(f"its token {text!r} cannot be read from a GGUF file: a text ends at a zero byte there")


def _require_apart(added: Iterable[Added], *, found: bool) -> None:
    """Raises Inexpressible for added tokens that llama.cpp finds elsewhere in a text than the tokenizers library.

    The library takes the one that begins first, llama.cpp the longest one first: where two overlap, they differ.
    """
    looked_for = [each for each in added if found or not each.special]
    strips = next((each for each in looked_for if each.strips), None)
    if strips is not None:
        raise Inexpressible(
            f"its token {strips.content!r} takes white space beside it, or is found as a whole word only "
            "(lstrip, rstrip, single_word), which no GGUF file can say"
        )
    heads: dict[str, str] = {}
    for each in looked_for:
        heads.update({each.content[:end]: each.content for end in range(1, len(each.content))})
    for each in looked_for:
        for start in range(1, len(each.content)):
            other = heads.get(each.content[start:])
            if other is not None and other != each.content:
                raise Inexpressible(f"its tokens {each.content!r} and {other!r} can overlap in a text")


def _roles(source: Source, draft: Draft, rows: int) -> tuple[dict[str, int], list[str]]:
    """The ids by role, and what to say of them. Raises Inexpressible."""
    notes = []
    found = {role: source.ids[token] for role, token in source.roles.items()}
    for role, side in zip(("bos", "eos"), source.around, strict=True):
        if len(side) > 1 or (side and found.get(role, side[0]) != side[0]):
            raise Inexpressible(f"it puts the ids {list(side)} beside a text, and llama.cpp one, its {role} token")
        if side:
            found[role] = side[0]
    if draft.unknown is not None:
        found["unk"] = draft.unknown
    if "eos" not in found:
        number = next(_ends(draft, rows))
        found["eos"] = number
        text = draft.texts.get(number)
        what = "a row that no token has" if text is None else f"the token {text!r}"
        notes.append(
            f"no token ends a text, and llama.cpp has to have one: it is {what} (id {number}); --eos-token "
            "names another when a checkpoint is converted"
        )
    # Not used as long as nothing is put before a text, and id 11 if it is not said.
    found.setdefault("bos", found["eos"])
    return {role: found[role] for role in ("bos", "eos", "unk", "pad") if role in found}, notes


def _ends(draft: Draft, rows: int) -> Iterator[int]:
    """Tokens that may end a text where none is named for that, the most harmless first."""
    yield from (number for number in range(rows - 1, -1, -1) if number not in draft.texts)
    yield from (number for number in draft.texts if draft.kinds[number] is Kind.UNUSED)
    yield from draft.harmless
    yield min(_DEFAULT_END, rows - 1)
