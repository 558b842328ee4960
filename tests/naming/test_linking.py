"""Rules made concrete, in both directions, and totality: everything has one place, or one error says what has not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import support
from ckpt2hf.dialects import dialect
from ckpt2hf.errors import BrokenPromiseError, MappingError
from ckpt2hf.ir import slots
from ckpt2hf.naming import Naming, Rule, SplitTemplate, Tie, assign, link, pattern
from ckpt2hf.targets import GPT2
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

SPEC = support.resized(support.SPEC, layers=2, d_model=6, heads=3, head_dim=2, d_ff=10, vocab=11, context=5)


def metas_of(naming: Naming, spec: ModelSpec) -> dict[str, Meta]:
    """The tensors a checkpoint of this naming and spec has."""
    found: dict[str, Meta] = {}
    for made in link(naming, spec):
        parts = tuple(Meta(slots(spec)[slot], DType.F32) for slot in made.slots)
        for op in reversed(made.ops):
            parts = op.inverse().infer(parts)
        found |= dict(zip(made.names, parts, strict=True))
    return found


NANOGPT = dialect("nanogpt").layout[0].naming


@pytest.mark.parametrize(
    "change",
    [{}, {"tied": True}, {"qkv_bias": False, "out_bias": False, "mlp_bias": False, "norm_bias": False}, {"layers": 1}],
)
@pytest.mark.parametrize("naming", [NANOGPT, GPT2.naming])
def test_every_slot_is_given_once_and_every_tensor_taken_once(naming: Naming, change: dict[str, int]) -> None:
    spec = support.resized(SPEC, **change)  # type: ignore[arg-type]
    links = link(naming, spec)
    assert sorted(s for made in links for s in made.slots) == sorted(slots(spec))
    metas = metas_of(naming, spec)
    assert assign(naming, spec, metas).links == links


def test_a_variable_of_one_side_is_gathered_in_order() -> None:
    course = dialect("az-course").layout[0].naming
    (made,) = [
        m for m in link(course, replace(SPEC, qkv_bias=False, head_bias=True)) if "layers.1.attn.k.weight" in m.slots
    ]
    assert made.names == tuple(f"blocks.1.sa.heads.{h}.key.weight" for h in range(3))


def test_one_error_lists_everything_that_is_wrong() -> None:
    metas = metas_of(NANOGPT, SPEC)
    metas["transformer.h.0.ln2.weight"] = metas.pop("transformer.h.0.ln_2.weight")
    metas["transformer.h.1.mlp.c_fc.weight"] = Meta((6, 10), DType.F32)
    metas["transformer.ln_f.bias"] = Meta((6,), DType.I64)
    with pytest.raises(MappingError) as refused:
        assign(NANOGPT, SPEC, metas)
    said = str(refused.value)
    assert "1 tensors have no rule, 1 tensors are missing, 2 tensors do not fit" in said
    assert "missing   transformer.h.0.ln_2.weight  (did you mean transformer.h.0.ln2.weight?)" in said
    assert "gives layers.1.mlp.up.weight [6, 10], the model needs [10, 6]" in said
    assert "weights are floating-point" in said


def test_an_unexpected_layer_is_not_ignored() -> None:
    metas = metas_of(NANOGPT, SPEC)
    with pytest.raises(MappingError, match="have no rule"):
        assign(NANOGPT, replace(SPEC, layers=1), metas)


def test_either_name_of_a_tied_tensor_may_stand_alone() -> None:
    tied = replace(SPEC, tied=True)
    both = metas_of(NANOGPT, tied) | {"lm_head.weight": Meta((11, 6), DType.F32)}
    assert assign(NANOGPT, tied, both).ties == {"lm_head.weight": "transformer.wte.weight"}
    first = {name: meta for name, meta in both.items() if name != "lm_head.weight"}
    assert assign(NANOGPT, tied, first).ties == {}
    second = {name: meta for name, meta in both.items() if name != "transformer.wte.weight"}
    assert assign(NANOGPT, tied, second).stand_ins == {"transformer.wte.weight": "lm_head.weight"}


def test_the_head_of_an_untied_model_is_no_alias() -> None:
    metas = metas_of(NANOGPT, SPEC)
    assert assign(NANOGPT, SPEC, metas).ties == {}
    del metas["lm_head.weight"]
    with pytest.raises(MappingError, match="missing"):
        assign(NANOGPT, SPEC, metas)


def test_two_rules_for_one_slot_are_a_bug_of_the_naming() -> None:
    twice = Rule((pattern("a"),), (pattern("embed.weight"),))
    with pytest.raises(BrokenPromiseError, match="two rules"):
        link(Naming((twice, replace(twice, names=(pattern("b"),)))), SPEC)


def test_a_rule_that_gives_only_some_of_its_slots_is_a_bug_of_the_naming() -> None:
    split = Rule(
        (pattern("a"),), (pattern("embed.weight"), pattern("nothing")), (SplitTemplate(0, ("vocab", "vocab")),)
    )
    with pytest.raises(BrokenPromiseError, match="only some"):
        link(Naming((split,), (Tie(pattern("b"), pattern("a")),)), SPEC)
