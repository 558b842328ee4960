"""What a spec may say, how its values are written, and that what does not apply is said in one way only."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import support
from ckpt2hf.ir import (
    FIELDS,
    Factor,
    LayerPattern,
    Mlp,
    Norm,
    Position,
    QkNorm,
    RopeLayout,
    RopeScaling,
    accepts,
    choices,
    parse_field,
    plain,
    slots,
)
from ckpt2hf.ir.sense import UNLESS
from ckpt2hf.ir.text import KINDS

SPEC = support.SPEC
ROPE = replace(SPEC, position=Position.ROPE, rope_layout=RopeLayout.HALVES, rope_theta=1e4, rope_dims=8)


def test_every_field_has_a_way_to_be_written() -> None:
    assert list(KINDS) == list(FIELDS)
    assert {name: parse_field(name, plain(getattr(SPEC, name))) for name in FIELDS} == {
        name: getattr(SPEC, name) for name in FIELDS
    }


@pytest.mark.parametrize("name", FIELDS)
def test_nonsense_is_refused_in_the_words_of_what_is_accepted(name: str) -> None:
    for value in ("perhaps", [], None, object(), "nan", "-inf"):
        with pytest.raises(ValueError, match=f"{name} takes "):
            parse_field(name, value)
    assert accepts(name)


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("attention_scale", " head_dim ** -0.5 ", "head_dim**-0.5"),
        ("embed_scale", "1.0", "1"),
        ("embed_scale", 0.0883883476483184, "0.0883883476483184"),
        ("rope_scaling", "llama3: 8.0, 1.0, 4, 8192", "llama3:8,1,4,8192"),
        ("rope_scaling", "linear:1e30", "linear:1e+30"),
        ("layer_pattern", "SSSFSSSF", "sssf"),
        ("layer_pattern", "ffff", "f"),
        ("layer_pattern", "ssfs", "ssfs"),
        ("rope_theta", "1e6", 1e6),
        ("tied", "No", False),
        ("layers", 12.0, 12),
    ],
)
def test_one_value_has_one_spelling(name: str, text: object, written: object) -> None:
    assert plain(parse_field(name, text)) == written


@pytest.mark.parametrize("text", ["llama3:8,1,4", "llama3:8,4,1,64", "yarn:2", "linear", "linear:0", "none:1", ":", ""])
def test_scalings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="rope_scaling takes"):
        parse_field("rope_scaling", text)


ABSURD = [
    ("norm_eps", -1e-5), ("norm_eps", 1e6), ("norm_eps", 0), ("norm_eps", 1), ("norm_eps", math.nan),
    ("norm_eps", True), ("rope_theta", -1), ("rope_theta", 1e300), ("rope_theta", math.inf), ("heads", 0),
    ("heads", -3), ("heads", 10**9), ("heads", 10**5000), ("heads", math.nan), ("heads", [8]), ("heads", 2.5),
    ("layers", 1 << 31), ("context", 1 << 40), ("experts", -1), ("attention_scale", 0), ("attention_scale", -0.5),
    ("attention_scale", 1e30), ("embed_scale", "1e-30"), ("logit_softcap", -30), ("sliding_window", -1),
]  # fmt: skip
"""Values that no model has."""


@pytest.mark.parametrize(("name", "value"), ABSURD, ids=lambda value: str(value)[:20] if value != 10**5000 else "long")
def test_what_no_model_has_is_refused_wherever_it_is_said(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} takes {re.escape(accepts(name))}, not ") as refused:
        parse_field(name, value)
    assert len(str(refused.value)) < 300


def test_every_number_is_bounded() -> None:
    largest = {"norm_eps": 1e-300, "rope_theta": 1e12, "layers": 65536, "context": 10**9, "logit_softcap": 0}
    assert {name: parse_field(name, value) for name, value in largest.items()} == largest
    for name in FIELDS:
        if not choices(name) and name not in {"rope_scaling", "layer_pattern"}:
            with pytest.raises(ValueError, match=f"{name} takes "):
                parse_field(name, 10**16)


@given(st.text("fs", min_size=1, max_size=30), st.integers(0, 60))
def test_a_pattern_is_its_shortest_period(text: str, layer: int) -> None:
    made = parse_field("layer_pattern", text)
    assert made.slides(layer) == (text[layer % len(text)] == "s")
    assert parse_field("layer_pattern", made.text) == made


def test_choices_are_all_that_is_accepted() -> None:
    for name in FIELDS:
        for choice in choices(name):
            assert parse_field(name, plain(choice)) == choice
    assert choices("tied") == (True, False)
    assert choices("layers") == ()


OTHER: dict[str, Any] = {
    "position_scale": Factor("2"),
    "rope_layout": RopeLayout.PAIRS,
    "rope_reversed": True,
    "rope_theta": 1e4,
    "rope_dims": 8,
    "rope_scaling": RopeScaling("linear:2"),
    "rope_local_theta": 1e4,
    "rope_everywhere": False,
    "sliding_window": 4,
    "qk_norm_weight": True,
    "qk_norm_after_rope": True,
    "norm_offset": True,
    "experts_per_token": 2,
}


@pytest.mark.parametrize("name", OTHER)
def test_what_does_not_apply_has_one_value(name: str) -> None:
    bare = replace(SPEC, position=Position.NONE, norm_weight=False, norm_bias=False)
    assert bare.problems() == []
    assert any(problem.startswith(f"{name} is ") for problem in replace(bare, **{name: OTHER[name]}).problems())


def test_every_such_field_is_tried() -> None:
    assert set(OTHER) == {name for name, *_ in UNLESS}


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "layers is 0": {"layers": 0},
    "kv_heads, 2, does not divide": {"kv_heads": 2},
    "fewer than vocab": {"embed_rows": 60},
    "is not embed_rows": {"tied": True, "head_rows": 64},
    "norm_eps is 0": {"norm_eps": 0.0},
    "rmsnorm has none": {"norm": Norm.RMSNORM},
    "the norms have no weight": {"norm_weight": False},
    "experts are gated": {"experts": 4, "experts_per_token": 2},
    "of 4 experts": {"experts": 4, "experts_per_token": 5, "mlp": Mlp.GATED, "mlp_bias": False},
    "layers slide": {"layer_pattern": LayerPattern("sf")},
    "logit_softcap is -1, it takes a number from 0 to": {"logit_softcap": -1.0},
    "but position is rope": {"position": Position.ROPE, "rope_theta": 1e4, "rope_dims": 8},
}


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_impossible_models(said: str) -> None:
    assert said in "; ".join(replace(SPEC, **IMPOSSIBLE[said]).problems())


@pytest.mark.parametrize("dims", [3, 10, 0])
def test_rope_turns_pairs_of_a_head(dims: int) -> None:
    assert "rope_dims" in "; ".join(replace(ROPE, rope_dims=dims).problems())
    assert ROPE.problems() == []


def test_slots_follow_the_spec() -> None:
    made = slots(replace(ROPE, kv_heads=1, qk_norm=QkNorm.WIDTH, qk_norm_weight=True, mlp=Mlp.GATED, layers=1))
    assert made["layers.0.attn.k.weight"] == (8, 24)
    assert (made["layers.0.attn.q_norm.weight"], made["layers.0.attn.k_norm.weight"]) == ((24,), (8,))
    assert made["layers.0.mlp.gate.weight"] == (40, 24)
    assert "positions.weight" not in made


@pytest.mark.parametrize(
    ("text", "value", "relative"),
    [("head_dim**-0.5", 0.25, 1), ("d_model**-0.5", 0.125, 0.5), ("d_model**0.5", 8, 32), ("0.5", 0.5, 2)],
)
def test_factors(text: str, value: float, relative: float) -> None:
    factor = Factor(text)
    assert factor.value(head_dim=16, d_model=64) == value
    assert factor.relative(head_dim=16, d_model=64) == relative
    assert not factor.is_one
    assert Factor("1").is_one
