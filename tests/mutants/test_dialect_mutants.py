"""Wrong dialects. The reference is computed from the same dialect, so only the codebase's own logits can tell.

Each mutant of a golden case's layout is refused, or its reference forward leaves the recorded logits.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ckpt2hf.api import Request, plan
from ckpt2hf.dialects import Candidate, Origin
from ckpt2hf.dialects.fact_source import FactSource
from ckpt2hf.dialects.fit import fit
from ckpt2hf.dialects.resolve import resolve
from ckpt2hf.dialects.rule_entry import OpEntry, RuleEntry
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.ir import FIELDS, Position, choices, parse_field, plain, slots
from ckpt2hf.naming import pattern
from ckpt2hf.plan import PlanOptions, make_plan
from ckpt2hf.verify import prove_left_out
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Iterator

APART = 2e-5
"""The most that a right reading may differ in float32 (measured: 1.7e-5 at logits of spread 4.5); the mildest mistake,
an eps of 1e-8 for 1e-6, costs 2.4e-5."""
SHARP = 1e-7
"""The same for logits that were computed in float64 (measured: 1e-13; the mildest mistake costs 1e-6)."""
APART_BY_CASE = {"former_postnorm": 6e-6}
"""Closer where a mistake is milder: after the sum variances are large, and another eps costs 1.2e-5 (right: 2.9e-6)."""


def distance(spec: Any, given: Any, golden: Any) -> float:
    """How far the function of a spec lies from the codebase's logits, in the width these were computed in."""
    if spec.context < golden.input_ids.shape[1]:
        return np.inf
    wide = torch.float64 if golden.logits.dtype == np.float64 else torch.float32
    weights = load_slots(given, torch.float32)
    found: float = golden.off(reference(spec, weights, torch.from_numpy(golden.input_ids), dtype=wide).numpy())
    return found


def outcome(made: Any, layout: Any, said: Any, golden: Any) -> float | str:
    """Why the mutated layout is refused, or how far its function lies from the codebase's logits."""
    try:
        held = fit(made.candidate.fit.dialect, layout, made.checkpoint)
        if not held.fits:
            return held.reason
        resolution = resolve(layout, made.checkpoint, said, asserted=True)
        candidate = Candidate(held, resolution, named=True)
        if not candidate.complete:
            return f"incomplete: {resolution.conflicts or resolution.questions}"
        mutant = make_plan(made.checkpoint, candidate, PlanOptions())
        prove_left_out(mutant)
    except Ckpt2hfError as error:
        return str(error)
    return distance(mutant.spec, mutant.slots, golden)


def died(found: float | str, golden: Any) -> bool:
    """Whether a mutant was refused, or its logits left the codebase's."""
    return isinstance(found, str) or not found <= allowed(golden)


def allowed(golden: Any) -> float:
    """The most that a right reading of a case may differ."""
    return SHARP if golden.logits.dtype == np.float64 else APART_BY_CASE.get(golden.name, APART)


def spelled_out(layout: Any) -> Any:
    """The layout with a rule for every tensor of a module or a short table, so that each can be got wrong."""
    rules = [
        RuleEntry(**{"from": [*map(str, r.names)], "to": [*map(str, r.slots)]})
        for r in layout.naming.rules
        if not r.ops
    ]
    ordinary = (each for rule in layout.rule if rule.ops for each in rule.apart())
    return layout.model_copy(update={"modules": {}, "tensors": {}, "rule": (*rules, *ordinary)})


def with_rules(layout: Any, changes: dict[int, Any]) -> Any:
    kept = [changes.get(k, rule) for k, rule in enumerate(layout.rule)]
    return layout.model_copy(update={"rule": tuple(rule for rule in kept if rule is not None)})


def changed(rule: Any, **update: Any) -> Any:
    return rule.model_copy(update=update)


def active(layout: Any, spec: Any) -> list[tuple[int, Any, list[tuple[int, ...]]]]:
    """The rules this checkpoint uses, with the shapes of their slots."""
    wanted = slots(spec)
    used = []
    for k, rule in enumerate(layout.rule):
        names = [p.format({"i": 0, "h": 0, "e": 0}) for p in rule.slots]
        if all(name in wanted for name in names):
            used.append((k, rule, [wanted[name] for name in names]))
    return used


