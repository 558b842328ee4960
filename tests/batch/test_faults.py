"""What an error means: a fact about the checkpoint, a matter of what is around it, or something that passes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.place import is_about, is_free
from ckpt2hf.errors import (
    BrokenPromiseError,
    CheckpointError,
    Ckpt2hfError,
    FactsError,
    HealthError,
    NotFoundError,
    OutputError,
    ResourceError,
    UnreachableError,
    UsageError,
    VerificationError,
)
from ckpt2hf.output import new_directory

FACTS = (CheckpointError, FactsError, HealthError, NotFoundError, UsageError)
AROUND = (BrokenPromiseError, OutputError, ResourceError, VerificationError)


@pytest.mark.parametrize("kind", Ckpt2hfError.__subclasses__(), ids=lambda kind: kind.code)
def test_every_error_of_ours_keeps_its_words(kind: type[Ckpt2hfError]) -> None:
    error = kind("what", details=["a"], where="there", tried="that", remedies=["help"])
    made = judged(error)
    assert (made.reason.code, made.reason.what, made.reason.details) == (kind.code, "what", ("a",))
    assert (made.reason.where, made.reason.tried, made.reason.remedies) == ("there", "that", ("help",))
    if kind in FACTS:
        assert (made.lasting, made.passing) == (True, False)
    elif kind in AROUND:
        assert (made.lasting, made.passing) == (False, False)
    elif kind is UnreachableError:
        assert (made.lasting, made.passing) == (False, True)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("number", "passing"),
    [
        (errno.EIO, True),
        (errno.ENOMEM, True),
        (errno.EMFILE, True),
        (errno.ESTALE, True),
        (errno.ENOSPC, False),
        (errno.EDQUOT, False),
        (errno.EROFS, False),
        (errno.EACCES, False),
        (errno.ENAMETOOLONG, False),
        (errno.EFBIG, False),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_the_system_said_decides_whether_it_is_tried_again(number: int, passing: bool, depth: int) -> None:
    error: Exception = OSError(number, os.strerror(number))
    for _ in range(depth):
        error = caused(OutputError("cannot write"), error)
    made = judged(error)
    assert made.passing is passing
    assert not made.lasting


def test_a_checkpoint_that_could_not_be_read_just_now_is_not_refused() -> None:
    made = judged(caused(CheckpointError("cannot be read"), OSError(errno.EIO, "")))
    assert (made.lasting, made.passing) == (False, True)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: 8 bytes")])
def test_too_little_memory_is_a_matter_of_the_budget(error: Exception) -> None:
    made = judged(error)
    assert made.reason.code == "resources"
    assert "--workers 1" in made.reason.remedies[0]
    assert not made.lasting


def test_anything_else_is_a_bug_that_tells_where() -> None:
    with pytest.raises(KeyError) as caught:
        {}["heads"]
    made = judged(caught.value)
    assert made.reason.code == "bug"
    assert any("test_faults.py" in line for line in made.reason.details)
    assert (made.lasting, made.passing) == (False, False)


def test_causes_that_go_round_in_a_circle() -> None:
    one, other = OSError(errno.ENOSPC, ""), OSError(errno.EROFS, "")
    one.__cause__, other.__cause__ = other, one
    assert not judged(one).passing


@pytest.mark.parametrize("kind", ["model", "file", "link", "dangling", "free", "empty"])
def test_what_is_in_the_way_is_no_fact_about_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    place = Path("folder", "out")  # relative, as people say it
    if kind in {"model", "empty"}:
        place.mkdir()
    if kind == "model":
        (place / "config.json").touch()
    elif kind == "file":
        place.touch()
    elif kind == "link":
        place.symlink_to(tmp_path)
    elif kind == "dangling":
        place.symlink_to(tmp_path / "nowhere")
    free = kind in {"free", "empty"}
    assert is_free(place) is free
    if not free:
        with pytest.raises(UsageError) as caught, new_directory(place, force=False):
            pass
        assert is_about(caught.value, place)
        assert not is_about(caught.value, Path("folder", "other"))
    assert not is_about(UsageError("another word", where="folder/out"), place)
    assert not is_about(OutputError("full", where=str(tmp_path / place)), place)
