"""From what is typed to jobs: directories, patterns, files, several of them, and what comes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import convert
from ckpt2hf.batch.gather import gather
from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.verify import Level
from support import EVERY_FLAGS, SOURCES

if TYPE_CHECKING:
    from ckpt2hf.batch.job import Job


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for path in ("a/ckpt.pt", "b/ckpt.pt", "b/optimizer.pt", "b/deep/x.ckpt", "c/model.safetensors", "c/config.json"):
        Path("runs", path).parent.mkdir(parents=True, exist_ok=True)
        Path("runs", path).write_bytes(path.encode())
    return Path("runs")


def names(*inputs: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [job.name for job in gather(inputs, Path("out"), exclude=exclude).jobs]


ALL = ["a/ckpt", "b/ckpt", "b/deep/x", "c"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["runs"], ALL),
        (["./runs/"], ALL),
        (["runs/*"], ALL),
        (["runs/**"], ALL),
        (["runs/a", "runs/b", "runs/c"], ALL),
        (["runs", "runs/b", "runs/b/deep/x.ckpt", "runs/*/ckpt.pt"], ALL),
        (["runs/a/ckpt.pt"], ["ckpt"]),
        (["runs/a/ckpt.pt", "runs/b/ckpt.pt"], ["a/ckpt", "b/ckpt"]),
        (["runs/*/ckpt.pt"], ["a/ckpt", "b/ckpt"]),
        (["runs/[ab]/*.pt"], ["a/ckpt", "b/ckpt"]),
        (["runs/**/*.ckpt"], ["b/deep/x"]),
        (["runs/?/deep"], ["b/deep/x"]),
        (["runs/c"], ["c"]),
        (["runs/c/model.safetensors"], ["c"]),
        (["r*/c/*"], ["runs/c"]),
        (["runs/b/*", "runs/b/ckpt.pt"], ["ckpt", "deep/x"]),
    ],
)
def test_inputs(inputs: list[str], expected: list[str], runs: Path) -> None:
    assert runs.is_dir()
    assert names(*inputs) == expected
    assert names(*reversed(inputs)) == expected


def test_paths_stay_as_they_were_given(runs: Path) -> None:
    (job,) = gather(["runs/c"], Path("out")).jobs
    assert job.request.source == runs / "c" / "model.safetensors"
    assert job.files == (runs / "c" / "model.safetensors", runs / "c" / "config.json")
    assert job.nbytes == len("c/model.safetensors")
    assert job.writing.out == Path("out/c")
    assert not job.writing.force


def test_only_what_a_pattern_means_is_spoken_of(runs: Path) -> None:
    assert [(each.path, each.why) for each in gather(["runs/b/*.pt"], Path("out")).skipped] == [
        (str(runs / "b" / "optimizer.pt"), "optimizer state")
    ]
    assert not gather(["runs/*/ckpt.pt"], Path("out")).skipped


def test_a_pattern_goes_no_deeper_than_it_says(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckpt2hf.batch import discovery, listing  # noqa: PLC0415

    seen: list[str] = []
    monkeypatch.setattr(discovery, "listing", lambda folder: seen.append(str(folder)) or listing.listing(folder))
    gather(["runs/a*/*.pt"], Path("out"))
    assert seen == [str(runs), str(runs / "a")]


def test_a_shard_that_a_pattern_means_brings_its_index(runs: Path) -> None:
    for k in (1, 2):
        (runs / "c" / f"model-0000{k}-of-00002.safetensors").write_bytes(b"12")
    (runs / "c" / "model.safetensors").rename(runs / "c" / "model.safetensors.index.json")
    (job,) = gather(["runs/**/*.safetensors"], Path("out")).jobs
    assert job.request.source.name == "model.safetensors.index.json"


def test_names_with_signs_of_patterns(runs: Path) -> None:
    (runs / "[a]").mkdir()
    (runs / "[a]" / "x.pt").write_bytes(b"1")
    assert names("runs/[a]") == ["x"]
    assert names("runs/[a]/x.pt") == ["x"]
    assert names("runs/[a]/*.pt") == ["a/ckpt"]
    assert names("runs/[[]a]/*.pt") == ["[a]/x"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "nothing is given"),
        ([""], "empty"),
        (["runs/*.pt"], "nothing fits runs/*.pt"),
        (["nowhere/*.pt"], "nothing fits nowhere/*.pt"),
        (["runs", "runs/none*"], "nothing fits runs/none*"),
        (["runs/b/optimizer.pt"], "optimizer state"),
        (["runs/c/config.json"], "configuration"),
        (["nul\0byte"], "there is no nul"),
        (["r" * 5000], "there is no rrr"),
    ],
)
def test_inputs_that_make_no_sense(inputs: list[str], said: str, runs: Path) -> None:
    assert runs.is_dir()
    with pytest.raises((UsageError, NotFoundError)) as error:
        gather(inputs, Path("out"))
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_what_is_not_there_is_told_with_what_is_near(runs: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no runs/a/cpkt\.pt") as error:
        gather(["runs/a/cpkt.pt"], Path("out"))
    assert error.value.remedies == ("did you mean runs/a/ckpt.pt ?",)
    with pytest.raises(UsageError, match="2 inputs cannot be used") as several:
        gather(["runs/a/cpkt.pt", "runz", "runs"], Path("out"))
    assert len(several.value.remedies) == 2
    with pytest.raises(NotFoundError):
        gather([str(runs / "none.toml")], Path("out"))


def test_the_output_may_lie_among_the_inputs(runs: Path) -> None:
    (runs / "out" / "old").mkdir(parents=True)
    (runs / "out" / "old" / "x.pt").write_bytes(b"1")
    gathered = gather(["runs"], runs / "out")
    assert [job.name for job in gathered.jobs] == ALL
    assert ("runs/out", "the output directory of this batch") in [(each.path, each.why) for each in gathered.skipped]


def test_a_golden_folder_becomes_a_proved_batch(repository: Path, tmp_path: Path) -> None:
    gathered = gather([str(repository / "tests" / "golden" / "*" / "checkpoint.pt")], tmp_path / "out")
    named = {name for name in EVERY_FLAGS if name not in SOURCES}
    assert {job.name.partition("/")[0] for job in gathered.jobs} == named
    for job in gathered.jobs[:3]:
        assert convert(told(job), replace(job.writing, level=Level.BYTES)).verdict.proved
        assert (tmp_path / "out" / job.name / "config.json").exists()


def told(job: Job):  # noqa: ANN201
    return replace(job.request, **EVERY_FLAGS[job.name.partition("/")[0]])
