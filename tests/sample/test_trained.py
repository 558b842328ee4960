"""Models that learned something: what text decides about them, what it leaves open, and what it contradicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import AskedTokenizer, Request, Writing, convert, plan, prove
from ckpt2hf.dialects.weighing import Standing
from ckpt2hf.errors import FactsError
from ckpt2hf.ir import plain
from ckpt2hf.run import reading_search
from ckpt2hf.verify import Level
from ckpt2hf.verify.weigh import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.dialects.weighing import Weighed, Weighing

NANOGPT = {"dialect": "nanogpt"}


def row(weighing: Weighing, **answers: str) -> Weighed:
    """The row of a reading with these answers that is nearest to the best."""
    return next(each for each in weighing.rows if answers.items() <= each.answers.items())


def origins(candidate: Any) -> Mapping[str, tuple[Any, str]]:
    return {name: (plain(fact.value), fact.origin.value) for name, fact in candidate.resolution.facts.items()}


# --- the trained example


def test_the_example_shows_its_scale_and_that_it_is_no_relu(example: Path, judged: Callable) -> None:
    judgement = judged(example / "az_llm_mini_final.pt", example / "heldout.npy")
    weighing = judgement.weighing
    assert weighing.decided == {"norm_placement": "pre", "attention_scale": "head_dim**-0.5"}
    for wrong in ({"activation": "relu"}, {"activation": "silu"}, {"attention_scale": "d_model**-0.5"}):
        assert row(weighing, **wrong).standing is Standing.WORSE
        assert row(weighing, **wrong).behind > 40 * MARGIN


def test_the_example_does_not_show_which_gelu_it_was(example: Path, judged: Callable) -> None:
    # The forms of GELU differ by 6.6e-7 nats per token here, a third of a standard error: no text decides that.
    judgement = judged(example / "az_llm_mini_final.pt", example / "heldout.npy")
    near = [each for each in judgement.weighing.rows if each.standing is not Standing.WORSE]
    assert {each.answers["activation"] for each in near} == {"gelu", "gelu_tanh"}
    assert max(each.behind for each in near) < MARGIN / 100
    assert judgement.weighing.undecided == ("activation",)
    assert judgement.candidate is None
    refusal = str(judgement.refusal)
    assert "does not decide activation" in refusal
    assert "activation=gelu_tanh" in refusal
    assert "--dialect az-course" in refusal
    assert "--set activation=gelu" in refusal


def test_what_the_sample_leaves_open_the_dialect_may_know(example: Path, judged: Callable) -> None:
    judgement = judged(example / "az_llm_mini_final.pt", example / "heldout.npy", dialect="az-course")
    facts = origins(judgement.candidate)
    assert facts["attention_scale"] == ("head_dim**-0.5", "sample")
    assert facts["activation"] == ("gelu", "dialect")
    assert judgement.candidate.resolution.facts["attention_scale"].where.startswith("heldout.npy: d_model**-0.5 loses")


def test_the_example_as_text_with_the_tokenizer_beside_it(
    example: Path, judged: Callable, trained: Any, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes((example / "az_llm_mini_final.pt").read_bytes())
    said = {"dialect": "az-course", "tokenizer": AskedTokenizer(path=example / "tokenizer.json")}
    judgement = judged(tmp_path / "model.pt", trained.text, **said)
    assert judgement.weighing.decided == {"attention_scale": "head_dim**-0.5"}
    assert judgement.weighing.tokenizer == example / "tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes((example / "tokenizer.json").read_bytes())
    beside = judged(tmp_path / "model.pt", trained.text, dialect="az-course")
    assert beside.weighing.rows == judgement.weighing.rows


# --- heads of fused qkv


@pytest.mark.parametrize(("name", "heads", "activation"), [("six", 6, "gelu_tanh"), ("two", 2, "gelu")])
def test_heads_are_decided_among_all_divisors(
    name: str, heads: int, activation: str, trained: Any, judged: Callable
) -> None:
    judgement = judged(getattr(trained, name), trained.ids, f"activation={activation}", **NANOGPT)
    weighing = judgement.weighing
    assert {each.answers["heads"] for each in weighing.rows} == {"1", "2", "3", "4", "6", "8", "12", "16", "24", "48"}
    assert weighing.decided == {"heads": str(heads)}
    assert all(each.standing is Standing.WORSE for each in weighing.rows if each.answers["heads"] != str(heads))
    assert min(each.behind for each in weighing.rows if each.answers["heads"] != str(heads)) > 10 * MARGIN
    assert origins(judgement.candidate)["heads"] == (heads, "sample")
    assert origins(judgement.candidate)["activation"] == (activation, "user")


def test_a_significant_difference_below_the_margin_is_no_decision(trained: Any, judged: Callable) -> None:
    # Trained with the tanh GELU, this model predicts better with the erf GELU: by a hair, and significantly.
    judgement = judged(trained.six, trained.ids, **NANOGPT)
    assert judgement.weighing.decided == {"heads": "6"}
    assert judgement.weighing.undecided == ("activation",)
    assert row(judgement.weighing, heads="6", activation="gelu").behind < MARGIN / 10
    assert row(judgement.weighing, heads="6", activation="gelu_tanh").behind < MARGIN / 10


def test_a_search_decides_as_trying_everything_does(
    trained: Any, judged: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = judged(trained.six, trained.ids).weighing
    monkeypatch.setattr(reading_search, "AFFORDABLE", 0)
    part = judged(trained.six, trained.ids).weighing
    assert (whole.exhaustive, part.exhaustive) == (True, False)
    assert part.decided == whole.decided == {"heads": "6"}
    assert part.rows[0].answers == whole.rows[0].answers
    # Everything beside the best reading was compared with it.
    for heads in ("1", "2", "3", "4", "8", "12", "16", "24", "48"):
        assert row(part, heads=heads, activation=part.rows[0].answers["activation"]).standing is Standing.WORSE
    assert len(part.rows) <= len(whole.rows)


def test_a_conversion_keeps_what_the_sample_decided(trained: Any, tmp_path: Path) -> None:
    request = Request(source=trained.six, dialect="nanogpt", facts=("activation=gelu_tanh",), sample=trained.ids)
    report = convert(request, Writing(out=tmp_path / "out", level=Level.BYTES))
    assert report.verdict.proved
    assert report.options["set"] == {"heads": 6, "activation": "gelu_tanh"}
    written = json.loads((tmp_path / "out" / "conversion.json").read_text(encoding="utf-8"))
    evidence = written["evidence"]
    assert evidence["decided"] == {"heads": "6"}
    assert evidence["upheld"] == {"activation": "gelu_tanh"}
    assert evidence["learned"] is True
    assert len(evidence["sha256"]) == 64
    assert {each["standing"] for each in evidence["readings"]} == {"best", "not told apart", "worse"}
    assert evidence["readings"][0]["tokens"] == evidence["windows"] * evidence["length"]
    assert {each["field"]: each["origin"] for each in written["facts"]}["heads"] == "sample"
    # Proved again, nobody is asked again: the sample may be gone.
    again = prove(tmp_path / "out", Request(source=trained.six), Level.BYTES, threads=1)
    assert again.proved


# --- nothing learned, nothing decided


def test_an_untrained_model_is_not_decided_about(trained: Any, judged: Callable) -> None:
    judgement = judged(trained.untrained, trained.ids, **NANOGPT)
    assert not judgement.weighing.learned
    assert not judgement.weighing.decided
    assert judgement.candidate is None
    assert "the sample decides nothing" in str(judgement.refusal)
    assert "--set heads=N" in str(judgement.refusal)


def test_random_weights_are_not_decided_about(every_golden: Any, judged: Callable, tmp_path: Path) -> None:
    vocab = every_golden.logits.shape[-1]
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).integers(0, vocab, 4000))
    judgement = judged(every_golden.path, tmp_path / "ids.npy")
    if judgement.weighing is None:  # no file and no sample says how long sequences may be
        assert "the sample cannot be asked for context" in str(judgement.refusal)
        assert "--set context=N" in str(judgement.refusal)
        judgement = judged(every_golden.path, tmp_path / "ids.npy", "context=64")
    assert not judgement.weighing.learned
    assert not judgement.weighing.decided
    assert not judgement.weighing.against


@pytest.mark.parametrize("seed", range(3))
def test_loud_random_weights_on_real_text_are_not_decided_about(
    seed: int, trained_module: Any, trained: Any, judged: Callable, tmp_path: Path
) -> None:
    torch.manual_seed(seed)
    model = trained_module.Fused(6)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "loud.pt")
    judgement = judged(tmp_path / "loud.pt", trained.ids)
    assert not judgement.weighing.learned
    assert judgement.candidate is None


def test_shuffled_text_decides_nothing(trained: Any, judged: Callable, tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).permutation(np.load(trained.ids)))
    judgement = judged(trained.six, tmp_path / "ids.npy", **NANOGPT)
    assert not judgement.weighing.learned
    assert judgement.candidate is None


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.3])
def test_text_of_another_kind_decides_nothing_wrong(
    share: float, example: Path, trained: Any, judged: Callable, tmp_path: Path
) -> None:
    # With tokens here and there replaced, the example is far too sure of itself, and ReLU for GELU predicts better.
    random = np.random.default_rng(1)

    def spoiled(ids: Any) -> Path:
        flat = ids.ravel().copy()
        wrong = random.random(flat.size) < share
        flat[wrong] = random.permutation(flat)[wrong]
        np.save(tmp_path / "ids.npy", flat.reshape(ids.shape))
        return tmp_path / "ids.npy"

    truth = {"activation": "gelu", "norm_placement": "pre", "attention_scale": "head_dim**-0.5"}
    weighing = judged(example / "az_llm_mini_final.pt", spoiled(np.load(example / "heldout.npy"))).weighing
    assert weighing.decided.items() <= truth.items()
    assert weighing.temperature > 1
    named = {"dialect": "az-course"}
    facts = ("attention_scale=head_dim**-0.5",)
    stated = judged(example / "az_llm_mini_final.pt", spoiled(np.load(example / "heldout.npy")), *facts, **named)
    assert not stated.weighing.against
    fused = judged(trained.six, spoiled(np.load(trained.ids)), "activation=gelu_tanh", **NANOGPT).weighing
    assert fused.decided in ({}, {"heads": "6"})


def test_the_ids_of_another_tokenizer_decide_nothing(trained: Any, judged: Callable, tmp_path: Path) -> None:
    other = np.random.default_rng(0).permutation(768)
    np.save(tmp_path / "ids.npy", other[np.load(trained.ids)])
    judgement = judged(trained.six, tmp_path / "ids.npy", **NANOGPT)
    assert not judgement.weighing.learned
    assert judgement.candidate is None


def test_where_nothing_is_open_a_useless_sample_does_no_harm(trained: Any, judged: Callable) -> None:
    facts = ("heads=6", "activation=gelu")
    judgement = judged(trained.untrained, trained.ids, *facts, **NANOGPT)
    assert not judgement.weighing.learned
    assert origins(judgement.candidate)["heads"] == (6, "user")


# --- wrong words are contradicted


@pytest.mark.parametrize("wrong", [4, 12, 1])
def test_wrong_heads_are_refused_with_the_table(wrong: int, trained: Any) -> None:
    request = Request(source=trained.six, dialect="nanogpt", facts=(f"heads={wrong}",), sample=trained.ids)
    with pytest.raises(FactsError) as caught:
        plan(request)
    text = str(caught.value)
    assert f"the sample contradicts --set heads={wrong}" in text
    assert "6 loses" in text
    assert "nats per token less" in text
    assert "--set heads=6" in text
    assert "no context" in text


def test_right_heads_are_upheld(trained: Any, judged: Callable) -> None:
    judgement = judged(trained.six, trained.ids, "heads=6", "activation=gelu_tanh", **NANOGPT)
    assert judgement.weighing.stated == {"heads": "6", "activation": "gelu_tanh"}
    assert not judgement.weighing.against
    assert origins(judgement.candidate)["heads"] == (6, "user")


@pytest.mark.parametrize(
    ("fact", "right"),
    [("attention_scale=d_model**-0.5", "head_dim**-0.5"), ("attention_scale=0.5", "head_dim**-0.5")],
)
def test_a_wrong_scale_is_refused(fact: str, right: str, example: Path, judged: Callable) -> None:
    judgement = judged(example / "az_llm_mini_final.pt", example / "heldout.npy", fact, dialect="az-course")
    assert judgement.candidate is None
    assert judgement.weighing.against == {"attention_scale": right}
    assert "the sample contradicts" in str(judgement.refusal)


def test_the_same_scale_in_other_words_is_upheld(example: Path, judged: Callable) -> None:
    fact = f"attention_scale={32**-0.5}"
    judgement = judged(example / "az_llm_mini_final.pt", example / "heldout.npy", fact, dialect="az-course")
    assert origins(judgement.candidate)["attention_scale"] == (str(32**-0.5), "user")


def test_a_dialect_that_was_named_wrongly_is_contradicted(example: Path, judged: Callable) -> None:
    # The lecture's code has the same names, ReLU and another scale.
    said = {"dialect": "karpathy-lecture"}
    judgement = judged(
        example / "az_llm_mini_final.pt", example / "heldout.npy", "attention_scale=head_dim**-0.5", **said
    )
    assert judgement.candidate is None
    assert judgement.weighing.against == {"activation": "gelu"}
    assert "the sample contradicts activation" in str(judgement.refusal)


def test_a_stale_config_beside_the_checkpoint_is_contradicted(trained: Any, judged: Callable, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(trained.six.read_bytes())
    (tmp_path / "config.json").write_text('{"n_head": 12}', encoding="utf-8")
    judgement = judged(tmp_path / "model.pt", trained.ids, "activation=gelu", **NANOGPT)
    assert judgement.weighing.against == {"heads": "6"}


def test_what_the_user_says_against_the_file_is_still_refused(every_golden: Any, judged: Callable) -> None:
    ids = every_golden.path.parent / "expected.safetensors"
    judgement = judged(every_golden.path, ids, "layers=17")
    assert judgement.weighing is None
    assert isinstance(judgement.refusal, FactsError)
