"""Batches with a dialect file of the user's own: found from where it is named, and part of what a job is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import dialect_text
from ckpt2hf.batch import ray_executor
from ckpt2hf.batch.gather import Said, gather
from ckpt2hf.batch.key import job_key
from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.run.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.batch.job import Job


@pytest.fixture
def runs(tmp_path: Path, golden: Callable[[str], Any]) -> Path:
    """One checkpoint with a `ckpt2hf.toml` that names a file beside it, and one that needs nothing."""
    folder = tmp_path / "runs"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    shutil.copy(golden("mingpt").path, folder / "a" / "model.pt")
    shutil.copy(golden("build_nanogpt").path, folder / "b" / "model.pt")
    (folder / "a" / "mine.toml").write_text(dialect_text("mingpt"), encoding="utf-8")
    (folder / "a" / "ckpt2hf.toml").write_text('dialect = "./mine.toml"\nset = { heads = 3 }\n', encoding="utf-8")
    return folder


def jobs(folder: Path, said: Said | None = None) -> dict[str, Job]:
    return {job.name: job for job in gather([str(folder)], folder.parent / "out", said).jobs}


def test_the_file_is_looked_for_from_where_it_is_named(runs: Path) -> None:
    made = jobs(runs)
    assert made["a/model"].request.dialect == runs / "a" / "mine.toml"
    assert made["b/model"].request.dialect is None
    (runs / "ckpt2hf.toml").write_text('[[checkpoint]]\npath = "b/*"\ndialect = "a/mine.toml"\n', encoding="utf-8")
    assert jobs(runs)["b/model"].request.dialect == runs / "a" / "mine.toml"
    (runs / "ckpt2hf.toml").write_text('dialect = "mingpt"\n[batch]\n', encoding="utf-8")
    assert jobs(runs)["b/model"].request.dialect == "mingpt"


def test_the_key_follows_what_is_in_the_file_and_not_where_it_lies(runs: Path) -> None:
    before = {name: job_key(job) for name, job in jobs(runs).items()}
    assert before == {name: job_key(job) for name, job in jobs(runs).items()}
    mine = runs / "a" / "mine.toml"
    text = mine.read_text(encoding="utf-8")
    moved = runs.parent / "elsewhere.toml"
    moved.write_text(text, encoding="utf-8")
    settings = Said(settings=Settings(dialect=str(moved)))
    assert job_key(jobs(runs, settings)["a/model"]) == before["a/model"]
    mine.write_text(text + "# later\n", encoding="utf-8")
    after = {name: job_key(job) for name, job in jobs(runs).items()}
    assert after["a/model"] != before["a/model"]
    assert after["b/model"] == before["b/model"]
    (job,) = (job for job in jobs(runs).values() if job.name == "a/model")
    mine.unlink()
    with pytest.raises(NotFoundError):
        job_key(job)


def test_a_wrong_file_is_told_before_anything_runs(runs: Path) -> None:
    mine = runs / "a" / "mine.toml"
    mine.write_text(mine.read_text(encoding="utf-8").replace('target = "gpt2"', 'target = "gpt"'), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        jobs(runs)
    assert refused.value.details == ("mine.toml:4: target: there is no target gpt; did you mean gpt2?",)
    mine.unlink()
    with pytest.raises(NotFoundError, match=r"mine\.toml"):
        jobs(runs)


def test_a_word_that_is_neither_an_id_nor_a_path_is_refused(runs: Path) -> None:
    (runs / "a" / "ckpt2hf.toml").write_text('dialect = "mine"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r'"mine" is none of .*, and no path'):
        jobs(runs)


def test_a_cluster_s_nodes_look_for_it_in_the_directory_of_the_command(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs(runs)["b/model"]
    assert ray_executor._folder(job) is None  # every path is whole
    monkeypatch.chdir(runs / "a")
    named = gather([str(runs / "b")], runs.parent / "out", Said(settings=Settings(dialect="mine.toml"))).jobs[0]
    assert ray_executor._folder(named) == str(runs / "a")
