"""A drafted dialect file answered as a person would: each question by one of the lines above it."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.dialects.draft.entries import entries
from ckpt2hf.dialects.draft.parts import QUESTION, Choice, Place
from ckpt2hf.dialects.rule_entry import RuleEntry
from ckpt2hf.errors import MappingError
from ckpt2hf.naming import concrete, to_slots
from ckpt2hf.ops import Mosaic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft import Draft
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.plan import Plan

_HEAD = re.compile(r"# Question (\d+)\. (\S+?):? ")
_LIKELY = re.compile(r"  # \d\.\d\d: .*$")


@dataclass
class Question:
    """A question as it stands in the file: what it is about, and the answers it offers."""

    about: str
    answers: list[dict[str, Any]] = field(default_factory=list)


def answer(text: str, pick: Callable[[Question], dict[str, Any]]) -> str:
    """The file with every question answered: `pick` gives the keys and values that take the place of the markers."""
    done, asked = [], Question("")
    chosen: dict[str, Any] = {}
    for line in text.splitlines():
        if head := _HEAD.match(line):
            asked, chosen = Question(head[2]), {}
        elif line.startswith("#   "):
            known = tomllib.loads(_LIKELY.sub("", line[4:]))
            if _LIKELY.search(line) or not asked.answers or next(iter(known)) in asked.answers[-1]:
                asked.answers.append({})
            asked.answers[-1].update(known)
        elif line.endswith(f'= "{QUESTION}"'):
            chosen = chosen or pick(asked)
            key = line.rpartition(" = ")[0]
            done.append(f"{key} = {toml(chosen[next(iter(tomllib.loads(f'{key} = 0')))])}")
            continue
        done.append(line)
    return "\n".join(done) + "\n"


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(each)}' for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass
class Truth:
    """What the tensors of a checkpoint are, from a plan that is right."""

    checkpoint: Checkpoint
    spec: ModelSpec
    target: str
    slots: dict[str, Any]
    twins: set[str]
    """Second names of other tensors."""
    drops: dict[str, str]

    @classmethod
    def of(cls, plan: Plan) -> Truth:
        at, given = plan.checkpoint, plan.assignment
        refs = {**at.tensors, **{k: at.tensors[v] for k, v in given.stand_ins.items()}}
        names = [name for made in given.links for name in made.names]
        made = to_slots(given.links, {name: Mosaic.of(refs[name]) for name in names})
        slots = {slot: whole(part) for slot, part in made.items()}
        drops = {name: expect.value for name, expect in given.drops.items()}
        return cls(at, plan.spec, plan.target.id, slots, {*given.ties, *given.stand_ins.values()}, drops)

    def renamed(self, new: dict[str, str]) -> Truth:
        """The same model under other names."""
        tensors = {new[name]: ref for name, ref in self.checkpoint.tensors.items()}
        return replace(
            self,
            checkpoint=replace(self.checkpoint, tensors=tensors, modules={}),
            twins={new[name] for name in self.twins},
            drops={new[name]: expect for name, expect in self.drops.items()},
        )

    def holds(self, place: Place, choice: Choice) -> bool:
        """Whether a choice gives slots their true numbers, in every layer."""
        entry = {"from": place.kind.pattern, "to": list(choice.slots), "ops": [op(each) for each in choice.ops]}
        tensors = self.checkpoint.tensors
        found = 0
        (rule,) = RuleEntry.model_validate(entry).rules()
        for link in concrete(rule, self.spec):
            if not all(name in tensors for name in link.names):
                return False
            try:
                link.infer([tensors[name].meta for name in link.names])
            except MappingError:
                return False
            parts = link.forward([Mosaic.of(tensors[name]) for name in link.names])
            for slot, part in zip(link.slots, parts, strict=True):
                wanted = self.slots.get(slot)
                if wanted is None or not np.array_equal(whole(part), wanted):
                    return False
            found += 1
        return found > 0


def op(text: str) -> dict[str, Any]:
    return dict(tomllib.loads(f"op = {text}")["op"])


def whole(part: Mosaic) -> Any:
    return part.read(tuple(slice(0, n) for n in part.meta.shape))


@dataclass
class Score:
    """Tensors by how a draft has them."""

    tensors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, draft: Draft, truth: Truth) -> None:
        for place in draft.places:
            count = len(place.kind.names)
            if place.sure:
                right = truth.holds(place, place.choices[0])
                self.tensors["right" if right else "wrong"] += count
                self.wrong += [] if right else [f"{place.kind} -> {place.choices[0]}"]
            else:
                offered = any(truth.holds(place, choice) for choice in place.choices)
                self.tensors["asked" if offered else "asked without the answer"] += count
        for left in draft.left_out:
            names = left.kind.names
            right = (
                truth.twins >= set(names) if left.tie else {truth.drops.get(name) for name in names} == {left.expect}
            )
            self.tensors["left out" if right else "wrong"] += len(names)
            self.wrong += [] if right else [f"{left.kind} left out: {left.expect}"]


def by_truth(draft: Draft, truth: Truth) -> Callable[[Question], dict[str, Any]]:
    """Answers from what is true; for what was not offered there is no answer."""
    made = {entry.name: entry for entry in entries(draft.places)}

    def pick(question: Question) -> dict[str, Any]:
        entry = made.get(question.about)
        if entry is None:  # a fact that follows from which tensor it is
            return next(each for each in question.answers if _shows(each[question.about], question.about, truth))
        place = entry.places[0]
        choice = next(each for each in place.choices if truth.holds(place, each))
        if entry.table == "rule":
            return {"to": list(choice.slots), "ops": [op(each) for each in choice.ops]}
        slot = choice.slots[0]
        return {entry.name: slot.rpartition(".")[0] if entry.table == "modules" else slot}

    return pick


def _shows(source: dict[str, Any], field: str, truth: Truth) -> bool:
    shape = truth.checkpoint.tensors[source["shape"]].meta.shape
    return bool(shape[source.get("axis", 0)] == getattr(truth.spec, field))


def words_of(names: list[str]) -> list[str]:
    """The words of tensor names that a person chose: not those that PyTorch gives."""
    found = {word for name in names for word in re.findall(r"[A-Za-z]+", name)}
    return sorted(found - {"weight", "bias"})


def invented(count: int, seed: int) -> Iterator[str]:
    """Words that mean nothing."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    seen: set[str] = set()
    while len(seen) < count:
        word = "".join(random.choice(letters, 5))
        if word not in seen:
            seen.add(word)
            yield word


def renamed(names: list[str], seed: int) -> dict[str, str]:
    """New names, each word for one that means nothing: one to one."""
    words = words_of(names)
    new = dict(zip(words, islice(invented(len(words), seed), len(words)), strict=True))
    return {name: re.sub(r"[A-Za-z]+", lambda word: new.get(word[0], word[0]), name) for name in names}
