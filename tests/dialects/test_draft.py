"""`inspect --draft`: layouts that no built-in dialect knows become dialect files by answering their questions only."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from ckpt2hf.api import Level, Request, Writing, convert, dialect, draft, plan
from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects.draft import count, render
from ckpt2hf.dialects.draft import draft as draft_of
from ckpt2hf.errors import CheckpointError, Ckpt2hfError, FactsError, MappingError, UsageError
from drafts import Question, answer
from module_file import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.dialects.draft import Draft

MODELS = Path(__file__).with_name("strange_models.py")
NOISE = 2e-5
"""Largest float32 difference of two right implementations at these sizes, in the logits' own unit (measured: 4e-6)."""


@dataclass(frozen=True)
class Case:
    """A model of our own: what a person answers in the file, and says about the facts."""

    name: str
    answers: dict[str, Any]
    facts: tuple[str, ...]


USUAL = ("norm_placement=pre", "norm_eps=1e-5", "attention_scale=head_dim**-0.5")
CASES = (
    Case("TorchGPT", {}, ("heads=3", "activation=gelu", *USUAL)),
    Case("EinsumGPT", {"layers.{i}.wo": [{"transpose": True}]}, ("activation=relu", *USUAL)),
    Case(
        "Dil",
        {
            "vocab": "sozler.weight",
            "context": "yerler.weight",
            "sozler": "embed",
            "yerler": "positions",
            "qatlar.{i}.sual": "layers.{i}.attn.q",
            "qatlar.{i}.acar": "layers.{i}.attn.k",
            "qatlar.{i}.deyer": "layers.{i}.attn.v",
            "qatlar.{i}.cem": "layers.{i}.attn.out",
            "qatlar.{i}.birinci": "layers.{i}.attn_norm",
            "qatlar.{i}.ikinci": "layers.{i}.mlp_norm",
        },
        ("heads=3", "activation=gelu_tanh", *USUAL),
    ),
    Case(
        "Letters",
        {
            "b.{i}.a": "layers.{i}.mlp.up",
            "b.{i}.c": "layers.{i}.mlp.gate",
            "b.{i}.n.g": "layers.{i}.attn_norm.weight",
            "b.{i}.m.g": "layers.{i}.mlp_norm.weight",
        },
        (
            *("heads=4", "activation=silu", "norm=rmsnorm", "norm_offset=false", "context=16", "position=rope"),
            *("rope_layout=pairs", "rope_theta=1e4", "norm_placement=pre", "norm_eps=1e-6"),
            "attention_scale=head_dim**-0.5",
        ),
    ),
)


@pytest.fixture(scope="session")
def strange() -> Any:
    return load_module(MODELS, "strange_models")


@pytest.fixture
def saved_as(strange: Any, tmp_path: Path) -> Callable[[str], tuple[Path, Any]]:
    def save(name: str) -> tuple[Path, Any]:
        model = strange.loud(getattr(strange, name)())
        torch.save(model.state_dict(), tmp_path / "model.pt")
        return tmp_path / "model.pt", model

    return save


def pick(answers: dict[str, Any]) -> Callable[[Question], dict[str, Any]]:
    """The answer of a person, which has to be among those that are offered."""

    def choose(question: Question) -> dict[str, Any]:
        wanted = answers[question.about]
        return next(each for each in question.answers if wanted in _told(each))

    return choose


def _told(answer: dict[str, Any]) -> list[Any]:
    return [value.get("shape") if isinstance(value, dict) else value for value in answer.values()]


