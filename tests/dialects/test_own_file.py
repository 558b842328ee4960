"""A dialect file of the user's own: every mistake is told with its line, all of them at once, and none is a crash."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt2hf import dialects as d
from ckpt2hf.api import Request, dialect, dialect_text, dialects, inspect, path_or_url, plan
from ckpt2hf.dialects.load import _problems
from ckpt2hf.dialects.own_file import MAX_BYTES
from ckpt2hf.dialects.rule_entry import RuleEntry
from ckpt2hf.errors import BrokenPromiseError, Ckpt2hfError, FactsError, NotFoundError, UsageError
from ckpt2hf.ir import FIELDS, choices, slots
from ckpt2hf.naming import UnsoundRuleError, is_slot, link, slot_families
from ckpt2hf.targets import TARGETS
from support import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.dialects import Dialect

MINGPT = dialect_text("mingpt")
TARGET_IDS = [target.id for target in TARGETS]
LINE = re.compile(r"mine\.toml:(\d+):(?:(\d+):)? ")


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Writes a dialect file: minGPT's, with some text replaced, once each."""

    def write(*changes: tuple[str, str], text: str = MINGPT) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return tmp_path / "mine.toml"

    return write


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as refused:
        dialect(path)
    assert refused.value.exit_code == 2
    assert refused.value.where == str(path)
    return refused.value


