"""The same through other file systems of fsspec: in memory, by file:// and from a web server."""

from __future__ import annotations

import threading
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
import pytest

from ckpt2hf.api import Level, Request, Writing, convert, inspect
from ckpt2hf.errors import CheckpointError, NotFoundError, UnreachableError, UsageError
from ckpt2hf.output import upload
from ckpt2hf.remote import path_or_url
from same_files import assert_same_files, files_of
from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NANOGPT = {"dialect": "nanogpt", "facts": ("activation=gelu",)}


class Ranged(SimpleHTTPRequestHandler):
    """A web server for files that gives parts of them, and counts."""

    sent: ClassVar[list[int]] = []
    broken: ClassVar[list[str]] = []
    parts = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.translate_path(self.path)
        if self.broken:
            self.send_error(int(self.broken.pop()))
            return
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                data = file.read()
        except OSError:
            self.send_error(404)
            return
        start, _, stop = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(start) : int(stop or len(data)) + 1] if self.parts else data
        self.send_response(206 if self.parts and "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{zlib.crc32(data)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)
            self.sent.append(len(part))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server for the files in `tmp_path / "web"`."""
    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranged, directory=str(tmp_path / "web")))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    Ranged.sent, Ranged.broken, Ranged.parts = [], [], True
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    yield store
    for key in store.find("/"):
        store.rm_file(key)


def same(out: Path, files: dict[str, bytes]) -> None:
    assert_same_files(files, files_of(out))


@pytest.mark.parametrize("name", ["mingpt", "nanogpt_bias", "az50_v2"])
def test_from_memory_to_memory(memory: Any, name: str, repository: Path, tmp_path: Path) -> None:
    source = repository / "tests/golden" / name / "checkpoint.pt"
    memory.pipe_file("/in/checkpoint.pt", source.read_bytes())
    writing = {"level": Level.BYTES}
    for from_, out in (
        (source, tmp_path / "local"),
        (path_or_url("memory://in/checkpoint.pt"), path_or_url("memory://out/m")),
    ):
        assert convert(Request(source=from_, **FLAGS[name]), Writing(out=out, **writing)).verdict.proved
    same(tmp_path / "local", {key.rpartition("/")[2]: memory.cat_file(key) for key in memory.find("/out/m")})


def test_a_file_url_is_a_local_path(repository: Path, tmp_path: Path) -> None:
    source = path_or_url(f"file://{repository}/tests/golden/mingpt/checkpoint.pt")
    out = path_or_url(f"file://{tmp_path}/out")
    report = convert(Request(source=source, **FLAGS["mingpt"]), Writing(out=out, level=Level.BYTES))
    assert report.source.files[0].sha256
    assert (tmp_path / "out" / "conversion.json").exists()


def test_from_a_web_server(web: str, trained: Callable[..., Path], tmp_path: Path) -> None:
    local = trained(1)
    (tmp_path / "web" / "ckpt.pt").write_bytes(local.read_bytes())
    source = path_or_url(f"{web}/ckpt.pt?X-Signature=hidden")
    for from_, out in ((local, tmp_path / "local"), (source, tmp_path / "remote")):
        report = convert(Request(source=from_, **NANOGPT), Writing(out=out, level=Level.BYTES))
    same(tmp_path / "local", {path.name: path.read_bytes() for path in (tmp_path / "remote").iterdir()})
    assert sum(Ranged.sent) < 0.38 * local.stat().st_size
    assert report.source.files[0].etag
    assert "hidden" not in (tmp_path / "remote" / "conversion.json").read_text()


def test_a_web_server_that_falters(web: str, trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "web" / "ckpt.pt").write_bytes(trained(1).read_bytes())
    Ranged.broken = ["503", "500", "502"]
    assert inspect(Request(source=path_or_url(f"{web}/ckpt.pt"), **NANOGPT)).checkpoint.tensors
    Ranged.broken = ["503"] * 100
    with pytest.raises(UnreachableError):
        inspect(Request(source=path_or_url(f"{web}/ckpt.pt"), **NANOGPT))


def test_a_web_server_that_gives_whole_files_only(web: str, trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "web" / "ckpt.pt").write_bytes(trained(1).read_bytes())
    Ranged.parts = False
    with pytest.raises(NotFoundError, match="whole files only"):
        inspect(Request(source=path_or_url(f"{web}/ckpt.pt")))


def test_what_is_not_on_a_web_server(web: str) -> None:
    with pytest.raises(NotFoundError, match="there is no http://"):
        inspect(Request(source=path_or_url(f"{web}/nothing.pt")))


def test_a_file_that_is_replaced_where_parts_cannot_be_asked_for_by_version(
    web: str, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: Any
) -> None:
    """It is noticed at the end, before anything is sent."""
    place = tmp_path / "web" / "ckpt.pt"
    place.write_bytes(trained(1).read_bytes())
    real = upload._Sending.begin
    monkeypatch.setattr(
        upload._Sending, "begin", lambda self: (place.write_bytes(trained(2).read_bytes()), real(self))[1]
    )
    source = path_or_url(f"{web}/ckpt.pt")
    with pytest.raises(CheckpointError, match="changed"):
        convert(Request(source=source, **NANOGPT), Writing(out=path_or_url("memory://out/m"), level=Level.STRUCTURE))
    assert not memory.find("/out")


def test_the_checkpoint_is_not_replaced_by_its_conversion(memory: Any, repository: Path) -> None:
    memory.pipe_file("/run/a/checkpoint.pt", (repository / "tests/golden/mingpt/checkpoint.pt").read_bytes())
    source, out = path_or_url("memory://run/a/checkpoint.pt"), path_or_url("memory://run/a")
    with pytest.raises(UsageError, match="would replace the checkpoint"):
        convert(Request(source=source, **FLAGS["mingpt"]), Writing(out=out, level=Level.BYTES, force=True))
