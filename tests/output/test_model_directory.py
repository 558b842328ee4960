"""A directory appears complete or not at all, and never in the place of something precious."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.errors import OutputError, UsageError
from ckpt2hf.output import linux, new_directory, partial_directory, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Tmpfs = Callable[[str], AbstractContextManager[Path]]


def inside(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def make(out: Path, text: str = "new", *, force: bool = False) -> None:
    with new_directory(out, force=force) as partial:
        assert partial.parent == out.parent.resolve()
        write_json(partial / "config.json", {"text": text})
        (partial / "marker").write_text(text)
        (partial / "deep" / "er").mkdir(parents=True)
        (partial / "deep" / "er" / "file").write_text(text)


@pytest.fixture(params=["exchange", "rename"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The two ways in which a directory is replaced."""
    if request.param == "rename":
        monkeypatch.setattr(linux, "exchange", lambda _one, _other: False)
    return str(request.param)


def test_missing_parents_are_made(tmp_path: Path) -> None:
    make(tmp_path / "a" / "b" / "out")
    assert (tmp_path / "a" / "b" / "out" / "deep" / "er" / "file").read_text() == "new"
    assert inside(tmp_path / "a" / "b") == ["out"]


def test_the_directory_has_the_permissions_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        make(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_after_an_error_nothing_is_left(tmp_path: Path, error: type[BaseException]) -> None:
    def half() -> None:
        with new_directory(tmp_path / "a" / "out", force=False) as partial:
            (partial / "file").write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert inside(tmp_path) == []


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out")
    assert (tmp_path / "out" / "marker").exists()


def test_what_exists_is_kept_without_force(tmp_path: Path) -> None:
    make(tmp_path / "out", "old")
    with pytest.raises(UsageError, match="exists") as caught:
        make(tmp_path / "out")
    assert "--force" in caught.value.remedies[0]
    assert (tmp_path / "out" / "marker").read_text() == "old"
    assert inside(tmp_path) == ["out"]


@pytest.mark.usefixtures("way")
def test_force_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    make(tmp_path / "out", "old")
    (tmp_path / "out" / "other").write_text("old")
    make(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "marker").read_text() == "new"
    assert not (tmp_path / "out" / "other").exists()
    assert inside(tmp_path) == ["out"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("old", [True, False])
def test_if_the_last_sync_fails_all_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old: bool) -> None:
    if old:
        make(tmp_path / "out", "old")
    real = os.fsync

    def failing(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError(errno.EIO, "the disk is gone")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OutputError, match="the disk is gone"):
        make(tmp_path / "out", force=True)
    assert inside(tmp_path) == (["out"] if old else [])
    assert not old or (tmp_path / "out" / "marker").read_text() == "old"


def test_if_the_second_of_two_renames_fails_the_old_one_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "out", "old")
    monkeypatch.setattr(linux, "exchange", lambda _one, _other: False)
    real, calls = os.rename, []

    def failing(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "no")
        real(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OutputError):
        make(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "marker").read_text() == "old"
    assert inside(tmp_path) == ["out"]


def test_a_reader_never_sees_the_directory_missing(tmp_path: Path) -> None:
    out, stop, seen, missing = tmp_path / "out", threading.Event(), set(), []
    make(out, "0")
    if not linux.exchange(out, out):
        pytest.fail("this file system cannot exchange two names: set TMPDIR to one that can (ext4, xfs, btrfs, tmpfs)")

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add((out / "marker").read_text())
            except FileNotFoundError:
                missing.append(out)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for k in range(1, 40):
            make(out, str(k), force=True)
    finally:
        stop.set()
        reader.join()
    assert not missing
    assert len(seen) > 1


def test_force_does_not_replace_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "home" / "letters").mkdir(parents=True)
    with pytest.raises(UsageError, match="is not a model directory"):
        make(tmp_path / "home", force=True)
    assert (tmp_path / "home" / "letters").exists()


def test_force_does_not_replace_what_filled_up_meanwhile(tmp_path: Path) -> None:
    def disturbed() -> None:
        with new_directory(tmp_path / "out", force=True):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "letter").write_text("dear")

    with pytest.raises(UsageError, match="is not a model directory"):
        disturbed()
    assert (tmp_path / "out" / "letter").read_text() == "dear"
    assert inside(tmp_path) == ["out"]


def test_files_links_and_the_current_directory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "model")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, why in [("file", "not a directory"), ("link", "symbolic link"), ("dangling", "symbolic link")]:
        with pytest.raises(UsageError, match=why):
            make(tmp_path / name, force=True)
    monkeypatch.chdir(tmp_path / "model" / "deep")
    for path in (tmp_path / "model", tmp_path / "model" / "deep" / ".."):
        with pytest.raises(UsageError, match="current directory"):
            make(path, force=True)
    assert inside(tmp_path) == ["dangling", "file", "link", "model"]


def test_a_parent_that_is_a_file_or_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(OutputError) as caught:
        make(tmp_path / "file" / "out")
    assert caught.value.where == str(tmp_path / "file" / "out")

    def read_only(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", read_only)
    with pytest.raises(OutputError, match="Read-only") as caught:
        make(tmp_path / "out")
    assert caught.value.remedies == ("choose another -o: this file system is read-only",)


@pytest.mark.mount
def test_a_mount_point_and_a_read_only_file_system(tmpfs: Tmpfs) -> None:
    with tmpfs("size=1m,ro") as disk:
        with pytest.raises(UsageError, match="mount point"):
            make(disk, force=True)
        with pytest.raises(OutputError, match="Read-only"):
            make(disk / "out")


def test_json_is_utf8_in_insertion_order(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": "ə", "a": [1, None]})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "b": "ə",\n  "a": [\n    1,\n    null\n  ]\n}\n'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))


def test_a_signal_right_after_the_directory_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def interrupted(path: Path, *words: Any, **named: Any) -> None:
        real(path, *words, **named)
        if ".partial-" in path.name:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / "out", force=False):
        pass
    assert not list(tmp_path.iterdir())


def test_somebody_elses_directory_of_the_same_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(partial_directory.secrets, "token_hex", lambda _count: next(names))
    theirs = tmp_path / "out.partial-aaaaaaaa"
    theirs.mkdir()
    (theirs / "file").touch()
    with partial_directory.locked_partial(tmp_path / "out") as mine:
        assert mine.name == "out.partial-bbbbbbbb"
    assert [path.name for path in theirs.iterdir()] == ["file"]