MISTAKES = [
    # What is written instead of what, on which line that is (by what is there), the path, and what is said.
    ('title = "minGPT"', 'titel = "minGPT"', "titel", "titel", "there is no word titel; did you mean title?"),
    ('title = "minGPT"', "", 'id = "mingpt"', "", "title is missing"),
    ('title = "minGPT"', "title = 7", "title = 7", "title", "takes text in quotes, not 7"),
    ('target = "gpt2"', 'target = "gpt3"', "gpt3", "target", "there is no target gpt3; did you mean gpt2?"),
    ("heads = [\n", "hedas = [\n", "hedas", "layout[0].facts.hedas", "there is no fact hedas; did you mean heads?"),
    ("heads = [\n", "hedas = [\n", "[layout.facts]", "layout[0].facts.heads", "nothing says where heads comes from"),
    (
        'hidden = ["activation"]',
        'hidden = ["actvation"]',
        "actvation",
        "layout[0].hidden[0]",
        "did you mean activation?",
    ),
    (
        'const = "gelu_tanh", why',
        'const = "gelu_tan", why',
        "gelu_tan",
        "layout[0].facts.activation[0].const",
        "activation takes one of",
    ),
    (
        "gpt2 = 12, gpt2-m",
        "gpt2 = 1.5, gpt2-m",
        "1.5",
        "layout[0].facts.heads[2].map.gpt2",
        "heads takes a whole number",
    ),
    ("axis = 1 }", "axis = -1 }", "axis = -1", "layout[0].facts.d_model[0].axis", "a whole number from 0 on, not -1"),
    *(
        ("const = 1e-5", f"const = {value}", f"const = {value}", "layout[0].facts.norm_eps[1].const", said)
        for value, said in (
            ("-1e-5", "norm_eps takes a number between 0 and 1, not -1e-05"),
            ("1e6", "norm_eps takes a number between 0 and 1, not 1000000"),
            ("nan", "not nan"),
            ("true", "not true"),
        )
    ),
    (
        "gpt2 = 12, gpt2-m",
        "gpt2 = 0, gpt2-m",
        "gpt2 = 0",
        "layout[0].facts.heads[2].map.gpt2",
        "heads takes a whole number from 1 to 65536, not 0",
    ),
    ("const = 1e-5", "const = [1]", "[1]", "layout[0].facts.norm_eps[1].const", "not [1]"),
    (
        'ratio = { "transformer.h.{i}',
        'ratio = { "transformer.h.{j}',
        "{j}",
        'layout[0].signature.ratio."transformer.h.{j}.attn.c_attn.weight"',
        "each variable once, out of {i} (layer)",
    ),
    (
        '"transformer.h.{i}.ln_1.weight",\n',
        '"transformer.h.{layer}.ln_1.weight",\n',
        "{layer}",
        "layout[0].signature.needs[2]",
        "each variable once",
    ),
    (
        '{ count = "transformer.h.{i}.ln_1.weight" }',
        '{ count = "transformer.h.{i}.ln_1.weight", of = "h" }',
        'of = "h"',
        "layout[0].facts.layers[0].of",
        "{h} is what is counted, and transformer.h.{i}.ln_1.weight does not have it",
    ),
    (
        'same = ["transformer.wte.weight"',
        'same = ["transformer.{i}.weight"',
        "transformer.{i}.weight",
        "layout[0].facts.tied[0].same[0]",
        "has to be the name of one tensor",
    ),
    (
        'quotient = ["d_model", "heads"]',
        'quotient = ["d_modell", "heads"]',
        "d_modell",
        "layout[0].facts.head_dim.quotient[0]",
        "did you mean d_model?",
    ),
    (
        'quotient = ["d_model", "heads"]',
        'quotient = ["d_model"]',
        'quotient = ["d_model"]',
        "layout[0].facts.head_dim.quotient",
        "takes one item more",
    ),
    (
        'quotient = ["d_model", "heads"]',
        'quotient = ["d_model", "activation"]',
        '"d_model", "activation"',
        "layout[0].facts.head_dim.quotient[1]",
        "activation is no whole number",
    ),
    (
        'quotient = ["d_model", "heads"]',
        'quotient = ["d_model", "head_dim"]',
        '"d_model", "head_dim"',
        "layout[0].facts.head_dim.quotient",
        "head_dim would follow from itself",
    ),
    (', why = "GPT.__init__', ', wy = "GPT.__init__', ", wy =", "layout[0].facts.tied[1].wy", "did you mean why?"),
    (
        ', why = "GPT.__init__ makes lm_head and wte apart"',
        "",
        "const = false }",
        "layout[0].facts.tied[1]",
        "a constant needs a `why`",
    ),
    (
        "heads = [\n",
        'heads = [\n { shape = "a", meta = "b" },\n',
        '"a"',
        "layout[0].facts.heads[0]",
        "exactly one source",
    ),
    ("head_bias = { present", "head_bias = [] # {", "head_bias = []", "layout[0].facts.head_bias", "at least one item"),
    ('to = "positions.weight"', "", "[[layout.rule]]", "layout[1].rule[0]", "to is missing"),
    ('to = "positions.weight"', "to = []", "to = []", "layout[1].rule[0].to", "at least one item"),
    ('to = "positions.weight"', "to = 3", "to = 3", "layout[1].rule[0].to", "a name in quotes, not 3"),
    (
        'to = ["layers.{i}.attn.q"',
        'to = ["layers.{i}.atn.q"',
        "atn",
        "layout[0].rule[0].to[0]",
        "there is no slot layers.{i}.atn.q.weight; did you mean layers.{i}.attn.q.weight?",
    ),
    (
        'to = ["layers.{i}.attn.q"',
        'to = ["layers.{h}.attn.q"',
        "{h}",
        "layout[0].rule[0].to[0]",
        "there is no slot layers.{h}.attn.q.weight; did you mean layers.{i}.attn.q.weight?",
    ),
    (
        'to = ["layers.{i}.attn.q", "layers.{i}.attn.k"',
        'to = ["layers.{i}.attn.q", "layers.{i}.attn.q"',
        'to = ["layers.{i}.attn.q", "layers.{i}.attn.q"',
        "layout[0].rule[0].to[1]",
        "layers.{i}.attn.q.weight is in rule[0] as well",
    ),
    (
        'from = "transformer.h.{i}.attn.c_attn"',
        'from = "transformer.h.{i}.attn.c_proj"',
        'from = "transformer.h.{i}.attn.c_proj"',
        "layout[0].rule[0].from",
        'transformer.h.{i}.attn.c_proj.weight is in modules."transformer.h.{i}.attn.c_proj" as well',
    ),
    (
        'split = ["inner", "inner", "inner"]',
        'split = ["inner", "inner"]',
        "[[layout.rule]]",
        "layout[0].rule[0]",
        "the ops make 2 of 1 tensors, and the rule names 3 slots",
    ),
    (
        'split = ["inner", "inner", "inner"]',
        'split = ["inner", "iner", "inner"]',
        "iner",
        "layout[0].rule[0].ops[0]",
        "there is no length iner; did you mean inner?",
    ),
    (
        'from = "transformer.h.{i}.attn.c_attn"',
        'from = ["a.{i}", "b.{i}", "c.{i}"]',
        "ops =",
        "layout[0].rule[0].ops[0]",
        "split in 3 along axis 0 takes one tensor, here are 3",
    ),
    (
        "{ squeeze = 0 }",
        "{ sqeeze = 0 }",
        "sqeeze",
        "layout[1].rule[0].ops[0].sqeeze",
        "there is no word sqeeze; did you mean squeeze?",
    ),
    (
        "{ squeeze = 0 }",
        "{ squeeze = 0, join = 'heads' }",
        "squeeze",
        "layout[1].rule[0].ops[0]",
        "an op is exactly one of",
    ),
    (
        "ops = [{ squeeze = 0 }]",
        "ops = [{ join = 'd_model' }, { split = ['d_model', 'd_model'] }]",
        "[[layout.rule]]",
        "layout[1].rule[0]",
        "the ops make 2 of 1 tensors",
    ),
    (
        'same_as = "transformer.wte.weight"',
        'same_as = "transformer.{i}.weight"',
        "same_as",
        "layout[0].tie[0].same_as",
        "{i} is not in `name`",
    ),
    (
        'expect = "causal_mask"',
        'expect = "causal"',
        'expect = "causal"',
        "layout[0].drop[0].expect",
        "takes 'causal_mask', 'future_mask',",
    ),
    (
        '"lm_head.weight" = "head.weight"',
        '"lm_head.weight" = "embed.weight"',
        '"lm_head.weight"',
        'layout[0].tensors."lm_head.weight"',
        'embed.weight is in modules."transformer.wte" as well',
    ),
    (
        '"lm_head.weight" = "head.weight"',
        '"transformer.h.{i}.attn.c_attn.bias" = "head.bias"',
        "from =",
        "layout[0].rule[0].from",
        'transformer.h.{i}.attn.c_attn.bias is in tensors."transformer.h.{i}.attn.c_attn.bias" as well',
    ),
    (
        '"transformer.ln_f" = "final_norm"',
        '"transformer.ln_f" = "layers.{i}.mlp_norm"',
        "transformer.ln_f",
        'layout[0].modules."transformer.ln_f"',
        "layers.{i}.mlp_norm.weight is in",
    ),
    (
        '"transformer.h.{i}.ln_2" = "layers.{i}.mlp_norm"',
        '"transformer.ln_2" = "layers.{i}.mlp_norm"',
        "transformer.ln_2",
        'layout[0].modules."transformer.ln_2"',
        "there are 1 tensors, and the rule names 2 slots",
    ),
    ('"layers.{i}.attn.v"]', '"layers.{i}.router"]', "router", "layout[0].rule[0].to[2]", "layers.{i}.router.bias"),
]


