"""The card says what the report says, all of it and nothing else, and its code runs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from ckpt2hf.api import CardWords
from ckpt2hf.ir import written
from ckpt2hf.report import model_card, read_report
from ckpt2hf.report.card import License, tokenizer_section
from ckpt2hf.report.card.markdown import prose
from ckpt2hf.report.parts import CheckReport, FileReport
from ckpt2hf.report.report import (
    FindingReport,
    LeftOutReport,
    RewriteReport,
    SpecialReport,
    TokenizerReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report
    from conftest import GoldenCase

HOSTILE = "</td><script>alert(1)</script> | [x](https://evil.example)\n\n# owned `` ` \\"
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUIET = CardWords()


TOKENIZER = TokenizerReport(
    format="tokenizer.json of the tokenizers library",
    files=(FileReport("tokenizer.json", 100, "a" * 64),),
    original="tokenizers 0.22.2",
    specials=(SpecialReport("eos", "<|end|>", 3, "tokenizer.json"),),
    checks=(
        CheckReport("the same ids", passed=True, summary="71 texts", numbers={}),
        CheckReport("and back", passed=False, summary="spaces are lost", numbers={}),
    ),
    policy="warn",
    notes=("decoding loses spaces",),
)


@pytest.fixture
def report(converted: Callable[[str], tuple[Path, Report]]) -> Report:
    return converted("az50_v2")[1]


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def test_the_card_of_every_golden_case(converted: Callable, every_golden: GoldenCase) -> None:
    out, report = converted(every_golden.name)
    text = (out / "README.md").read_text(encoding="utf-8")
    assert text == model_card(report, QUIET)
    assert text == model_card(read_report(out / "conversion.json"), QUIET)
    assert ModelCard(text).data.to_dict()["tags"] == ["ckpt2hf", report.dialect.id]
    for fact in report.facts:
        assert (f"| `{fact.field}` | `{written(fact.value)}` | {fact.origin} |" in text) == (fact.origin != "family")
    for file in report.source.files:
        assert str(file.sha256) in text
    for check in report.verdict.checks:
        assert f"| `{check.name}` | yes | {prose(check.summary)} |" in text
    for made in report.rewrites:
        assert f"({made.exactness})" in text
    assert report.target in text
    assert "logits were not compared" in text
    assert "licence" in text


def test_nothing_in_it_depends_on_the_run_or_the_place(report: Report) -> None:
    other = replace(
        report,
        created="then",
        seconds={"plan": 1.0},
        peak_memory_bytes=3,
        output="/elsewhere/out",
        source=replace(report.source, path="/elsewhere/in/checkpoint.pt"),
    )
    assert model_card(other, QUIET) == model_card(report, QUIET)


@pytest.mark.parametrize("level", ["structure", "bytes", "logits"])
def test_each_level_claims_what_it_proved(report: Report, level: str) -> None:
    text = body(model_card(replace(report, verdict=replace(report.verdict, level=level)), QUIET))
    claims = {
        "structure": "**Only its form was checked.**",
        "bytes": "**Its weights were proved, its logits were not compared.**",
        "logits": "**It was proved to compute the same function.**",
    }
    assert [name for name, claim in claims.items() if claim in text] == [level]
    assert ("`ckpt2hf verify --against` can do that later" in text) == (level != "logits")


def test_what_falls_short_is_told(report: Report) -> None:
    short = replace(
        report,
        notes=("eos_token_id 9 lies outside the vocabulary of 8 and was left out",),
        health=(FindingReport("warning", "untrained", "These weights look untrained.", ("blocks.*.norm.weight",)),),
        exactness="numerically equal",
        rewrites=(RewriteReport("final norm", "this class has none", "numerically equal"),),
        left_out=(LeftOutReport("a.tril", "a causal mask"), LeftOutReport("b.tril", "a causal mask"),
                  LeftOutReport("head", "shares the storage of embed")),
    )  # fmt: skip
    text = body(model_card(short, QUIET))
    for said in (
        "These weights look untrained.",
        "`blocks.*.norm.weight`",
        "lies outside the vocabulary",
        "close to the checkpoint's, not equal",
        "left out: 2 tensors, a causal mask",
        "left out: 1 tensor, second name of a tied tensor",
        "Nobody has stated a licence",
    ):
        assert said in text, said
    rounded = body(model_card(replace(report, exactness="rounded", dtype="bfloat16"), QUIET))
    assert "every weight rounded to bfloat16, as asked" in rounded
    assert "Nobody has stated a licence" not in model_card(report, CardWords(license=License("mit")))


def test_a_class_that_only_transformers_5_has(report: Report) -> None:
    assert "needs transformers" not in model_card(report, QUIET)
    assert "needs transformers 5.0 or later" in model_card(replace(report, target="NanoChatForCausalLM"), QUIET)


def test_many_source_files_are_counted(report: Report) -> None:
    files = tuple(FileReport(f"__{k}_0.distcp", 10, None, "etag") for k in range(500))
    text = model_card(replace(report, source=replace(report.source, files=files)), QUIET)
    assert "480 more files" in text
    assert len(text) < 12_000


# --- hostile reports


def poisoned(value: Any) -> Any:
    """The same tree with every text in it hostile."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {"level", "spec"}  # which are checked when a report is read
        return replace(
            value, **{f.name: poisoned(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in kept}
        )
    if isinstance(value, tuple):
        return tuple(map(poisoned, value))
    return HOSTILE if isinstance(value, str) else value


def test_a_hostile_report_breaks_nothing(report: Report) -> None:
    bad = poisoned(replace(report, tokenizer=TOKENIZER))
    bad = replace(bad, dialect=replace(bad.dialect, file=HOSTILE), notes=(HOSTILE,))
    bad = replace(bad, health=(FindingReport("warning", "x", HOSTILE, (HOSTILE,)),))
    text = model_card(bad, CardWords(model_name="[x](https://evil.example) <b> | y"))
    assert ModelCard(text).data.to_dict()["tags"] == ["ckpt2hf"]
    good = model_card(replace(report, tokenizer=TOKENIZER), QUIET)
    parser = MarkdownIt("js-default", {"html": True})
    tokens = parser.parse(body(text))
    kinds = {child.type for token in tokens for child in [token, *(token.children or ())]}
    assert not {kind for kind in kinds if "html" in kind or "link" in kind or "image" in kind}
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings == [token.tag for token in parser.parse(body(good)) if token.type == "heading_open"]
    rows, width = 0, 0
    for token in tokens:
        if token.type == "tr_open":
            width, rows = 0, rows + 1
        width += token.type in {"td_open", "th_open"}
        assert width <= 4
    assert rows > 30
    assert "https://" not in CODE.sub("", body(text))


def test_a_secret_is_hidden(report: Report) -> None:
    secret = "s3://key:hunter2@host/x?signature=hunter2"  # noqa: S105 - of nobody
    facts = tuple(replace(fact, where=secret) for fact in report.facts)
    bad = replace(report, facts=facts, notes=(secret,), source=replace(report.source, path=secret, weights_key=secret))
    assert "hunter2" not in model_card(bad, QUIET)


# --- the tokenizer


def test_the_tokenizer_has_a_section_where_there_is_one(report: Report) -> None:
    assert tokenizer_section(None) == ""
    assert "There is no tokenizer here" in model_card(report, QUIET)
    text = model_card(replace(report, tokenizer=TOKENIZER), QUIET)
    assert "There is no tokenizer here" not in text
    assert "AutoTokenizer.from_pretrained(place)" in text
    for said in ("decoding loses spaces", "**no**", "spaces are lost", "tokenizer.json"):
        assert said in text
    assert "| eos | &lt;&#124;end&#124;&gt; | 3 |" in text


# --- the code


def run(code: str, python: str, folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-W", "error::FutureWarning", "-c", code],
        cwd=folder,
        env={**env, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["az50_v2", "llama2c"])
def test_the_code_on_the_card_runs(converted: Callable, name: str) -> None:
    out, report = converted(name)
    code = CODE.findall((out / "README.md").read_text(encoding="utf-8"))
    assert len(code) == 1
    made = run(f"{code[0]}\nprint(type(model).__name__)", sys.executable, out).splitlines()
    assert made[-1] == report.target
    assert made[-2].startswith("[3, 2, 1, ")


@pytest.mark.slow
@pytest.mark.transformers5
def test_the_code_on_the_card_runs_with_transformers_5(converted: Callable, python_5x: Path) -> None:
    out, _ = converted("az50_v2")
    (code,) = CODE.findall((out / "README.md").read_text(encoding="utf-8"))
    assert run(code, str(python_5x), out).startswith("[3, 2, 1, ")


@pytest.mark.slow
def test_the_code_with_a_tokenizer_runs(converted: Callable, report: Report, tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Fast  # noqa: PLC0415
    from tokenizers.decoders import Fuse  # noqa: PLC0415
    from tokenizers.models import WordLevel  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    out, _ = converted("az50_v2")
    here = shutil.copytree(out, tmp_path / "out")
    made = Fast(WordLevel({chr(0x4E00 + k): k for k in range(report.spec["vocab"])}, unk_token=chr(0x4E00)))
    made.decoder = Fuse()
    PreTrainedTokenizerFast(tokenizer_object=made, model_input_names=["input_ids", "attention_mask"]).save_pretrained(
        here
    )
    (code,) = CODE.findall(model_card(replace(report, tokenizer=TOKENIZER), QUIET))
    assert run(code, sys.executable, here).strip()


def test_a_tiny_model_asks_for_no_more_than_it_has(report: Report) -> None:
    for context, vocab in ((1, 1), (2, 2), (4, 3), (20, 5)):
        small = replace(report, spec={**report.spec, "context": context, "vocab": vocab})
        (code,) = CODE.findall(model_card(small, QUIET))
        ids = [int(each) for each in re.findall(r"\d+", code.split("tensor([[")[1].split("]]")[0])]
        new = int(code.split("max_new_tokens=")[1].split(",")[0])
        assert all(0 <= each < vocab for each in ids)
        assert new >= 1
        assert len(ids) + new <= context or context == 1


def test_a_bfloat16_model_is_loaded_as_it_is(report: Report) -> None:
    tensors = tuple(replace(tensor, dtype="bfloat16") for tensor in report.tensors)
    assert 'from_pretrained(place, dtype="auto")' in model_card(replace(report, tensors=tensors), QUIET)
    assert "dtype=" not in model_card(report, QUIET)


def test_the_commands_on_the_card_are_right(converted: Callable, golden: Callable) -> None:
    out, _ = converted("az50_v2")
    shown = (out / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(sha256sum|ckpt2hf)( [^#]*)#", shown, re.MULTILINE)
    assert [program for program, _ in commands] == ["sha256sum", "ckpt2hf"]
    beside = os.path.dirname(sys.executable)  # noqa: PTH120
    for program, words in commands:
        line = f"{program}{words}".replace("PATH_OF_THE_CHECKPOINT", str(golden("az50_v2").path))
        quick = " --level bytes" if program == "ckpt2hf" else ""
        env = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/sh", "-c", line + quick], cwd=out, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_sums_are_of_what_is_there(converted: Callable) -> None:
    out, _ = converted("az50_v2")
    lines = (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    names = [line.split("  ", 1)[1] for line in lines]
    assert names == sorted(path.name for path in out.iterdir() if path.name != "SHA256SUMS")
    for line in lines:
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
