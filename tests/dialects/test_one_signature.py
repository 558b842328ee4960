"""Five codebases save the same names and shapes for five different functions; none is ever taken for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import Exactness, Request, plan
from ckpt2hf.errors import FactsError, InexactError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS: dict[str, dict[str, Any]] = {
    "ng-video": {"activation": "relu", "scale": "head_dim"},
    "ng-video before 2023-01-25": {"activation": "relu", "scale": "d_model"},
    "az course": {"activation": "gelu", "scale": "head_dim"},
    "az course, day 14": {"activation": "gelu", "scale": "d_model"},
    "fcc": {"activation": "relu", "scale": "head_dim", "post": True},
}
PRE_NORM = [name for name, function in FUNCTIONS.items() if "post" not in function]


def flags(function: dict[str, Any]) -> dict[str, Any]:
    """What a person who knows the codebase types."""
    dialect = {"relu": "karpathy-lecture", "gelu": "az-course"}[function["activation"]]
    return {"dialect": dialect, "facts": (f"attention_scale={function['scale']}**-0.5",)}


@pytest.fixture(params=FUNCTIONS)
def made(request: pytest.FixtureRequest, models: Any, saved: Any) -> tuple[str, Path, Any]:
    model = models.loud(models.Lecture(**FUNCTIONS[request.param]))
    return request.param, saved(model.state_dict()), model


def test_the_five_save_the_same_names_and_shapes(models: Any) -> None:
    states = [models.loud(models.Lecture(**function)).state_dict() for function in FUNCTIONS.values()]
    for state in states:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_the_five_compute_five_functions(models: Any, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        logits = [models.loud(models.Lecture(**function))(tokens)[0] for function in FUNCTIONS.values()]
    apart = [float((a - b).abs().max()) for k, a in enumerate(logits) for b in logits[:k]]
    assert min(apart) > 0.1


def test_without_flags_each_is_refused_and_every_flag_is_named(made: tuple[str, Path, Any]) -> None:
    _, path, _ = made
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    said = str(refused.value)
    assert "--dialect az-course" in said
    assert "--dialect karpathy-lecture" in said
    assert "--dialect fcc" in said
    assert "--set 'attention_scale=head_dim**-0.5'" in said
    assert "--set 'attention_scale=d_model**-0.5'" in said
    assert "--reference" in said


@pytest.mark.parametrize("dialect", ["az-course", "karpathy-lecture"])
def test_a_dialect_alone_does_not_decide_the_scale(made: tuple[str, Path, Any], dialect: str) -> None:
    with pytest.raises(FactsError, match="attention_scale"):
        plan(Request(source=made[1], dialect=dialect))


@pytest.mark.parametrize("heads", [3, 4])
@pytest.mark.parametrize("name", PRE_NORM)
def test_the_right_flags_give_the_right_logits(name: str, heads: int, models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Lecture(heads=heads, **FUNCTIONS[name]))
    report = proved(saved(model.state_dict()), model, **flags(FUNCTIONS[name]))
    assert report.exactness == "algebraic"  # the head bias
    steps = {rewrite.id: rewrite.exactness for rewrite in report.rewrites}
    folded = {"attention scale into q": "bitwise" if heads == 4 else "algebraic"}
    assert {k: v for k, v in steps.items() if "scale" in k} == (folded if "d_model" in FUNCTIONS[name]["scale"] else {})


@pytest.mark.parametrize("name", PRE_NORM)
def test_the_flags_of_the_other_three_give_other_logits(
    name: str, models: Any, saved: Any, proved: Any, tokens: torch.Tensor
) -> None:
    """What verification cannot know, a person has to: this is why nothing is guessed."""
    path = saved(models.loud(models.Lecture(**FUNCTIONS[name])).state_dict())
    own = models.loud(models.Lecture(**FUNCTIONS[name]))
    for other in PRE_NORM:
        if other != name:
            theirs = models.loud(models.Lecture(**FUNCTIONS[other]))
            proved(path, theirs, **flags(FUNCTIONS[other]))
            with torch.no_grad():
                assert float((theirs(tokens)[0] - own(tokens)[0]).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("dialect", "error"), [("az-course", UnsupportedError), ("karpathy-lecture", InexactError), ("fcc", InexactError)]
)
def test_post_norm_is_understood_and_refused_by_name(
    dialect: str, error: type[UnsupportedError], models: Any, saved: Any
) -> None:
    """With ReLU it is nearly the first GPT, which has to be allowed; with erf GELU it is nothing."""
    path = saved(models.loud(models.Lecture(**FUNCTIONS["fcc"])).state_dict())
    facts = ("attention_scale=head_dim**-0.5", "norm_placement=post")
    with pytest.raises(UnsupportedError) as refused:
        plan(Request(source=path, dialect=dialect, facts=facts))
    assert type(refused.value) is error
    wanted = "--allow numerically-equal" if error is InexactError else "norm_placement is post"
    assert wanted in str(refused.value)
    assert refused.value.exit_code == (2 if error is InexactError else 1)


def own_code(folder: Path, models_file: Path, function: dict[str, Any]) -> str:
    """The user's model.py, which says which of the five it is."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in function.items())
    mine = f"\n\nclass Mine(Lecture):\n    def __init__(self) -> None:\n        super().__init__({arguments})\n"
    path = folder / "model.py"
    path.write_text(models_file.read_text(encoding="utf-8") + mine, encoding="utf-8")
    return f"{path}:Mine"


@pytest.mark.parametrize("named", [None, "karpathy-lecture"])
@pytest.mark.parametrize("name", PRE_NORM)
def test_the_user_s_own_code_decides(
    name: str, named: str | None, models: Any, models_file: Path, saved: Any, tmp_path: Path
) -> None:
    function = FUNCTIONS[name]
    path = saved(models.loud(models.Lecture(**function)).state_dict())
    decided = plan(Request(source=path, dialect=named, reference=own_code(tmp_path, models_file, function)))
    assert decided.spec.activation.value == function["activation"]
    assert decided.spec.attention_scale.text == f"{function['scale']}**-0.5"
    assert decided.candidate.resolution.facts["attention_scale"].origin.value == "reference"


def test_the_user_s_own_post_norm_code_is_recognised_and_refused(
    models: Any, models_file: Path, saved: Any, tmp_path: Path
) -> None:
    path = saved(models.loud(models.Lecture(**FUNCTIONS["fcc"])).state_dict())
    code = own_code(tmp_path, models_file, FUNCTIONS["fcc"])
    with pytest.raises(InexactError, match="OpenAIGPTLMHeadModel computes this model almost"):
        plan(Request(source=path, reference=code))
    made = plan(Request(source=path, reference=code, allow=(Exactness.NUMERICAL,)))
    assert made.spec.norm_placement.value == "post"
    assert made.exactness is Exactness.NUMERICAL


def test_code_that_computes_something_else_decides_nothing(
    models: Any, models_file: Path, saved: Any, tmp_path: Path
) -> None:
    path = saved(models.loud(models.Lecture(**FUNCTIONS["ng-video"])).state_dict())
    other = own_code(tmp_path, models_file, {"activation": "relu", "scale": "head_dim"})
    file = tmp_path / "model.py"
    file.write_text(file.read_text(encoding="utf-8").replace("is_causal=True", "is_causal=False"), encoding="utf-8")
    with pytest.raises(FactsError, match="none of the functions"):
        plan(Request(source=path, reference=other))