@pytest.mark.parametrize(("old", "new", "there", "path", "said"), MISTAKES, ids=[f"{m[3]}: {m[4]}" for m in MISTAKES])
def test_a_mistake_is_told_with_its_line_and_its_path(
    own: Callable[..., Path], old: str, new: str, there: str, path: str, said: str
) -> None:
    file = own((old, new))
    lines = file.read_text(encoding="utf-8").splitlines()
    told = [detail for detail in refusal(file).details if said in detail]
    assert len(told) == 1, refusal(file)
    found = LINE.match(told[0])
    assert found
    assert there in lines[int(found[1]) - 1]
    assert told[0].startswith(f"mine.toml:{found[1]}: {path}: " if path else f"mine.toml:{found[1]}: {said}")
    # The one that is meant, where a line like it comes more than once.
    if path.startswith("layout"):
        within = int(re.findall(r"\d+", path)[0])
        assert lines[: int(found[1])].count("[[layout]]") == within + 1


def test_a_rule_without_a_place_of_its_own_is_found_at_its_heading(own: Callable[..., Path]) -> None:
    file = own(('split = ["inner", "inner", "inner"]', 'split = ["inner", "inner"]'))
    number = int(LINE.match(refusal(file).details[0])[1])  # type: ignore[index]
    text = file.read_text(encoding="utf-8").splitlines()
    assert text[number] == 'from = "transformer.h.{i}.attn.c_attn"'


