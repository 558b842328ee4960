"""A directory filled from another: the same files without a copy, and copies where there are no links."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.errors import OutputError
from ckpt2hf.output import fill_from

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    (folder / "onnx" / "deep").mkdir(parents=True)
    for name in ("a", "onnx/b", "onnx/c", "onnx/deep/.hidden"):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / "link").symlink_to("a")
    return folder


def test_all_but_what_is_named_is_there_and_the_same(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    fill_from(old, new, {"onnx/b"})
    names = {path.relative_to(new).as_posix() for path in new.rglob("*") if not path.is_dir()}
    assert names == {"a", "onnx/c", "onnx/deep/.hidden", "link"}
    assert (new / "onnx" / "c").samefile(old / "onnx" / "c")
    assert (new / "link").readlink() == (old / "link").readlink()


def test_without_links_it_copies(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    new = tmp_path / "new"
    fill_from(old, new, ())
    assert (new / "onnx" / "c").read_text(encoding="utf-8") == "onnx/c"
    assert not (new / "onnx" / "c").samefile(old / "onnx" / "c")
    assert (new / "link").is_symlink()


def test_a_file_that_is_there_already_is_not_replaced_in_silence(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write a"):
        fill_from(old, new, ())
