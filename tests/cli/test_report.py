"""`ckpt2hf report` on a model: where the page goes, what it replaces, and what is refused in which words."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.report.html import MADE_BY_US

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Done


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "mini hf")


def contents(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_page_lies_beside_the_directory_which_stays_as_it_was(cli: Callable[..., Done], out: Path) -> None:
    before = contents(out)
    done = cli("report", out)
    page = out.with_name("mini hf.report.html")
    assert (done.code, done.out, done.err) == (0, f"report    {page}\n", "")
    assert contents(out) == before
    assert {path.name for path in out.parent.iterdir()} == {"mini hf", page.name}
    html = page.read_text(encoding="utf-8")
    assert "Its weights were proved, its logits were not compared" in html
    assert "ckpt2hf quantize &#x27;mini hf&#x27; --to onnx-q8" in html
    for line in (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        assert digest in html
        assert name in html
        assert f'value="{(out / name).stat().st_size}"' in html
    assert cli("verify", out).code == 0


@pytest.mark.parametrize(("words", "inside"), [((".",), ""), (("../mini hf/",), ""), (("..",), "onnx")])
def test_however_the_directory_is_spelled(cli: Callable[..., Done], out: Path, words: tuple[str], inside: str) -> None:
    (out / inside).mkdir(exist_ok=True)
    done = cli("report", *words, cwd=out / inside)
    assert done.code == 0, done.err
    assert out.with_name("mini hf.report.html").exists()


def test_a_link_has_its_page_beside_itself(cli: Callable[..., Done], out: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "latest").symlink_to(out)
    assert cli("report", "links/latest").code == 0
    assert (tmp_path / "links" / "latest.report.html").exists()


def test_the_page_goes_where_it_is_told(cli: Callable[..., Done], out: Path, tmp_path: Path) -> None:
    assert cli("report", out, "-o", "page.html").code == 0
    first = (tmp_path / "page.html").read_bytes()
    assert cli("report", out, "--output", "page.html", "--quiet").out == ""
    assert (tmp_path / "page.html").read_bytes() == first
    assert MADE_BY_US.encode() in first
    done = cli("report", out, "-o", "nowhere/page.html")
    assert done.code == 1
    assert "nowhere" in done.err


def test_what_is_no_page_of_ours_is_not_replaced(cli: Callable[..., Done], out: Path) -> None:
    before = contents(out)
    for name in ("model.safetensors", "conversion.json", "README.md"):
        done = cli("report", out, "-o", out / name)
        assert done.code == 2
        assert f"{name} is there, and no page of ckpt2hf" in done.err
    assert cli("report", out, "-o", out).code == 2
    assert contents(out) == before


def test_json_is_the_tree_of_the_report(cli: Callable[..., Done], out: Path) -> None:
    done = cli("report", out, "--json")
    assert json.loads(done.out) == json.loads((out / "conversion.json").read_bytes())
    assert out.with_name("mini hf.report.html").exists()


def test_files_that_are_gone_are_told(cli: Callable[..., Done], out: Path) -> None:
    (out / "pytorch_model.bin").unlink()
    (out / "model.safetensors").write_bytes(b"short")
    assert cli("report", out).code == 0
    html = out.with_name("mini hf.report.html").read_text(encoding="utf-8")
    assert "<code>pytorch_model.bin</code> is not there" in html
    assert "<code>model.safetensors</code> has another size than conversion.json says" in html


def test_without_sums_no_digest_is_claimed(cli: Callable[..., Done], out: Path) -> None:
    (out / "SHA256SUMS").unlink()
    assert cli("report", out).code == 0
    html = out.with_name("mini hf.report.html").read_text(encoding="utf-8")
    assert "There is no SHA256SUMS, so no digest is known." in html
    assert "pytorch_model.bin" in html


def test_a_report_that_is_not_the_one_of_the_conversion_makes_no_page(cli: Callable[..., Done], out: Path) -> None:
    report = out / "conversion.json"
    report.write_text(report.read_text(encoding="utf-8").replace('"level": "bytes"', '"level": "logits"'))
    done = cli("report", out)
    assert done.code == 1
    assert "conversion.json is not the file that SHA256SUMS names" in done.err
    assert not out.with_name("mini hf.report.html").exists()


def test_what_is_neither_or_both_is_refused(cli: Callable[..., Done], out: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cli("report", "empty")
    assert (done.code, done.out) == (2, "")
    assert "neither a converted model nor the output of a batch" in done.err
    assert "there is no directory missing" in cli("report", "missing").err
    assert "is a file, not a directory" in cli("report", out / "conversion.json").err
    (out / ".ckpt2hf").mkdir()
    (out / ".ckpt2hf" / "journal-1-of-1.jsonl").write_bytes(b"")
    done = cli("report", out)
    assert done.code == 2
    assert "this is a model and the output of a batch" in done.err
    assert not out.with_name("mini hf.report.html").exists()


def test_a_batch_takes_no_output(cli: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "batch" / ".ckpt2hf").mkdir(parents=True)
    (tmp_path / "batch" / ".ckpt2hf" / "journal-1-of-1.jsonl").write_bytes(b"")
    done = cli("report", "batch", "-o", "page.html")
    assert done.code == 2
    assert "--output is for the page of a model" in done.err
    assert cli("report", "batch").code == 0
    assert (tmp_path / "batch" / "batch.html").exists()


def test_it_needs_no_torch(cli: Callable[..., Done], out: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')", encoding="utf-8")
    found = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    assert cli("report", out, PYTHONPATH=found).code == 0
    assert cli("generate", out, "Salam", PYTHONPATH=found).code == 1, "nothing stands in the way of torch"