def test_all_mistakes_come_in_one_error_in_the_order_of_the_file(own: Callable[..., Path]) -> None:
    apart = {2, 6, 7, 8, 9, 13, 19, 24, 33, 36}
    told = refusal(own(*((m[0], m[1]) for k, m in enumerate(MISTAKES) if k in apart))).details
    numbers = [int(LINE.match(detail)[1]) for detail in told]  # type: ignore[index]
    assert numbers == sorted(numbers)
    for k in apart:
        assert any(MISTAKES[k][4] in detail for detail in told), MISTAKES[k]
    assert len(told) <= len(apart) + 2  # a fact under a wrong name is also missing under its own


def written_out(kind: str) -> str:
    """minGPT's fused rule for one kind of tensor."""
    parts = ", ".join(f'"layers.{{i}}.attn.{part}.{kind}"' for part in "qkv")
    split = 'ops = [{ split = ["inner", "inner", "inner"] }]'
    return f'[[layout.rule]]\nfrom = "transformer.h.{{i}}.attn.c_attn.{kind}"\nto = [{parts}]\n{split}\n\n'


def test_a_rule_over_modules_is_one_of_weights_and_one_of_biases(own: Callable[..., Path]) -> None:
    start = MINGPT.index("[[layout.rule]]")
    end = MINGPT.index("[[layout.tie]]")
    text = MINGPT[:start] + written_out("weight") + written_out("bias") + MINGPT[end:]
    assert dialect(own(text=text)).layout[0].naming == dialect("mingpt").layout[0].naming


def test_a_rule_over_modules_without_a_bias_is_one_of_weights() -> None:
    rule = RuleEntry(**{"from": "gate.{i}", "to": "layers.{i}.router"})
    assert [(*map(str, each.names), *map(str, each.slots)) for each in rule.apart()] == [
        ("gate.{i}.weight", "layers.{i}.router.weight")
    ]


HEAD_DIM = 'head_dim = { quotient = ["d_model", "heads"] }\n'
"""A fact that both layouts of minGPT say alike."""


def sharing(facts: str, *leaving_out: str) -> str:
    """minGPT's file with facts of all layouts, and without these lines in any layout."""
    text = MINGPT
    for line in leaving_out:
        assert text.count(line) == 2
        text = text.replace(line, "")
    return text.replace("[[layout]]", f"{facts}\n[[layout]]", 1)


def test_shared_facts_are_those_of_each_layout_that_says_nothing_else(own: Callable[..., Path]) -> None:
    facts = f'[facts]\n{HEAD_DIM}activation = {{ const = "relu", why = "never: both layouts say what it is" }}\n'
    refused = '[[layout]]\ntitle = "x"\nrefuse = "y"\nsignature = { needs = "z" }\n'
    read = dialect(own(text=sharing(facts, HEAD_DIM) + refused))
    assert read.layout[:2] == dialect("mingpt").layout
    assert not read.layout[2].facts


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        ('head_dim = { quotient = ["d_modell", "heads"] }', "facts.head_dim.quotient[0]: d_modell is no fact"),
        ("head_dim = { quotent = 1 }", "facts.head_dim.quotent: there is no word quotent; did you mean quotient?"),
        ("head_dim = 3", "facts.head_dim: takes"),
        ('head_dim = "QUESTION"', "facts.head_dim: this question is open"),
        (f"{HEAD_DIM}hed_dim = {{ const = 3, why = 'x' }}", "facts.hed_dim: there is no fact hed_dim; did you mean"),
    ],
)
def test_a_mistake_in_shared_facts_is_told_once_where_it_is(own: Callable[..., Path], fact: str, told: str) -> None:
    path = own(text=sharing(f"[facts]\n{fact}", HEAD_DIM))
    (detail,) = refusal(path).details
    found = LINE.match(detail)
    assert found
    assert detail[found.end() :].startswith(told)
    name = told.removeprefix("facts.")[:8].rstrip(":.")
    assert path.read_text(encoding="utf-8").splitlines()[int(found[1]) - 1].startswith(name[:7])


