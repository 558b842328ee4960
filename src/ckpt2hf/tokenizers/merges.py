"""The merges of byte pair encoding where a file has tokens and their order only."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Text = TypeVar("Text", str, bytes)


def merges(order: Mapping[Text, float]) -> list[tuple[Text, Text]]:
    """The two parts that each token is merged from, the first to be merged first.

    tiktoken and SentencePiece merge the neighbours whose joint text comes first in the order, the leftmost of equals.
    What happens within a token's bytes does not depend on what stands around them until something is merged across
    their ends. So a token always comes about from the same two parts, those that merging its own bytes ends with. Other
    ways to cut it in two never meet, and would differ where two of them overlap in a run of spaces.

    A token that merging does not give has none.
    """
    in_order = sorted((token for token in order if len(token) > 1), key=lambda token: order[token])
    return [parts for token in in_order if (parts := _last(token, order))]


def _last(token: Text, order: Mapping[Text, float]) -> tuple[Text, Text] | None:
    """The two parts that are left before a token is whole; None if more are."""
    parts = [token[at : at + 1] for at in range(len(token))]
    joint = [order.get(left + right) for left, right in pairwise(parts)]
    while len(parts) > 2:  # noqa: PLR2004 - the two that are asked for
        best = min((rank for rank in joint if rank is not None), default=None)
        if best is None:
            return None
        at = joint.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        joint[at : at + 1] = []
        for near in (at - 1, at):
            if 0 <= near < len(joint):
                joint[near] = order.get(parts[near] + parts[near + 1])
    return (parts[0], parts[1])
