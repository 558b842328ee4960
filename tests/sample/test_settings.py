"""`sample` in a ckpt2hf.toml and in a manifest, and as part of what makes a job of a batch the same job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Request, inspect, plan
from ckpt2hf.batch.gather import gather
from ckpt2hf.batch.key import job_key
from ckpt2hf.errors import UsageError
from ckpt2hf.run.settings_file import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def run_folder(trained: Any, tmp_path: Path) -> Path:
    """A run with its text one folder up."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.pt").write_bytes(trained.six.read_bytes())
    (tmp_path / "ids.npy").write_bytes(trained.ids.read_bytes())
    return tmp_path / "run"


def test_a_file_beside_the_checkpoint_names_the_sample(run_folder: Path) -> None:
    (run_folder / "ckpt2hf.toml").write_text(
        'dialect = "nanogpt"\nsample = "../ids.npy"\nset = { activation = "gelu" }\n', encoding="utf-8"
    )
    made = plan(Request(source=run_folder / "model.pt"))
    assert made.spec.heads == 6
    assert made.candidate.resolution.facts["heads"].origin.value == "sample"
    assert made.candidate.weighing is not None
    found = inspect(Request(source=run_folder / "model.pt")).judgement
    assert found is not None
    assert found.candidate == made.candidate


def test_a_reference_on_the_command_line_comes_before_a_sample_in_the_file(run_folder: Path) -> None:
    (run_folder / "ckpt2hf.toml").write_text('sample = "gone.npy"\n', encoding="utf-8")
    request = Request(source=run_folder / "model.pt", reference="gone.py:GPT")
    with pytest.raises(Exception, match=r"cannot open gone\.py"):
        plan(request)


def test_both_at_once_are_refused(run_folder: Path) -> None:
    request = Request(source=run_folder / "model.pt", reference="gone.py:GPT", sample=run_folder.parent / "ids.npy")
    with pytest.raises(UsageError, match="both decide"):
        inspect(request)


def test_every_word_is_checked(tmp_path: Path) -> None:
    (tmp_path / "ckpt2hf.toml").write_text('sample = 3\nsample_dtype = "int8"\n', encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path / "ckpt2hf.toml")
    text = str(caught.value)
    assert "sample: takes text in quotes, not 3" in text
    assert 'sample_dtype: "int8" is none of uint16, uint32' in text


def test_a_manifest_gives_each_checkpoint_its_sample(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run_folder.parent / "all.toml").write_text(
        'dialect = "nanogpt"\n[[checkpoint]]\npath = "run"\nsample = "ids.npy"\ntokenizer = "t.json"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(run_folder.parent)
    (job,) = gather(["all.toml"], Path("out")).jobs
    assert job.request.sample == Path("ids.npy")
    assert job.request.tokenizer.file == Path("t.json")


def test_the_content_of_a_sample_is_part_of_the_job(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run_folder.parent)
    manifest = Path("all.toml")

    def key(text: str) -> str:
        manifest.write_text(f'inputs = ["run"]\n{text}'.replace("inputs", "[batch]\ninputs", 1) if not text else
                            f'{text}\n[batch]\ninputs = ["run"]\n', encoding="utf-8")  # fmt: skip
        (job,) = gather([str(manifest)], Path("out")).jobs
        return job_key(job)

    without = key("")
    sampled = key('sample = "ids.npy"')
    assert sampled != without
    assert key('sample = "ids.npy"\nsample_dtype = "uint16"') != sampled
    # Another name or time for the same content is the same job; other content is another.
    Path("other.npy").write_bytes(Path("ids.npy").read_bytes())
    os.utime("other.npy", (1, 1))
    assert key('sample = "other.npy"') == sampled
    data = bytearray(Path("ids.npy").read_bytes())
    data[-4] ^= 1
    Path("other.npy").write_bytes(data)
    assert key('sample = "other.npy"') != sampled


def test_a_batch_decides_by_its_sample(run_folder: Path, cli: Callable[..., Any]) -> None:
    (run_folder / "ckpt2hf.toml").write_text(
        'dialect = "nanogpt"\nsample = "../ids.npy"\nverify = "bytes"\nset = { activation = "gelu" }\n',
        encoding="utf-8",
    )
    done = cli("batch", "run", "-o", "out", cwd=run_folder.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    again = cli("batch", "run", "-o", "out", cwd=run_folder.parent)
    assert "1 done before" in again.stdout + again.stderr or "proved    1" in again.stdout