@pytest.mark.parametrize("value", ["5", "[]", "[{}]", "true"])
def test_shared_facts_that_are_no_table_are_told(own: Callable[..., Path], value: str) -> None:
    told = refusal(own(text=f"facts = {value}\n{MINGPT}")).details
    assert [detail.partition(", not")[0] for detail in told] == ["mine.toml:1: facts: takes a table"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("a = 1\na = 2", 2, None),
        ("[layout\n", 1, 8),
        ('a = "\\x"', 1, 8),
        ("a = [1,\n2", 2, None),
    ],
)
def test_what_is_not_toml_is_told_with_line_and_column(
    own: Callable[..., Path], text: str, line: int, column: int | None
) -> None:
    said = refusal(own(text=text))
    assert said.what == "mine.toml is not TOML"
    assert said.details[0].startswith(f"mine.toml:{line}:{column or ''}")


def test_files_that_cannot_be_dialects(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(NotFoundError, match="cannot open the dialect file"):
        dialect(path)
    path.mkdir()
    assert "is a directory" in refusal(path).what
    path.rmdir()
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    assert "larger than" in refusal(path).what
    path.write_bytes(b'id = "x"\ntitle = "\xff"\n')
    assert "mine.toml:2: the byte 0xff is not UTF-8" in refusal(path).what
    path.write_bytes(b"")
    assert [detail.partition(": ")[2] for detail in refusal(path).details] == [
        f"{word} is missing" for word in ("id", "layout", "source", "target", "title")
    ]
    path.write_text("layout = []\n" + "".join(f'{word} = "gpt2"\n' for word in ("id", "title", "source", "target")))
    assert refusal(path).details == ("mine.toml:1: layout: a dialect has at least one [[layout]]",)
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    assert "too deeply" in refusal(path).what or "not TOML" in refusal(path).what
    path.write_text(f"id = {'9' * 5000}")
    assert refusal(path).details
    path.write_text(f"id = 0x{'9' * 5000}")
    assert refusal(path).details


@pytest.mark.parametrize(
    "value", ["5", '"text"', "[]", "[[1], {}]", "{}", '{ a = 1, "{x}" = {} }', "true", "1979-05-27"]
)
@pytest.mark.parametrize("word", sorted({m[1] for m in re.finditer(r"^(?:\[+layout\.)?(\w+)", MINGPT, re.MULTILINE)}))
def test_any_value_in_place_of_any_word_is_told_with_a_line(own: Callable[..., Path], word: str, value: str) -> None:
    """Also a table's: `[layout.facts]` and what is below become a single value."""
    tree = tomllib.loads(MINGPT)
    first = tree["layout"][0]
    tables = [first["signature"], tree["layout"][1]["signature"], first["facts"]]
    places = [tree, first, *tables, *first["rule"], first["tie"][0], first["drop"][0], first["save"]]
    place = next(each for each in places if word in each)
    place[word] = tomllib.loads(f"k = {value}")["k"]
    path = own(text="".join(f"{key} = {inline(each)}\n" for key, each in tree.items()))
    try:
        dialect(path)
    except UsageError as error:
        details = error.details
    else:
        details = ("mine.toml:1: valid",)
    assert details
    assert all(LINE.match(detail) for detail in details)


def inline(value: Any) -> str:
    """A value on a single line of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value) if isinstance(value, str | bool | int | float) else str(value)


def test_a_file_with_a_byte_order_mark_is_read(own: Callable[..., Path]) -> None:
    path = own()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert dialect(path) != dialect("mingpt")  # it is the user's own
    assert dialect(path).model_dump() == dialect("mingpt").model_dump()


def test_constants_that_make_no_sense_together_are_told_with_their_line(
    own: Callable[..., Path], golden: Callable[[str], Any]
) -> None:
    text = dialect_text("llama2c")
    (constant,) = {line for line in text.splitlines() if line.startswith("rope_theta = ")}
    path = own((constant, 'rope_theta = { const = 0, why = "a slip" }'), text=text)
    with pytest.raises(FactsError, match="impossible model") as refused:
        plan(Request(source=golden("llama2c").path, dialect=path))
    line = text.splitlines().index(constant) + 1
    assert refused.value.details == (f"rope_theta is 0, but there is RoPE (dialect: mine.toml:{line}: a slip)",)


@pytest.mark.parametrize("known", dialects(), ids=lambda known: known.id)
def test_the_built_in_files_stand_up_to_the_same_checks(known: Dialect) -> None:
    assert _problems(tomllib.loads(dialect_text(known.id)), TARGET_IDS) == []


@pytest.mark.parametrize(
    ("word", "is_path"),
    [("mingpt", False), ("./mingpt", True), ("mine.toml", True), ("../a/b", True), ("mingpt.tom", False), ("", False)],
)
def test_what_is_a_path(word: str, is_path: bool) -> None:
    assert (d.own_file(word) is not None) == is_path
    assert d.own_file(Path(word)) == Path(word)


def test_an_unknown_id_is_refused_with_what_is_near() -> None:
    with pytest.raises(UsageError, match="did you mean mingpt") as refused:
        dialect("mingpd")
    assert "--dialect ./mingpd.toml" in str(refused.value)


# --- what a rule may give


@settings(deadline=None)
@given(st.data())
def test_every_slot_of_every_spec_is_of_a_known_family(data: st.DataObject) -> None:
    changes: dict[str, Any] = {}
    for name in FIELDS:
        if fixed := choices(name):
            changes[name] = data.draw(st.sampled_from(fixed))
        elif type(getattr(SPEC, name)) is int:
            changes[name] = data.draw(st.integers(0, 5))
    for slot in slots(replace(SPEC, **changes)):
        assert sum(family.match(slot) is not None for family in slot_families()) == 1, slot


def test_a_family_is_one_that_some_spec_has() -> None:
    assert "layers.{i}.attn.q.weight" in map(str, slot_families())
    assert len({str(family) for family in slot_families()}) == len(slot_families())


def test_a_rule_that_fits_no_such_model_is_the_user_s_to_correct(
    own: Callable[..., Path], golden: Callable[[str], Any]
) -> None:
    """Whether all its slots are there is seen only once the facts are known."""
    path = own(('"layers.{i}.attn.v"]', '"layers.{i}.mlp.gate"]'))
    with pytest.raises(UsageError) as refused:
        plan(Request(source=golden("mingpt").path, dialect=path, facts=("heads=3",)))
    (told,) = refused.value.details
    number = int(LINE.match(told)[1])  # type: ignore[index]
    assert "c_attn" in path.read_text(encoding="utf-8").splitlines()[number]
    assert "of which this model has only some" in told


def test_two_entries_that_speak_of_one_tensor_of_one_layer_are_the_user_s_to_correct(
    own: Callable[..., Path], golden: Callable[[str], Any]
) -> None:
    """Their names differ as patterns, so that both speak of it is seen only once the layers are counted."""
    twice = '"transformer.h.0.ln_1.weight" = "layers.0.attn_norm.weight"'
    path = own(('"lm_head.weight" = "head.weight"', f'"lm_head.weight" = "head.weight"\n{twice}'))
    with pytest.raises(UsageError) as refused:
        plan(Request(source=golden("mingpt").path, dialect=path, facts=("heads=3",)))
    (told,) = refused.value.details
    number = int(LINE.match(told)[1])  # type: ignore[index]
    assert path.read_text(encoding="utf-8").splitlines()[number - 1] == twice
    assert "two rules of one naming speak of slot layers.0.attn_norm.weight" in told


def test_no_rule_of_a_built_in_dialect_gives_what_no_model_has() -> None:
    """Else a bias beside an embedding would pass for a name that the layout knows."""
    for known in dialects():
        for layout in known.layout:
            assert all(is_slot(slot) for rule in layout.naming.rules for slot in rule.slots), (known.id, layout.title)


def test_the_same_rule_of_a_built_in_dialect_is_our_fault() -> None:
    known = dialect("mingpt")
    rules = known.layout[0].naming.rules
    with pytest.raises(UnsoundRuleError) as refused:
        link(replace(known.layout[0].naming, rules=(*rules, rules[0])), SPEC)
    assert isinstance(refused.value, BrokenPromiseError)
    assert d.blamed(known, refused.value) is None


# --- reading checkpoints with it


def test_an_own_file_asserts_its_constants_and_may_be_named_as_text_or_as_a_path(
    own: Callable[..., Path], golden: Callable[[str], Any]
) -> None:
    path = own()
    source = golden("mingpt").path
    for named in (path, str(path)):
        made = plan(Request(source=source, dialect=named, facts=("heads=3",)))
        assert made.candidate.fit.dialect.file is not None
        assert made.candidate.fit.dialect.file.path == path
        assert made.candidate.resolution.facts["activation"].origin.value == "dialect"
    found = inspect(Request(source=source, dialect=path))
    assert [each.fit.dialect.name for each in found.candidates] == ["mingpt (mine.toml)"]


def test_a_file_beside_the_checkpoint_names_it_from_where_it_lies(
    own: Callable[..., Path], golden: Callable[[str], Any], tmp_path: Path
) -> None:
    own()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.pt").write_bytes(golden("mingpt").path.read_bytes())
    (tmp_path / "run" / "ckpt2hf.toml").write_text('dialect = "../mine.toml"\nset = { heads = 3 }\n')
    made = plan(Request(source=tmp_path / "run" / "model.pt"))
    assert made.candidate.fit.dialect.name == "mingpt (mine.toml)"


def test_a_file_behind_a_url_is_read_too(golden: Callable[[str], Any]) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/own-dialect/mine.toml", MINGPT.encode())
    store.pipe("/own-dialect/ckpt2hf.toml", b'dialect = "./mine.toml"\nset = { heads = 3 }\n')
    store.pipe("/own-dialect/model.pt", golden("mingpt").path.read_bytes())
    file = plan(Request(source=path_or_url("memory://own-dialect/model.pt"))).candidate.fit.dialect.file
    assert file == dialect("memory://own-dialect/mine.toml").file
    assert file is not None
    assert file.sha256 == hashlib.sha256(MINGPT.encode()).hexdigest()
    with pytest.raises(UsageError, match="is a directory"):
        dialect("memory://own-dialect/")
    with pytest.raises(NotFoundError):
        dialect("memory://own-dialect/nowhere.toml")


def test_names_that_do_not_fit_are_told_with_the_file(own: Callable[..., Path], golden: Callable[[str], Any]) -> None:
    with pytest.raises(Ckpt2hfError, match=r"not named as in dialect mingpt \(mine.toml\)"):
        plan(Request(source=golden("nanogpt_bias").path, dialect=own()))
    with pytest.raises(Ckpt2hfError, match=r"not named as in dialect mingpt \(mine.toml\)"):
        plan(Request(source=golden("az50_v1").path, dialect=own()))


# --- whatever is written


WORDS = sorted(set(re.findall(r'"[^"\n]*"|[\w.]+|[\[\]{}=,]+', MINGPT)))


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """minGPT's file after some hand has slipped."""
    text = draw(st.sampled_from([dialect_text(known.id) for known in dialects()]))
    for _ in range(draw(st.integers(1, 3))):
        tokens = list(re.finditer(r'"[^"\n]*"|[\w.]+|[^\w\s]|\n', text))
        token = tokens[draw(st.integers(0, len(tokens) - 1))]
        end = tokens[min(len(tokens) - 1, tokens.index(token) + draw(st.sampled_from([0, 0, 0, 1, 5])))].end()
        new = draw(
            st.one_of(st.sampled_from(WORDS), st.sampled_from(["", "3", "-1", "true", "[]", "{}", '""', '"{i}"']))
        )
        text = text[: token.start()] + new + text[end:]
    return text


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=mangled())
def test_no_file_is_a_crash(own: Callable[..., Path], golden: Callable[[str], Any], text: str) -> None:
    path = own(text=text)
    try:
        dialect(path)
    except UsageError as error:
        unplaced = [detail for detail in error.details or ("nothing",) if not LINE.match(detail)]
    else:
        unplaced = []
    assert not unplaced
    for name, facts in (
        ("mingpt", ("heads=3",)),
        ("nanogpt_bias", ()),
        ("az50_v2", ("attention_scale=d_model**-0.5",)),
    ):
        code = 0
        try:
            plan(Request(source=golden(name).path, dialect=path, facts=facts))
        except Ckpt2hfError as error:
            code = error.exit_code
        assert code in {0, 1, 2}


def test_one_built_in_dialect_is_read_without_the_others() -> None:
    script = (
        "from ckpt2hf.dialects import dialect, load; dialect('nanogpt'); print(load._built_in.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
