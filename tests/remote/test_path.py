"""URLs as paths: what their text says, what of it is shown, what is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import Request, inspect
from ckpt2hf.errors import UsageError
from ckpt2hf.output import uploaded_directory
from ckpt2hf.remote import RemotePath, is_remote, open_store, path_or_url

if TYPE_CHECKING:
    from remote.conftest import S3

SIGNED = "https://key:secret@host/runs/ckpt.pt?X-Amz-Signature=abc&X-Amz-Credential=def"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("out/ckpt.pt", "out/ckpt.pt"),
        ("file:///data/ckpt.pt", "/data/ckpt.pt"),
        ("file://ckpt.pt", "ckpt.pt"),
        ("a:b", "a:b"),
    ],
)
def test_local_paths_stay_local(text: str, path: str) -> None:
    made = path_or_url(text)
    assert isinstance(made, PosixPath)
    assert made == Path(path)
    assert not is_remote(made)


def test_the_parts_of_a_url() -> None:
    path = path_or_url("s3://bucket/runs/7/ckpt.tar.pt")
    assert is_remote(path)
    assert (path.name, path.suffix, path.stem) == ("ckpt.tar.pt", ".pt", "ckpt.tar")
    assert str(path.parent) == "s3://bucket/runs/7"
    assert path.parent / "config.json" == path_or_url("s3://bucket/runs/7/config.json")
    assert path.is_relative_to(path_or_url("s3://bucket/runs"))
    assert not path.is_relative_to(path_or_url("s3://bucket/run"))
    assert str(path.relative_to(path_or_url("s3://bucket/runs"))) == "7/ckpt.tar.pt"
    assert path_or_url("s3://bucket/runs/") == path.parent.parent
    assert {path, path_or_url(str(path))} == {path}
    assert pickle.loads(pickle.dumps(path)) == path
    assert not path.is_top
    assert path_or_url("s3://bucket").is_top


def test_what_may_be_secret_is_not_shown() -> None:
    path = path_or_url(SIGNED)
    assert is_remote(path)
    assert path.url == SIGNED
    assert path.name == "ckpt.pt"
    assert not path.parent.url.endswith("def")
    for shown in (str(path), repr(path), str(path / "x")):
        assert "abc" not in shown
        assert "secret" not in shown


def test_a_method_it_does_not_have_is_an_error_and_no_question_to_the_disk() -> None:
    path = path_or_url("s3://bucket/x")
    for name in ("rename", "mkdir", "unlink", "write_text", "glob", "__fspath__"):
        assert not hasattr(path, name)
    with pytest.raises(TypeError):
        open(path)  # type: ignore[call-overload] # noqa: PTH123, SIM115


def test_kinds_of_urls_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="no kind of URL called s4://") as caught:
        inspect(Request(source=path_or_url("s4://bucket/x")))
    assert "did you mean s3:// ?" in caught.value.remedies
    with pytest.raises(UsageError, match="chain"):
        path_or_url("simplecache::s3://bucket/x")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        inspect(Request(source=path_or_url("s3a://bucket/x")))
    assert caught.value.remedies == ("pip install 'ckpt2hf[s3]'",)
    monkeypatch.setattr(open_store.importlib, "import_module", lambda _name: (_ for _ in ()).throw(ImportError("no")))
    open_store._store.cache_clear()
    with pytest.raises(UsageError, match="not installed"):
        inspect(Request(source=path_or_url("gs://bucket/x")))


def test_the_hub_is_not_asked_when_it_must_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids it"):
        inspect(Request(source=path_or_url("hf://somebody/model/ckpt.pt")))


def test_nothing_can_be_written_to_a_web_server() -> None:
    with (
        pytest.raises(UsageError, match="nothing can be written"),
        uploaded_directory(RemotePath("https://host/out"), force=True),
    ):
        pass


def test_local_work_imports_no_file_systems(repository: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from ckpt2hf.api import Level, Request, Writing, convert
request = Request(source=Path(sys.argv[1]), dialect="mingpt", facts=("heads=3",))
convert(request, Writing(out=Path(sys.argv[2]), level=Level.BYTES))
print(sorted({"fsspec", "s3fs", "aiohttp", "botocore", "asyncio"} & set(sys.modules)))
"""
    source = repository / "tests/golden/mingpt/checkpoint.pt"
    words = [sys.executable, "-c", code, str(source), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_takes_urls(s3: S3, repository: Path) -> None:
    s3.upload(repository / "tests/golden/mingpt/checkpoint.pt", "runs/ckpt.pt")
    command = Path(sys.executable).with_name("ckpt2hf")
    said = ["--dialect", "mingpt", "--set", "heads=3", "--verify", "bytes", "--json"]
    words = [command, "convert", f"s3://{s3.bucket}/runs/ckpt.pt", "-o", f"s3://{s3.bucket}/out", *said]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["output"] == f"s3://{s3.bucket}/out"
    (file,) = report["source"]["files"]
    assert file["sha256"] is None
    assert file["etag"] == s3.client.head_object(Bucket=s3.bucket, Key="runs/ckpt.pt")["ETag"].strip('"')
    assert "out/conversion.json" in set(s3.keys())
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert "loopback-secret" not in done.stderr
    done = subprocess.run([command, "inspect", words[2], "--json"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["path"] == f"s3://{s3.bucket}/runs/ckpt.pt"
