"""From what is likely to what is written: each tensor in its place, or as a question with the places it could have."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.blocks import fitting
from ckpt2hf.dialects.draft.parts import SURE, Choice, Kind, Place
from ckpt2hf.dialects.draft.views import FUSED, View, bias_ops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.modules import Part

_MOST_SURE = 0.99
_LIKE = 0.6
"""Likeness of a name from which on it is given as a reason."""
_SHOWN = 0.01
"""Likelihood from which on a place is offered."""
_USUAL, _RARE = 0.8, 0.1
"""Confidence in the usual order of q, k and v in one matrix, and in each of two others."""
_ATTENTION = frozenset({"q", "k", "v", "out", "q_norm", "k_norm"})
_MLP = frozenset({"up", "down", "gate"})
_PAIR = frozenset({"gate", "up"})
_BARE = frozenset({"embed", "positions", "head", "final_norm"})
_INTERLEAVED = '{ deal = ["head_dim", "head_dim", "head_dim"], rounds = "heads" }'

WHICH = "which part of the model is it?"
TURNED = "is it stored [out, in], as nn.Linear does, or [in, out], as in x @ W?"
SOME = "only some layers have it, or not all have one shape"
AS_MATRIX = "whose bias is it, and in which order? As answered for its matrix"
ORDER = "in which order does it hold its parts? See how your code splits it"


def slot(role: str, leaf: str, variables: str = "i") -> str:
    """The slot of a part of a model: `layers.{i}.attn.q.weight`."""
    if role in _BARE:
        return f"{role}.{leaf}"
    if role in _ATTENTION:
        return f"layers.{{i}}.attn.{role}.{leaf}"
    if role in _MLP:
        return f"layers.{{i}}.{'experts.{e}' if 'e' in variables else 'mlp'}.{role}.{leaf}"
    return f"layers.{{i}}.{role}.{leaf}"


@dataclass(frozen=True, slots=True)
class Placing:
    """What is the same for all tensors of a checkpoint."""

    words: Lexicon
    inner: int
    wide: int
    told_apart: bool
    """Whether a name says which matrix of an MLP is the gate; numbers such as w1 and w3 only hint at it."""

    def matrix(self, part: Part, shares: Mapping[tuple[str, View], float]) -> list[Place]:
        """A matrix of a block and its bias."""
        by_role: dict[str, float] = defaultdict(float)
        for (role, _), share in shares.items():
            by_role[role] += share
        role = max(by_role, key=by_role.__getitem__)
        if by_role[role] < SURE or (role in _PAIR and not self.told_apart):
            return self.which(part, shares)
        view, share = max(((v, s) for (r, v), s in shares.items() if r == role), key=lambda found: found[1])
        why = self.why(part, role, len(by_role))
        question = ""
        ways = [(view, min(share, _MOST_SURE))]
        if self._doubtful(part, role, share):
            others = [v for v in fitting(part, role, self.wide) if v != view]
            ways += [(v, max(_RARE, shares.get((role, v), 0.0))) for v in others]
            question = TURNED if others else ""
        choices = []
        for k, (each, likely) in enumerate(ways):
            choices += self._orders(part, role, each, likely, why, several=not k)
        if len({choice.slots for choice in choices}) > 1 or (len(choices) > len(ways)):
            question = ORDER
        usual = max(by_role[role] * (_USUAL if question else 1.0) * min(share, _MOST_SURE), 0)
        first = Choice(choices[0].slots, choices[0].ops, min(usual, _MOST_SURE), choices[0].why)
        places = [Place(part.weight, (first, *choices[1:]), question)]
        return places + self._bias(part, choices, AS_MATRIX if question == ORDER else "", role)

    def _doubtful(self, part: Part, role: str, share: float) -> bool:
        """Whether a matrix may be stored the other way round for all one can see."""
        ways = fitting(part, role, self.wide)
        return len(ways) > 1 and (share < SURE or (part.style == "parameter" and not _stacked(part, role)))

    def _orders(self, part: Part, role: str, view: View, likely: float, why: str, *, several: bool) -> list[Choice]:
        """One choice; for a matrix that holds several parts, the orders in which it may."""
        slots = tuple(slot(member, "weight", part.weight.variables) for member in FUSED.get(role, (role,)))
        ops = view.ops_for(role, self.inner)
        first = Choice(slots, ops, likely, why)
        if role not in FUSED or not several:
            return [first]
        if _stacked(part, role):
            return [Choice(slots, ops, _MOST_SURE, "nn.MultiheadAttention: q, k and v in this order")]
        found = [Choice(slots, ops, _USUAL * likely, f"{why}; the usual order")]
        if role == "qkv":
            q, k, v = slots
            if not view.apart and view.rows == 3 * self.inner:
                found.append(Choice(slots, (*view.ops, _INTERLEAVED), _RARE, "head by head: q, k, v of each"))
            found.append(Choice((k, q, v), ops, _RARE, "k first"))
        else:
            found.append(Choice(slots[::-1], ops, _RARE, "the other order"))
        return found

    def _bias(self, part: Part, choices: Sequence[Choice], question: str, role: str) -> list[Place]:
        """The bias of a matrix, in the same order as the matrix."""
        if part.bias is None:
            return []
        found: dict[tuple[tuple[str, ...], tuple[str, ...]], Choice] = {}
        for choice in choices:
            slots = tuple(f"{each.rpartition('.')[0]}.bias" for each in choice.slots)
            ops = bias_ops(part.bias, role, self.inner)
            if choice.ops[-1:] == (_INTERLEAVED,):
                ops = (_INTERLEAVED,)
            found.setdefault((slots, ops), Choice(slots, ops, choice.confidence, "the bias of the matrix above"))
        return [Place(part.bias, tuple(found.values()), question)]

    def which(self, part: Part, shares: Mapping[tuple[str, View], float]) -> list[Place]:
        """A question: every part of the model that it could be."""
        by_role = {role for role, _ in shares}
        weights, biases = [], []
        ways = dict(shares)
        if not self.told_apart and by_role >= _PAIR:  # both are offered, however the hints are
            ways = {way: max(share, _SHOWN) if way[0] in _PAIR else share for way, share in ways.items()}
        for (role, view), share in sorted(ways.items(), key=lambda found: -found[1]):
            if share < _SHOWN:
                continue
            why = self.why(part, role, len(by_role))
            slots = tuple(slot(member, "weight", part.weight.variables) for member in FUSED.get(role, (role,)))
            weights.append(Choice(slots, view.ops_for(role, self.inner), share, why))
            if part.bias is not None:
                slots = tuple(f"{each.rpartition('.')[0]}.bias" for each in slots)
                biases.append(Choice(slots, bias_ops(part.bias, role, self.inner), share, "as its matrix"))
        places = [Place(part.weight, tuple(weights), WHICH)]
        if part.bias is not None:
            once = {(choice.slots, choice.ops): choice for choice in reversed(biases)}
            places.append(Place(part.bias, tuple(reversed(once.values())), AS_MATRIX))
        return places

    def vector(self, part: Part, shares: Mapping[tuple[str, str], float], extra: tuple[str, ...] = ()) -> list[Place]:
        """A norm with its bias, or a bias that no name pairs with a matrix."""
        ranked = sorted(shares.items(), key=lambda found: -found[1])
        question = "" if ranked[0][1] >= SURE else WHICH
        weights, biases = [], []
        for (role, leaf), share in ranked:
            if share < _SHOWN and (role, leaf) != ranked[0][0]:
                continue
            likely, why = min(share, _MOST_SURE), self.why(part, role, len(ranked))
            ops = extra if leaf == "weight" else bias_ops(part.weight, role, self.inner)
            slots = tuple(slot(member, leaf, part.weight.variables) for member in FUSED.get(role, (role,)))
            weights.append(Choice(slots, ops, likely, why))
            if part.bias is not None:
                biases.append(Choice((slot(role, "bias"),), (), likely, "the bias of the norm above"))
        places = [Place(part.weight, tuple(weights), question)]
        if part.bias is not None:
            places.append(Place(part.bias, tuple(biases), question))
        return places

    def why(self, part: Part, role: str, ways: int) -> str:
        """What speaks for a place."""
        reasons = []
        if part.made_by:
            reasons.append(f"nn.{part.made_by}")
        likeness = self.words.likeness(part.name, role)
        if likeness >= _LIKE:
            reasons.append(f"named like {role} elsewhere")
        reasons.append("the only place for its shape" if ways == 1 else "its shape fits")
        return ", ".join(reasons)


def unknown(kind: Kind, why: str) -> Place:
    """A tensor that no place is known for."""
    return Place(kind, (), why)


def _stacked(part: Part, role: str) -> bool:
    """Whether it is the fused matrix of nn.MultiheadAttention, whose order PyTorch fixes.

    Source: pytorch/pytorch torch/nn/functional.py (_in_projection_packed).
    """
    return role == "qkv" and part.weight.pattern.endswith("in_proj_weight")
