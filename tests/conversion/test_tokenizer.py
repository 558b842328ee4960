"""A directory with its tokenizer: found, fitted, proved, and refused where it is another model's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import AddedToken, Tokenizer

from ckpt2hf.api import AskedTokenizer, Level, Policy, Request, Writing, convert, plan, prove
from ckpt2hf.batch.job import Job
from ckpt2hf.batch.key import job_key
from ckpt2hf.errors import NotFoundError, TokenizerError, UsageError
from ckpt2hf.tokenizers.word_split import spelled_out
from ckpt2hf.verify import tokenizer as verify_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import Report

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "az-mini"
PROMPT = "Bakı şəhəri"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training run's folder: the example's checkpoint with its tokenizer beside it."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("az_llm_mini_final.pt", "tokenizer.json"):
        shutil.copy(EXAMPLE / name, folder)
    return folder


def asked(run: Path, **tokenizer: Any) -> Request:
    return Request(
        source=run / "az_llm_mini_final.pt",
        dialect="az-course",
        facts=("attention_scale=head_dim**-0.5",),
        tokenizer=AskedTokenizer(**tokenizer),
    )


def converted(run: Path, level: Level = Level.BYTES, **tokenizer: Any) -> tuple[Path, Report]:
    out = run.parent / "out"
    return out, convert(asked(run, **tokenizer), Writing(out=out, level=level, force=True))


def table(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_tokenizer_beside_the_checkpoint_is_written_and_proved(run: Path) -> None:
    out, report = converted(run, Level.LOGITS)
    assert report.verdict.proved
    assert report.tokenizer
    names = [check.name for check in report.verdict.checks]
    assert {"model(**tokenizer(text))", "tokenizer encodes", "tokenizer decodes", "tokenizer loads"} <= set(names)
    assert [file.name for file in report.tokenizer.files] == ["tokenizer.json"]
    assert report.tokenizer.files[0].sha256
    given = table(run / "tokenizer.json")
    assert table(out / "tokenizer.json") == {**given, "pre_tokenizer": spelled_out(given["pre_tokenizer"])}
    config = table(out / "tokenizer_config.json")
    assert config["model_max_length"] == 64
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    keeps = next(check for check in report.tokenizer.checks if check.name == "tokenizer keeps text")
    assert "spaces" in keeps.summary  # the course's tokenizer has no decoder


CONTINUED = """
import sys, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
said = tokenizer(sys.argv[2], return_tensors="pt")
ids = model.generate(**said, max_new_tokens=12, do_sample=False)
print(ids[0].tolist(), tokenizer.decode(ids[0]))
"""


@pytest.mark.slow
@pytest.mark.transformers5
def test_both_generations_of_transformers_go_on_with_a_text_alike(run: Path, python_5x: Path) -> None:
    out, _ = converted(run)
    said = [
        subprocess.run(
            [python, "-c", CONTINUED, str(out), PROMPT],
            env={"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for python in (sys.executable, str(python_5x))
    ]
    assert said[0] == said[1]
    assert "ş əhər i" in said[0]


def test_without_a_tokenizer_there_is_none(run: Path) -> None:
    (run / "tokenizer.json").unlink()
    out, report = converted(run)
    assert report.tokenizer is None
    assert not list(out.glob("*token*"))
    with pytest.raises(UsageError, match="--eos-token names a token, and there is no tokenizer"):
        plan(asked(run, tokens={"eos": "[SEP]"}))


def test_none_leaves_the_one_that_is_there_alone(run: Path) -> None:
    _, report = converted(run, path=Path("none"))
    assert report.tokenizer is None


def enlarged(run: Path, *tokens: str) -> Path:
    made = Tokenizer.from_file(str(run / "tokenizer.json"))
    made.add_special_tokens([AddedToken(token, special=True) for token in tokens])
    made.save(str(run / "tokenizer.json"))
    return run / "tokenizer.json"


def test_a_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(run: Path) -> None:
    enlarged(run, "<|endoftext|>")
    with pytest.raises(TokenizerError, match="ids up to 768, and the model's embedding has 768 rows") as caught:
        converted(run)
    assert any("<|endoftext|>" in detail for detail in caught.value.details)
    assert any(remedy.startswith("--tokenizer none") for remedy in caught.value.remedies)
    assert not (run.parent / "out").exists()


def test_a_smaller_one_keeps_the_rows_and_says_so(run: Path) -> None:
    smaller = table(run / "tokenizer.json")
    last = smaller["model"]["merges"].pop()
    del smaller["model"]["vocab"]["".join(last)]
    (run / "tokenizer.json").write_text(json.dumps(smaller), encoding="utf-8")
    out, report = converted(run)
    assert report.tokenizer
    assert any("1 of the 768 rows of the embedding belong to no token" in note for note in report.tokenizer.notes)
    assert table(out / "config.json")["vocab_size"] == 768


def test_two_different_tokenizers_are_refused_and_the_same_one_twice_is_one(run: Path) -> None:
    import pickle  # noqa: PLC0415

    stoi = {character: number for number, character in enumerate("abc ")}
    meta = {"stoi": stoi, "itos": {number: character for character, number in stoi.items()}, "vocab_size": 4}
    (run / "meta.pkl").write_bytes(pickle.dumps(meta))
    with pytest.raises(TokenizerError, match="2 tokenizers lie beside the checkpoint") as caught:
        plan(asked(run))
    assert [remedy.split("/")[-1] for remedy in caught.value.remedies] == [
        "tokenizer.json",
        "meta.pkl",
        "--tokenizer none",
    ]
    chosen = plan(asked(run, path=run / "meta.pkl")).tokenizer
    assert chosen
    assert chosen.source.format == "character level"


@pytest.fixture
def course(run: Path) -> Path:
    """The folder as day 31 of the course leaves it: special tokens of GPT-2, which this tokenizer does not have."""
    words = {f"{role}_token": "<|endoftext|>" for role in ("bos", "eos")}
    (run / "tokenizer_config.json").write_text(json.dumps({**words, "pad_token": "[PAD]"}), encoding="utf-8")
    ids = {"model_type": "gpt2", "bos_token_id": 50256, "eos_token_id": 50256}
    (run / "config.json").write_text(json.dumps(ids), encoding="utf-8")
    return run


def test_tokens_that_do_not_exist_are_never_written(course: Path) -> None:
    out, report = converted(course)
    assert report.tokenizer
    assert any("--eos-token '[SEP]'" in note for note in report.tokenizer.notes)
    assert any("50256 lies outside the vocabulary" in note for note in report.notes)
    for file in ("config.json", "generation_config.json"):
        said = table(out / file)
        assert (said["bos_token_id"], said["eos_token_id"], said["pad_token_id"]) == (None, None, 3)
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        assert {name: token for name, token in table(out / file).items() if name in ("bos_token", "eos_token")} == {}
    assert "endoftext" not in (out / "tokenizer.json").read_text(encoding="utf-8")


def test_what_the_user_says_a_token_is_for_is_the_same_in_every_file(course: Path) -> None:
    out, report = converted(course, Level.LOGITS, tokens={"eos": "[SEP]", "pad": "none"})
    assert report.verdict.proved
    for file in ("config.json", "generation_config.json"):
        said = table(out / file)
        assert said["eos_token_id"] == 2
        assert "pad_token_id" not in said
    assert ("eos_token", "[SEP]") in table(out / "special_tokens_map.json").items()
    verdict = prove(out, Request(source=course / "az_llm_mini_final.pt"), Level.LOGITS, threads=1)
    assert verdict.proved


def test_a_token_that_is_not_there_cannot_be_asked_for(run: Path) -> None:
    with pytest.raises(TokenizerError, match="has no token '</s>'") as caught:
        plan(asked(run, tokens={"eos": "</s>"}))
    assert caught.value.remedies == ("--eos-token '[SEP]'",)


def test_a_tokenizer_that_cannot_be_proved_fails_the_run_unless_a_warning_will_do(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = verify_tokenizer._by_library

    def wrong(directory: Path) -> Any:
        loaded = tables(directory)
        loaded.tokenizer.pre_tokenizer = None  # as if it could not be said in the library
        return loaded

    monkeypatch.setattr(verify_tokenizer, "_by_library", wrong)
    out, report = converted(run)
    assert not report.verdict.proved
    assert not out.exists()
    failed = next(check for check in report.verdict.checks if not check.passed)
    assert failed.name == "tokenizer encodes"
    assert "the first, " in failed.summary
    out, report = converted(run, policy=Policy.WARN)
    assert report.verdict.proved
    assert report.tokenizer
    assert not report.tokenizer.proved
    assert "**no**" in (out / "README.md").read_text(encoding="utf-8")
    again = prove(out, Request(source=run / "az_llm_mini_final.pt"), Level.BYTES, threads=1)
    assert again.proved  # the policy is remembered


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "tokenizer.json": lambda said: said["model"]["vocab"].update({"a": said["model"]["vocab"]["b"]}),
    "tokenizer_config.json": lambda said: said.pop("model_input_names"),
    "special_tokens_map.json": lambda said: said.update({"eos_token": "[CLS]"}),
}


@pytest.mark.parametrize("file", CHANGES)
def test_a_changed_file_is_noticed(file: str, run: Path) -> None:
    out, _ = converted(run)
    said = table(out / file)
    CHANGES[file](said)
    (out / file).write_text(json.dumps(said), encoding="utf-8")
    (out / "SHA256SUMS").unlink()
    verdict = prove(out, Request(source=run / "az_llm_mini_final.pt"), Level.BYTES, threads=1)
    assert not verdict.proved
    assert file in next(check for check in verdict.checks if not check.passed).summary


def test_a_model_that_is_given_more_than_ids_is_noticed(run: Path) -> None:
    from ckpt2hf.verify.huggingface import load  # noqa: PLC0415
    from ckpt2hf.verify.spoken import check_spoken  # noqa: PLC0415
    from ckpt2hf.verify.weights import load_slots  # noqa: PLC0415

    out, _ = converted(run)
    made = plan(asked(run))
    model = load(out, "safetensors").model
    import torch  # noqa: PLC0415

    source = (made.spec, load_slots(made.slots, torch.float32))
    assert check_spoken(model, out, source, PROMPT, 1e-5).passed
    said = table(out / "tokenizer_config.json")
    del said["model_input_names"]
    (out / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    failed = check_spoken(model, out, source, PROMPT, 1e-5)
    assert not failed.passed
    assert "token_type_ids" in failed.summary


def test_a_tokenizer_that_has_moved_is_asked_for(run: Path) -> None:
    out, _ = converted(run, tokens={"eos": "[SEP]"})
    (run / "tokenizer.json").rename(run.parent / "elsewhere.json")
    source = run / "az_llm_mini_final.pt"
    with pytest.raises(NotFoundError) as caught:
        prove(out, Request(source=source), Level.BYTES, threads=1)
    assert caught.value.remedies[0].startswith("--tokenizer FILE")
    there = AskedTokenizer(path=run.parent / "elsewhere.json")
    assert prove(out, Request(source=source, tokenizer=there), Level.BYTES, threads=1).proved
    without = AskedTokenizer(path=Path("none"))
    assert prove(out, Request(source=source, tokenizer=without), Level.BYTES, threads=1).proved


def test_another_tokenizer_is_another_job(run: Path) -> None:
    def key(**tokenizer: Any) -> str:
        request = asked(run, **tokenizer)
        return job_key(Job(name="a", request=request, writing=Writing(out=run.parent / "out"), nbytes=1))

    own = run.parent / "own.json"
    shutil.copy(run / "tokenizer.json", own)
    first = key(path=own)
    assert len({key(), first, key(path=Path("none")), key(path=own, tokens={"eos": "[SEP]"})}) == 4
    enlarged(run, "<x>")
    shutil.copy(run / "tokenizer.json", own)
    assert key(path=own) != first


def test_the_wish_of_one_place_counts_before_anothers() -> None:
    here = AskedTokenizer(tokens={"eos": "a"}, pattern="gpt2")
    there = AskedTokenizer(path=Path("t.json"), tokens={"eos": "b", "pad": "c"}, policy=Policy.WARN)
    assert here.over(there) == AskedTokenizer(
        path=Path("t.json"), tokens={"eos": "a", "pad": "c"}, pattern="gpt2", policy=Policy.WARN
    )
    off = AskedTokenizer(path=Path("none"))
    assert off.over(there) == off
    assert replace(off, path=None).over(there) == there