def drafted(source: Path, answers: dict[str, Any]) -> tuple[Draft, Path]:
    """The draft of a checkpoint, written, and answered in the file."""
    out = source.with_name("mine.toml")
    made = draft(Request(source=source), out).draft
    open_ones: list[str] = []

    def choose(question: Question) -> dict[str, Any]:
        open_ones.append(question.about)
        return pick(answers)(question)

    out.write_text(answer(out.read_text(encoding="utf-8"), choose), encoding="utf-8")
    assert sorted(open_ones) == sorted(answers)  # nothing more is asked, and nothing less
    return made, out


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answering_its_questions_makes_a_dialect_that_is_proved(
    case: Case, saved_as: Callable[[str], tuple[Path, Any]], strange: Any, tmp_path: Path
) -> None:
    source, model = saved_as(case.name)
    with pytest.raises(MappingError, match="no dialect knows") as refused:
        plan(Request(source=source))
    assert any("--draft mine.toml" in remedy for remedy in refused.value.remedies)
    made, own = drafted(source, case.answers)
    assert dialect(own).layout[0].family == ("llama" if case.name == "Letters" else "gpt")
    assert set(made.questions) == {fact.partition("=")[0] for fact in case.facts}
    report = convert(Request(source=source, dialect=own, facts=case.facts), Writing(out=tmp_path / "out"))
    assert report.verdict.proved
    tokens = torch.randint(strange.VOCAB, (2, strange.TIME), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()(tokens).logits
        assert float((theirs - model(tokens)).abs().max()) <= NOISE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_tensor_is_in_one_place(case: Case, saved_as: Callable[[str], tuple[Path, Any]]) -> None:
    source, _ = saved_as(case.name)
    checkpoint = open_checkpoint(source)
    made = draft_of(checkpoint)
    assert count(made.places) + count(made.left_out) == len(checkpoint.tensors)
    names = [name for each in (*made.places, *made.left_out) for name in each.kind.names]
    assert sorted(names) == sorted(checkpoint.tensors)
    assert all(0.9 <= place.choices[0].confidence <= 1 for place in made.sure)
    assert all(place.question for place in made.asked)


def test_open_questions_are_told_with_their_lines(saved_as: Callable[[str], tuple[Path, Any]]) -> None:
    source, _ = saved_as("Dil")
    out = source.with_name("mine.toml")
    draft(Request(source=source), out)
    lines = out.read_text(encoding="utf-8").splitlines()
    marked = [k for k, line in enumerate(lines, 1) if line.endswith('= "QUESTION"')]
    with pytest.raises(UsageError, match="is a draft with 10 open questions") as refused:
        dialect(out)
    told = [int(found[1]) for detail in refused.value.details if (found := re.match(r"mine\.toml:(\d+): ", detail))]
    assert told == marked
    with pytest.raises(UsageError, match="10 open questions"):
        convert(Request(source=source, dialect=out), Writing(out=source.with_name("out")))
    # A mistake beside the questions is told as one, and the questions stay.
    out.write_text("\n".join(lines).replace('"son" = "final_norm"', '"son" = "final_nrom"'), encoding="utf-8")
    with pytest.raises(UsageError, match="is no valid dialect: 11 problems") as refused:
        dialect(out)
    assert any("did you mean final_norm" in detail for detail in refused.value.details)


@pytest.mark.slow
def test_the_reference_answers_the_facts_and_catches_a_wrong_answer(
    saved_as: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    source, _ = saved_as("Dil")
    answers = next(case for case in CASES if case.name == "Dil").answers
    _, own = drafted(source, answers)
    asked = Request(source=source, dialect=own, reference=f"{MODELS}:Dil")
    spec = plan(asked).spec
    assert (spec.heads, spec.activation.value, spec.norm_eps) == (3, "gelu_tanh", 1e-5)
    right = own.read_text(encoding="utf-8")
    swaps = (("attn.q", "attn.k"), ("attn.v", "attn.out"), ("attn_norm", "mlp_norm"))
    for one, other in swaps:
        wrong = right.replace(f'= "layers.{{i}}.{one}"', '= "X"')
        wrong = wrong.replace(f'= "layers.{{i}}.{other}"', f'= "layers.{{i}}.{one}"')
        own.write_text(wrong.replace('= "X"', f'= "layers.{{i}}.{other}"'), encoding="utf-8")
        with pytest.raises(FactsError, match="your code computes none of the functions"):
            plan(asked)
    # Without the code there is nothing to compare with: both sides of the proof share the wrong answer.
    facts = next(case for case in CASES if case.name == "Dil").facts
    report = convert(Request(source=source, dialect=own, facts=facts), Writing(out=tmp_path / "o", level=Level.BYTES))
    assert report.verdict.proved


def test_metadata_and_modules_answer_what_they_can(strange: Any, tmp_path: Path) -> None:
    model = strange.loud(strange.TorchGPT())
    settings = {"cfg": {"nhead": 3, "dropout": 0.1, "layer_norm_eps": 1e-5}, "step": 3}
    torch.save({"weights": model.state_dict(), **settings}, tmp_path / "a.pt")
    made = draft_of(open_checkpoint(tmp_path / "a.pt"))
    assert set(made.questions) == {"norm_placement", "activation", "attention_scale"}
    # A number that cannot be the fact is not believed.
    torch.save({"weights": model.state_dict(), "cfg": {"nhead": 7}}, tmp_path / "b.pt")
    assert "heads" in draft_of(open_checkpoint(tmp_path / "b.pt")).questions
    # Nor is one that is contradicted.
    torch.save({"weights": model.state_dict(), "a": {"nhead": 3}, "b": {"n_head": 6}}, tmp_path / "c.pt")
    assert "heads" in draft_of(open_checkpoint(tmp_path / "c.pt")).questions


def test_a_pickled_model_shows_its_modules(strange: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415 - only here

    monkeypatch.setitem(sys.modules, "strange_models", strange)
    torch.save(strange.loud(strange.TorchGPT()), tmp_path / "model.pth")
    made = draft_of(open_checkpoint(tmp_path / "model.pth"))
    assert set(made.questions) == {"norm_placement", "attention_scale"}
    assert not made.asked


SHAPES = {
    "alternating": lambda: {
        "emb.weight": (31, 12),
        "pos.weight": (8, 12),
        **{
            f"layers.{2 * i + k}.{name}": shape
            for i in range(3)
            for k, names in enumerate(
                (
                    {"norm.weight": (12,), "norm.bias": (12,), "wq.weight": (12, 12), "wk.weight": (12, 12)}
                    | {"wv.weight": (12, 12), "wo.weight": (12, 12)},
                    {"norm.weight": (12,), "norm.bias": (12,), "w1.weight": (48, 12), "w2.weight": (12, 48)},
                )
            )
            for name, shape in names.items()
        },
        "out.weight": (31, 12),
    },
    "from one": lambda: {
        "embedding": (31, 12),
        **{
            f"layer{i}/{name}": shape
            for i in (1, 2, 3)
            for name, shape in {"a": (12, 12), "b": (12, 12), "c": (12, 30), "d": (30, 12), "s": (12,)}.items()
        },
    },
}
"""Names whose numbers are not simply those of the layers."""


@pytest.mark.parametrize("name", SHAPES)
def test_other_ways_to_count_layers(name: str, tmp_path: Path) -> None:
    made = torch.Generator().manual_seed(0)
    state = {key: torch.randn(shape, generator=made) for key, shape in SHAPES[name]().items()}
    torch.save(state, tmp_path / "model.pt")
    result = draft_of(open_checkpoint(tmp_path / "model.pt"))
    patterns = {place.kind.pattern for place in result.places}
    if name == "alternating":
        placed = {place.kind.pattern: place.choices[0].slots[0] for place in result.sure}
        assert placed["layers.{2i}.norm.weight"] == "layers.{i}.attn_norm.weight"
        assert placed["layers.{2i+1}.w2.weight"] == "layers.{i}.mlp.down.weight"
        assert placed["layers.{2i}.wo.weight"] == "layers.{i}.attn.out.weight"
    else:
        assert patterns == {"embedding", *(f"layer{{i+1}}/{part}" for part in "abcds")}
        assert len(result.asked) >= 4  # four matrices are no block, so they are asked about


def test_experts_and_stacks_find_their_places(tmp_path: Path) -> None:
    made = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {"emb.weight": (31, 12), "norm.scale": (12,)}
    for i in range(2):
        shapes |= {f"blocks.{i}.attn.qkv": (3, 12, 12), f"blocks.{i}.attn.o_proj.weight": (12, 12)}
        shapes |= {f"blocks.{i}.ln1.scale": (12,), f"blocks.{i}.ln2.scale": (12,), f"blocks.{i}.router.weight": (4, 12)}
        for e in range(4):
            shapes |= {f"blocks.{i}.experts.{e}.{name}.weight": (20, 12) for name in ("gate", "up")}
            shapes[f"blocks.{i}.experts.{e}.down.weight"] = (12, 20)
    torch.save({key: torch.randn(shape, generator=made) for key, shape in shapes.items()}, tmp_path / "model.pt")
    result = draft_of(open_checkpoint(tmp_path / "model.pt"))
    placed = {place.kind.pattern: place.choices[0].slots for place in result.sure}
    for part in ("gate", "up", "down"):
        slots = (f"layers.{{i}}.experts.{{e}}.{part}.weight",)
        assert placed[f"blocks.{{i}}.experts.{{e}}.{part}.weight"] == slots
    assert placed["blocks.{i}.router.weight"] == ("layers.{i}.router.weight",)
    assert [place.kind.pattern for place in result.asked] == ["blocks.{i}.attn.qkv"]
    assert result.target == "qwen3_moe"
    assert "experts_per_token" in result.questions


def test_names_that_no_line_can_hold_are_refused(strange: Any, tmp_path: Path) -> None:
    state = strange.loud(strange.Letters()).state_dict()
    torch.save({**state, "deck.{i}.x": torch.ones(3)}, tmp_path / "model.pt")
    with pytest.raises(MappingError, match="a dialect file has no words for names with braces"):
        draft_of(open_checkpoint(tmp_path / "model.pt"))
    torch.save({**state, "deck.0.x\nid = 'not mine'": torch.ones(3)}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no plain text"):
        draft_of(open_checkpoint(tmp_path / "model.pt"))
    quoted = {'deck.0."q" \\ #': torch.randn(3, 5), "deck.1.#": torch.ones(2)}
    torch.save({**state, **quoted}, tmp_path / "model.pt")
    tree = tomllib.loads(render(draft_of(open_checkpoint(tmp_path / "model.pt"))))
    assert set(quoted) <= {rule["from"] for rule in tree["layout"][0]["rule"]}


def test_what_has_no_layers_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3, 4), "b": torch.ones(4)}, tmp_path / "model.pt")
    with pytest.raises(MappingError, match="nothing in these tensor names is numbered"):
        draft(Request(source=tmp_path / "model.pt"), tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_a_file_is_not_overwritten(saved_as: Callable[[str], tuple[Path, Any]], tmp_path: Path) -> None:
    source, _ = saved_as("TorchGPT")
    own = tmp_path / "mine.toml"
    own.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        draft(Request(source=source), own)
    assert own.read_text(encoding="utf-8") == "mine"
    draft(Request(source=source), own, force=True)
    assert dialect(own).id == "mine"
    for wrong in (tmp_path, tmp_path / "mine", tmp_path / "no" / "mine.toml"):
        with pytest.raises(Ckpt2hfError):
            draft(Request(source=source), wrong, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml", "model.pt"]


def test_zeros_are_not_taken_for_the_same_tensor(strange: Any, tmp_path: Path) -> None:
    model = strange.loud(strange.Letters())
    state = {**model.state_dict(), "b.0.o.weight": torch.zeros(24, 24), "b.0.q.weight": torch.zeros(24, 24)}
    state |= {"b.1.o.weight": torch.zeros(24, 24), "b.1.q.weight": torch.zeros(24, 24)}
    torch.save(state, tmp_path / "model.pt")
    checkpoint = open_checkpoint(tmp_path / "model.pt")
    assert not draft_of(checkpoint).left_out
    shared = {**checkpoint.tensors, "h.weight": checkpoint.tensors["e.weight"]}
    left = draft_of(replace(checkpoint, tensors=shared)).left_out
    assert [(each.kind.pattern, each.expect) for each in left] == [("h.weight", "e.weight")]