def exchanged_slots(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    used = active(layout, spec)
    for position, (a, one, shapes) in enumerate(used):
        for b, other, theirs in used[:position]:
            alike = [p.variables for p in one.slots] == [p.variables for p in other.slots]
            if alike and shapes == theirs:
                pair = {a: changed(one, slots=other.slots), b: changed(other, slots=one.slots)}
                yield f"{one.names[0]} for {other.names[0]}", with_rules(layout, pair)


def reordered_parts(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    for k, rule, _ in active(layout, spec):
        for order in permutations(range(len(rule.slots))):
            if order != tuple(sorted(order)):
                parts = tuple(rule.slots[n] for n in order)
                yield f"{rule.names[0]} as {order}", with_rules(layout, {k: changed(rule, slots=parts)})


def reordered_heads(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    for k, rule, _ in active(layout, spec):
        if rule.ops and rule.ops[0].join:
            text = rule.names[0].text
            for title, order in (("reversed", range(spec.heads - 1, -1, -1)), ("rolled", [*range(1, spec.heads), 0])):
                names = tuple(pattern(text.replace("{h}", str(h))) for h in order)
                yield f"{text} {title}", with_rules(layout, {k: changed(rule, names=names)})


def exchanged_variables(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    for k, rule, _ in active(layout, spec):
        text = rule.names[0].text
        if "{h}" in text:
            other = pattern(text.replace("{i}", "{x}").replace("{h}", "{i}").replace("{x}", "{h}"))
            yield f"{text} with i and h exchanged", with_rules(layout, {k: changed(rule, names=(other,))})


def forgotten_rules(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    for k, rule, _ in active(layout, spec):
        yield f"no rule for {rule.names[0]}", with_rules(layout, {k: None})


BLOCKS = OpEntry(split=("inner", "kv_inner", "kv_inner"))
GROUPS = OpEntry(deal=("queries", "head_dim", "head_dim"), rounds="kv_heads")
"""The two ways to fuse queries, keys and values that have the same shape."""


def wrong_ops(layout: Any, spec: Any) -> Iterator[tuple[str, Any]]:
    turn = OpEntry(transpose=True)
    for k, rule, shapes in active(layout, spec):
        if len(shapes[0]) == 2:
            yield f"{rule.names[0]} transposed", with_rules(layout, {k: changed(rule, ops=(*rule.ops, turn))})
        for n, op in enumerate(rule.ops):
            kept = (*rule.ops[:n], *rule.ops[n + 1 :])
            yield f"{rule.names[0]} without its op", with_rules(layout, {k: changed(rule, ops=kept)})
            if op.deal is not None:
                yield f"{rule.names[0]} in three blocks", with_rules(layout, {k: changed(rule, ops=(BLOCKS,))})
            if op.split is not None and len(op.split) == len(BLOCKS.split or ()) and spec.kv_heads > 1:
                yield f"{rule.names[0]} by group", with_rules(layout, {k: changed(rule, ops=(GROUPS,))})
            if op.split or op.join:
                other = (*rule.ops[:n], op.model_copy(update={"axis": 1}), *rule.ops[n + 1 :])
                yield f"{rule.names[0]} along the other axis", with_rules(layout, {k: changed(rule, ops=other)})


def with_fact(layout: Any, name: str, source: FactSource) -> Any:
    return layout.model_copy(update={"facts": {**layout.facts, name: (source,)}})


OTHER_CONSTANTS: dict[str, tuple[Any, ...]] = {
    "norm_eps": (1e-4, 1e-5, 1e-6, 1e-8, 1e-12),
    "attention_scale": ("head_dim**-0.5", "d_model**-0.5", 1.0, 0.125),
    "position_scale": (2.0, 0.5),
    "rope_theta": (1e4, 1e5, 5e5, 1e6),
    "rope_scaling": ("linear:2", "llama3:8,1,4,16", "llama3:32,1,4,16"),
    "rope_local_theta": (1e4, 1e6),
    "layer_pattern": ("s", "sf", "fs", "sssssf"),
    "embed_scale": ("d_model**0.5", 2.0),
    "logit_scale": (2.0, 0.25),
    "logit_softcap": (15.0, 30.0),
    **{name: choices(name) for name in FIELDS if choices(name)},
}
"""Every other value that somebody might believe in; what a model does not have is wrong to state, too."""


def wrong_constants(layout: Any, facts: Any) -> Iterator[tuple[str, Any]]:
    for name, values in OTHER_CONSTANTS.items():
        for value in values:
            if facts[name].origin is not Origin.USER and parse_field(name, value) != facts[name].value:
                source = FactSource(const=value, why="a mutant")
                yield f"{name} = {plain(value)}", with_fact(layout, name, source)


def wrong_evidence(layout: Any) -> Iterator[tuple[str, Any]]:
    """Another axis of a shape, the other variable of a count."""
    for name, sources in layout.facts.items():
        for source in sources:
            if source.shape is not None:
                other = source.model_copy(update={"axis": int(not source.axis)})
                yield f"{name} along axis {other.axis}", with_fact(layout, name, other)
            if source.count is not None and len(source.count.variables) > 1:
                of = next(name for name in source.count.variables if name != source.of)
                other = source.model_copy(update={"of": of})
                yield f"{name} counts {other.of}", with_fact(layout, name, other)


def forgotten_entries(layout: Any, made: Any) -> Iterator[tuple[str, Any]]:
    """Ties and drops that a tensor of this file needs; and ties to something else."""
    used = [*made.assignment.ties, *made.assignment.stand_ins.values(), *made.assignment.drops]
    for kind in ("tie", "drop"):
        for k, entry in enumerate(entries := getattr(layout, kind)):
            if any(entry.name.match(name) is not None for name in used):
                rest = (*entries[:k], *entries[k + 1 :])
                yield f"no {kind} for {entry.name}", layout.model_copy(update={kind: rest})
                if kind == "tie":
                    for rule in layout.rule:
                        other = rule.names[0]
                        if other.variables == entry.name.variables and other not in (entry.same_as, entry.name):
                            wrong = entry.model_copy(update={"same_as": other})
                            yield f"{entry.name} tied to {other}", layout.model_copy(update={"tie": (*rest, wrong)})


COPY = "an untied head that holds the embedding's very numbers computes the same logits"
ONE_WIDTH = "the width of the model is that of all heads together"
NO_MULTIPLE = "that axis is no multiple of the width of a head, so it says nothing, and the user has said the number"
KEY_BIAS = "without RoPE the bias of a key adds the same to every score of a query"
SAME_FUNCTION = {
    ("litgpt_llama", "head_dim along axis 0"): ONE_WIDTH,
    ("qwen3-from-scratch", "heads along axis 1"): ONE_WIDTH,
    ("qwen3-from-scratch", "kv_heads along axis 1"): "there are as many heads of keys, and the same width",
    ("minimind3", "heads along axis 1"): ONE_WIDTH,
    **{(f"torchtune{name}", "head_dim along axis 0"): ONE_WIDTH for name in ("", ", Phi-3", ", Llama 3.2", ", Qwen2")},
    ("tiny-llm-zh", "head_dim along axis 0"): ONE_WIDTH,
    ("nanogptplus", "heads along axis 0"): NO_MULTIPLE,
    **{("nanogptplus, no bias", f"{name} along axis 0"): ONE_WIDTH for name in ("heads", "head_dim")},
    ("x-transformers of 2022", "heads along axis 1"): NO_MULTIPLE,
    **{
        ("x-transformers of 2022, tied", f"{name} along axis 1"): ONE_WIDTH
        for name in ("heads", "kv_heads", "head_dim")
    },
    **{
        (f"zero-to-hero{tied}", f"blocks.{{i}}.att.heads.{{h}}.key.bias {order}"): KEY_BIAS
        for tied in ("", ", tied")
        for order in ("reversed", "rolled")
    },
    ("nanogpt_bias", "tied = False"): COPY,
    ("nanogpt_nobias_origmod", "tied = False"): COPY,
    ("nanogpt_nobias_raw", "tied = False"): COPY,
    ("build_nanogpt", "tied = False"): COPY,
    ("az50_v2", "heads counts i"): "this model has as many heads as layers",
}


def harmless(made: Any, title: str) -> bool:
    """Whether a mistake is none: the longest sequence, which without a table of positions no logits show, or a head
    that is a copy of the embedding, or how a RoPE turns that does nothing, or
    which of q and k is multiplied with which of two weights, if neither turns."""
    longest = made.spec.position is not Position.LEARNED and title.startswith("context")
    unturned = title.startswith("rope_") or ("q_norm" in title and "k_norm" in title)
    return longest or (made.spec.tied and title == "tied = False") or (still(made.spec) and unturned)


def still(spec: Any) -> bool:
    """Whether queries turn as their keys do, so that it does not matter how."""
    return spec.position is Position.ROPE_ON_HEADS and spec.heads == spec.kv_heads


def mutants(made: Any) -> Iterator[tuple[str, Any]]:
    layout, spec = spelled_out(made.candidate.fit.layout), made.spec
    for kind in (exchanged_slots, reordered_parts, reordered_heads, exchanged_variables, forgotten_rules, wrong_ops):
        yield from kind(layout, spec)
    yield from wrong_constants(layout, made.candidate.resolution.facts)
    yield from wrong_evidence(layout)
    yield from forgotten_entries(layout, made)


def survivors(request: Request, case: Any, tally: Any) -> list[tuple[str, float | str]]:
    """The mutants of a right reading that compute what the codebase computes, or nearly so."""
    made = plan(request)
    said = {name: fact for name, fact in made.candidate.resolution.facts.items() if fact.origin is Origin.USER}
    right = outcome(made, made.candidate.fit.layout, said, case)
    assert isinstance(right, float)
    assert not died(right, case)
    found_alive = []
    for title, layout in mutants(made):
        found = outcome(made, layout, said, case)
        if (case.name, title) in SAME_FUNCTION:
            assert isinstance(found, float)
            assert not died(found, case)
        elif not harmless(made, title) and tally("of the dialects", killed=died(found, case)):
            found_alive.append((title, found))
    return found_alive


def test_a_wrong_dialect_is_refused_or_leaves_the_codebase_s_logits(every_golden: Any, flags: Any, tally: Any) -> None:
    assert survivors(Request(source=every_golden.path, **flags[every_golden.name]), every_golden, tally) == []


WRONG_NUMBERS: dict[str, Any] = {
    "layers": lambda n: (n - 1, n + 1, 1),
    "d_model": lambda n: (n // 2, 2 * n, n + 1),
    "heads": lambda n: [k for k in range(1, 97) if k != n],
    "head_dim": lambda n: (n - 1, n + 1, n // 2, 2 * n),
    "d_ff": lambda n: (n // 4, n - 1, n + 1, 2 * n),
    "vocab": lambda n: (n - 1, n + 1, 50257),
    "context": lambda n: (n - 1, n + 1, 1024),
    "kv_heads": lambda n: [k for k in range(1, 17) if k != n],
    "embed_rows": lambda n: (n - 1, n + 1),
    "head_rows": lambda n: (n - 1, n + 1),
    "experts": lambda n: (n + 1, n + 4),
    "experts_per_token": lambda n: (n + 1,),
    "rope_dims": lambda n: (n + 2, max(n - 2, 1)),
    "sliding_window": lambda n: (n + 1, n + 8),
}


def test_a_wrong_word_of_the_user_is_refused_or_leaves_the_codebase_s_logits(
    every_golden: Any, flags: Any, tally: Any
) -> None:
    given = flags[every_golden.name]
    right = plan(Request(source=every_golden.path, **given)).spec
    survivors = []
    for name in FIELDS:
        value = getattr(right, name)
        wrong = OTHER_CONSTANTS[name] if name in OTHER_CONSTANTS else WRONG_NUMBERS[name](value)
        kept = tuple(fact for fact in given.get("facts", ()) if not fact.startswith(f"{name}="))
        for other in wrong:
            if parse_field(name, other) == value or (every_golden.name, f"{name} = {other}") in SAME_FUNCTION:
                continue
            if name == "context" and right.position is not Position.LEARNED:
                continue  # no logits show it
            if still(right) and name.startswith("rope_"):
                continue
            found = said(every_golden, {**given, "facts": (*kept, f"{name}={other}")})
            if tally("of the user's facts", killed=died(found, every_golden)):
                survivors.append((f"{name}={other}", found))
    assert survivors == []


def said(golden: Any, flags: Any) -> float | str:
    try:
        made = plan(Request(source=golden.path, **flags))
    except Ckpt2hfError as error:
        return str(error)
    return distance(made.spec, made.slots, golden)
