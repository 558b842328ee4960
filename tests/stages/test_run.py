"""The commands: limits, refusals, what is made once, what a killed run leaves, and what a person sees."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpt2hf.api import Command, FormsRequest, make_forms
from ckpt2hf.errors import UsageError, VerificationError
from ckpt2hf.report import read_report
from ckpt2hf.stages import Apart
from stages.command import COMMAND, cli, contents
from stages.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.stages import Job, Made

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def sums_hold(directory: Path) -> bool:
    words = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    return subprocess.run(words, cwd=directory, check=False).returncode == 0


def test_a_rejected_form_stays_outside(exported: Path) -> None:
    before = contents(exported)
    done = cli("quantize", exported, "--to", "onnx-q4", "--max-kl", "1e-9", "--min-top1", "1", "--keep-rejected")
    assert done.returncode == 1, done.stderr
    assert "onnx-q4 rejected: mean KL" in done.stderr
    assert "onnx-q4 rejected: top-1 agreement" in done.stderr
    assert done.stdout.splitlines()[1].endswith("rejected")
    assert contents(exported) == before
    assert (exported.with_name("exported.rejected") / "onnx" / "model_q4.onnx").stat().st_size > 1000
    assert not list(exported.parent.glob("*partial*"))


def test_what_passes_is_added_though_another_is_rejected(exported: Path, tmp_path: Path) -> None:
    ids = np.random.default_rng(1).integers(96, size=600).astype(np.uint16)
    ids.tofile(tmp_path / "ids.bin")
    words = ("--calibration", tmp_path / "ids.bin", "--calibration-dtype", "uint16", "--max-tokens", "320")
    q8, q4 = (
        price_of(cli("quantize", exported, "--to", form, *words, "--max-kl", 0, "--json"))
        for form in ("onnx-q8", "onnx-q4")
    )
    assert q8 < q4
    done = cli("quantize", exported, "--to", "onnx-q4,onnx-q8", *words, "--max-kl", (q8 + q4) / 2)
    assert done.returncode == 1, done.stderr
    report = read_report(exported / "conversion.json")
    assert [each.id for each in report.stages] == ["onnx", "onnx-q8"]
    price, tokens = report.stages[1].price, report.stages[1].tokens
    assert price
    assert (price.tokens, tokens.kind, tokens.name, tokens.tokens) == (320, "ids", "ids.bin", 321)
    assert price.ppl_ratio
    assert 0.8 < price.ppl_ratio < 1.25
    assert sums_hold(exported)
    assert not (exported / "onnx" / "model_q4.onnx").exists()


def price_of(done: subprocess.CompletedProcess[str]) -> float:
    """The mean KL of the one form, which the limit of zero has rejected."""
    assert done.returncode == 1, done.stderr
    (form,) = json.loads(done.stdout)
    assert form["problems"]
    found: float = form["report"]["price"]["mean_kl"]
    return found


def test_the_export_is_made_once_and_not_left(gpt: Path) -> None:
    done = cli("quantize", gpt, "--to", "onnx-q4,onnx-q4f16,onnx-int8")
    assert done.returncode == 0, done.stderr
    log = gpt.with_name("gpt.quantize.log").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if line.startswith("== ")] == [
        "== onnx",
        "== onnx-int8",
        "== onnx-q4",
        "== onnx-q4f16",
    ]
    assert sorted(path.name for path in (gpt / "onnx").iterdir()) == [
        "model_int8.onnx",
        "model_q4.onnx",
        "model_q4f16.onnx",
    ]
    assert sums_hold(gpt)


def test_temporary_files_lie_beside_the_result(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(exported.parent / "temporary"))
    (exported.parent / "temporary").mkdir()
    before = (exported.parent / "temporary").stat().st_mtime_ns
    assert cli("export", exported, "--to", "onnx-fp16").returncode == 0
    assert cli("quantize", exported, "--to", "onnx-q8").returncode == 0
    assert (exported.parent / "temporary").stat().st_mtime_ns == before  # nothing was ever in it
    assert sorted(path.name for path in exported.parent.iterdir()) == [
        "exported",
        "exported.export.log",
        "exported.quantize.log",
        "temporary",
    ]


def test_an_export_that_is_there_is_used(exported: Path) -> None:
    assert cli("quantize", exported, "--to", "onnx-q4", "--log", exported.with_name("log")).returncode == 0
    assert "== onnx\n" not in exported.with_name("log").read_text(encoding="utf-8")
    first = contents(exported)
    assert cli("quantize", exported, "--to", "onnx-q4").returncode == 0
    assert contents(exported) == first  # made again, the same
    path = exported / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")  # no longer what was proved
    assert cli("quantize", exported, "--to", "onnx-q4").returncode == 0
    assert "== onnx\n" in exported.with_name("exported.quantize.log").read_text(encoding="utf-8")


def test_float32_that_is_wrong_is_no_base_for_anything(gpt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = Apart.run, []

    def wrong(self: Apart, job: Job, work: Path, threads: int) -> Made:
        asked.append(job.stage)
        made = run(self, job, work, threads)
        return replace(made, checks=tuple(replace(check, passed=check.name != "onnx cache") for check in made.checks))

    monkeypatch.setattr(Apart, "run", wrong)
    before = contents(gpt)
    (form,) = make_forms(FormsRequest(directory=gpt, command=Command.QUANTIZE, forms=("onnx-q4", "onnx-q8")))
    assert asked == ["onnx"]
    assert form.report.id == "onnx"
    assert form.problems[0].startswith("onnx cache: ")
    assert contents(gpt) == before


def test_a_process_that_breaks_down_is_told_with_its_last_words(exported: Path) -> None:
    before = contents(exported)
    (exported / "onnx" / "model.onnx").write_bytes(b"no model")
    named = f"{hashlib.sha256(b'no model').hexdigest()}  onnx/model.onnx"
    sums = (exported / "SHA256SUMS").read_text(encoding="utf-8")
    changed = [named if line.endswith("onnx/model.onnx") else line for line in sums.splitlines()]
    (exported / "SHA256SUMS").write_text("\n".join(changed) + "\n", encoding="utf-8")
    done = cli("quantize", exported, "--to", "onnx-q4")
    assert done.returncode == 1
    assert "error[verify]: the process that makes onnx-q4 ended with status 1" in done.stderr
    assert "exported.quantize.log" in done.stderr
    assert "Error" in done.stderr
    assert set(contents(exported)) == set(before)
    assert not list(partials(exported))


def test_a_link_is_followed_and_the_current_directory_is_refused(exported: Path) -> None:
    link = exported.with_name("link")
    link.symlink_to(exported)
    assert cli("quantize", link, "--to", "onnx-q4").returncode == 0
    assert link.is_symlink()
    assert (exported / "onnx" / "model_q4.onnx").exists()
    words = [COMMAND, "export", "."]
    done = subprocess.run(words, cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "you are in it" in done.stderr


def partials(out: Path) -> Iterator[Path]:
    yield from out.parent.glob(f"{out.name}.partial-*")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_the_directory_as_it_was(exported: Path, number: signal.Signals) -> None:
    before, log = contents(exported), exported.with_name("exported.quantize.log")
    process = subprocess.Popen([COMMAND, "quantize", exported, "--to", "onnx-q4"], stderr=subprocess.PIPE, text=True)
    while not (log.exists() and log.read_text(encoding="utf-8").startswith("== onnx-q4")):
        assert process.poll() is None, "it finished before it could be disturbed"
        time.sleep(0.002)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert contents(exported) == before
    until = time.monotonic() + 20
    while children(exported) and time.monotonic() < until:
        time.sleep(0.05)
    assert not children(exported)
    assert cli("quantize", exported, "--to", "onnx-q4").returncode == 0
    assert not list(partials(exported))
    assert (exported / "onnx" / "model_q4.onnx").exists()
    assert sums_hold(exported)


def test_other_weights_than_those_of_the_sums_are_refused(gpt: Path) -> None:
    path = gpt / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(VerificationError, match=r"model\.safetensors is not the file"):
        make_forms(FormsRequest(directory=gpt, command=Command.EXPORT, forms=("onnx",)))


def test_an_edited_card_is_refused(gpt: Path) -> None:
    path = gpt / "README.md"
    path.write_text(path.read_text(encoding="utf-8") + "mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match="was edited"):
        make_forms(FormsRequest(directory=gpt, command=Command.EXPORT, forms=("onnx",)))


def test_a_class_that_has_no_forms_is_refused_at_once(gpt: Path) -> None:
    config = json.loads((gpt / "config.json").read_text(encoding="utf-8"))
    (gpt / "config.json").write_text(json.dumps({**config, "architectures": ["Olmo3ForCausalLM"]}), encoding="utf-8")
    done = cli("export", gpt)
    assert done.returncode == 2
    assert "Olmo3ForCausalLM" in done.stderr
    assert not gpt.with_name("gpt.export.log").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-ppl-ratio", "1.1"), "--max-ppl-ratio needs"),
        (("--max-tokens", "5"), "need --calibration"),
        (("--calibration", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_what_makes_no_sense_is_refused(gpt: Path, words: tuple[str, ...], said: str) -> None:
    done = cli("quantize", gpt, "--to", "onnx-q4", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_a_person_has_said_stays_in_the_card(exported: Path) -> None:
    assert cli("card", exported, "--license", "mit", "--model-name", "Mine").returncode == 0
    assert cli("quantize", exported, "--to", "onnx-q4").returncode == 0
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card
    assert "# Mine" in card
    assert "`onnx/model_q4.onnx`" in card
    assert cli("card", exported, "--language", "az").returncode == 0  # it knows the card for its own
    assert "`onnx/model_q4.onnx`" in (exported / "README.md").read_text(encoding="utf-8")
    assert sums_hold(exported)


def test_the_table(exported: Path) -> None:
    done = cli("quantize", exported, "--to", "onnx-q4")
    assert done.returncode == 0, done.stderr
    head, row, tokens, took, file, *_ = done.stdout.splitlines()
    assert head.split() == ["form", "size", "bits/weight", "KL", "KL", "99%", "top-1", "ppl", "ratio", "cache", "top-1"]
    assert row.split()[0] == "onnx-q4"
    assert row.split()[-1] == "added"
    assert "drawn from the vocabulary" in tokens
    assert took.split()[:2] == ["took", "onnx-q4"]
    assert took.endswith(" MB of memory")
    assert file.endswith("onnx/model_q4.onnx")
    assert "%" in row


def test_several_directories_are_done_one_after_another(exported: Path, gpt: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    done = cli("quantize", exported, nothing, gpt, "--to", "onnx-q4")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.endswith("of 3)")] == [
        f"{exported}  (1 of 3)",
        f"{nothing}  (2 of 3)",
        f"{gpt}  (3 of 3)",
    ]
    assert lines[-1] == "2 of 3 directories have what was asked for"
    assert f"there is no directory {nothing}" in done.stderr
    assert done.stderr.splitlines()[-1] == f"not {nothing}"
    for directory in (exported, gpt):
        assert (directory / "onnx" / "model_q4.onnx").is_file()
        assert sums_hold(directory)


def test_of_several_directories_the_remedy_is_about_one(exported: Path, gpt: Path, tmp_path: Path) -> None:
    done = cli("export", exported, gpt, "--to", "onxn-fp16", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [each["directory"] for each in found] == [str(exported), str(gpt)]
    assert all(each["error"]["code"] == "usage" for each in found)
    assert found[0]["error"]["remedies"] == ["--to onnx-fp16"]
    done = cli("export", exported, gpt, "--to", "onnx,onxn-fp16")
    assert f"export {exported} --to onnx,onnx-fp16\n" in done.stderr
    assert f"export {gpt} --to onnx,onnx-fp16\n" in done.stderr
    done = cli("export", exported, gpt, "--log", tmp_path / "log")
    assert done.returncode == 2
    assert "--log names one file" in done.stderr


def test_json_about_several_directories_has_what_became_of_each(exported: Path, gpt: Path) -> None:
    done = cli("quantize", exported, gpt, "--to", "onnx-q4", "--json", "--max-kl", "1e-9")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [each["directory"] for each in found] == [str(exported), str(gpt)]
    assert all(each["forms"][0]["problems"] for each in found)


def test_a_folder_stands_for_the_directories_in_it(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "converted"
    places = [folder / "b", folder / "a" / "10", folder / "a" / "9"]
    for place in places:
        shutil.copytree(exported, place)
    shutil.copytree(exported, folder / "c.partial-0123abcd")  # of a run that works there now
    (folder / "batch.json").write_text("{}", encoding="utf-8")
    (folder / "empty").mkdir()
    done = cli("quantize", folder, "--to", "onnx-q4,onnx-q8", "--no-fallback", "--cpu", "avx2")
    assert done.returncode == 0, done.stderr
    heads = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("of 3)")]
    assert heads == [str(folder / "a" / "10"), str(folder / "a" / "9"), str(folder / "b")]
    assert all((place / "onnx" / "model_q4.onnx").is_file() and sums_hold(place) for place in places)
    done = cli("export", folder, "--to", "onxn")
    assert f"export {folder / 'b'} --to onnx\n" in done.stderr
    done = cli("export", folder / "empty")
    assert done.returncode == 2
    assert "is no Hugging Face model" in done.stderr
