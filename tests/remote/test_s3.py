"""From S3 to S3, as from disk to disk."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Level, Request, Writing, convert, inspect, plan
from ckpt2hf.errors import CheckpointError, NotFoundError, OutputError, UnreachableError, UsageError
from ckpt2hf.output import upload
from ckpt2hf.remote import faults, fetched, path_or_url
from ckpt2hf.remote import s3 as s3_module
from same_files import assert_same_files, files_of
from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote.conftest import S3

NANOGPT = {"dialect": "nanogpt", "facts": ("activation=gelu",)}
CHANCE = 0.25


def assert_same(s3: S3, key: str, local: Path) -> None:
    """The directory at the key is the local one, byte by byte, and nothing is left over."""
    there = {name.removeprefix(f"{key}/"): s3.get(name) for name in list(s3.keys(f"{key}/"))}
    assert_same_files(there, files_of(local))
    assert not s3.unfinished()


def both(s3: S3, local: Path, key: str, tmp_path: Path, level: Level = Level.BYTES, **said: Any) -> None:
    """Convert here and there, and compare."""
    source = s3.upload(local, f"in/{key}/{local.name}")
    for request, out in (
        (Request(source=local, **said), tmp_path / "local"),
        (Request(source=source, **said), s3.url(key)),
    ):
        assert convert(request, Writing(out=out, level=level)).verdict.proved
    assert_same(s3, key, tmp_path / "local")


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_golden_checkpoints_give_the_same_files(s3: S3, name: str, repository: Path, tmp_path: Path) -> None:
    folder = repository / "tests" / "golden" / name
    source = folder / "best_model" if (folder / "best_model").exists() else folder / "checkpoint.pt"
    both(s3, source, f"out/{name}", tmp_path, **FLAGS[name])


@pytest.mark.parametrize("name", ["az50_v2", "az50_v2_accelerate_dir", "mingpt", "nanogpt_bias"])
def test_golden_checkpoints_give_the_same_files_under_faults(
    s3: S3, name: str, repository: Path, tmp_path: Path
) -> None:
    folder = repository / "tests" / "golden" / name
    source = folder / "best_model" if (folder / "best_model").exists() else folder / "checkpoint.pt"
    faulty = s3.plan(chance=CHANCE, seed=len(name))
    both(s3, source, f"out/{name}", tmp_path, **FLAGS[name])
    assert sum(faulty.faults.values()) > 3


@pytest.mark.parametrize(
    ("said", "chance"), [({}, 0.0), ({"_use_new_zipfile_serialization": False}, 0.0), ({}, CHANCE)],
    ids=["zip", "before 1.6", "zip, with faults"],
)  # fmt: skip
def test_only_the_weights_are_fetched(
    s3: S3,
    trained: Callable[..., Path],
    tmp_path: Path,
    said: dict[str, Any],
    chance: float,
    monkeypatch: Any,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(fetched, "PIECE", 1 << 20)
    local = trained(1, **said)
    source = s3.upload(local, "ckpt.pt")
    weights = sum(ref.meta.nbytes for ref in plan(Request(source=local, **NANOGPT)).checkpoint.tensors.values())
    weights -= ARGS_TIED
    seen = s3.plan(chance=chance, seed=3)
    convert(Request(source=source, **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    convert(Request(source=local, **NANOGPT), Writing(out=tmp_path / "local", level=Level.BYTES))
    assert_same(s3, "out", tmp_path / "local")
    if not chance:
        ratio = seen.fetched("/ckpt.pt") / weights
        record_property("fetched over weights", round(ratio, 3))
        assert 1.0 <= ratio < 1.12
        assert local.stat().st_size / weights > 2.9


ARGS_TIED = 256 * 192 * 4
"""Bytes of the tied head, which lie in the file once."""


def test_looking_at_a_checkpoint_fetches_no_weights(s3: S3, trained: Callable[..., Path]) -> None:
    local = trained(1)
    source = s3.upload(local, "ckpt.pt")
    seen = s3.plan()
    found = inspect(Request(source=source, **NANOGPT))
    assert len(found.checkpoint.tensors) == 53
    assert seen.fetched("/ckpt.pt") < 600_000
    assert all(each.part for each in seen.seen("GET") if each.path.endswith("/ckpt.pt"))


def test_shards_and_their_index(s3: S3, trained: Callable[..., Path], tmp_path: Path) -> None:
    request = Request(source=trained(1), **NANOGPT)
    sharded = tmp_path / "sharded"
    convert(request, Writing(out=sharded, level=Level.BYTES, max_shard_bytes=2_000_000))
    source = s3.upload(sharded, "sharded")
    found = inspect(Request(source=source / "model.safetensors.index.json")).checkpoint
    assert found.container == "sharded safetensors file"
    assert len(found.files) > 3
    for name, ref in inspect(Request(source=sharded / "model.safetensors.index.json")).checkpoint.tensors.items():
        assert found.tensors[name].load().tobytes() == ref.load().tobytes()


def test_the_logits_level(s3: S3, repository: Path, tmp_path: Path) -> None:
    both(s3, repository / "tests/golden/mingpt/checkpoint.pt", "out", tmp_path, Level.LOGITS, **FLAGS["mingpt"])


def test_large_files_go_in_parts_and_the_marker_goes_last(
    s3: S3, trained: Callable[..., Path], monkeypatch: Any
) -> None:
    monkeypatch.setattr(s3_module, "PART", 5 << 20)
    seen = s3.plan()
    convert(Request(source=trained(1), **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    written = [each.path.removeprefix(f"/{s3.bucket}/") for each in seen.seen("PUT")]
    assert sum("partNumber=" in path for path in written) == 4
    assert [path for path in written if "conversion.json" in path] == [written[-1]]
    assert written[0] == "out/conversion.partial.json"
    gone = [each.path for each in seen.seen("DELETE")]
    assert gone == [f"/{s3.bucket}/out/conversion.partial.json"]


def test_a_source_that_is_replaced_midway_is_refused(
    s3: S3, trained: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    source = s3.upload(trained(1), "ckpt.pt")
    real = upload._Sending.begin

    def replaced(sending: Any) -> None:
        s3.upload(trained(2), "ckpt.pt")
        real(sending)

    monkeypatch.setattr(upload._Sending, "begin", replaced)
    module = sys.modules["ckpt2hf.run.convert"]
    monkeypatch.setattr(module, "write_weights", lambda *_: pytest.fail("it was noticed only at the end"))
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        convert(Request(source=source, **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    assert set(s3.keys()) == {"ckpt.pt"}
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_replaced_after_it_was_read_is_refused(
    s3: S3, trained: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    module = sys.modules["ckpt2hf.run.convert"]
    source = s3.upload(trained(1), "ckpt.pt")
    real = module.proof
    monkeypatch.setattr(module, "proof", lambda *a, **k: (real(*a, **k), s3.upload(trained(2), "ckpt.pt"))[0])
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        convert(Request(source=source, **NANOGPT), Writing(out=tmp_path / "out", level=Level.BYTES))
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_replaced_only_by_force(s3: S3, repository: Path, tmp_path: Path) -> None:
    local = repository / "tests/golden/mingpt/checkpoint.pt"
    request = Request(source=local, **FLAGS["mingpt"])
    s3.client.put_object(Bucket=s3.bucket, Key="out/notes.txt", Body=b"mine")
    for force in (False, True):
        with pytest.raises(UsageError, match=r"not a model directory|exists"):
            convert(request, Writing(out=s3.url("out"), level=Level.BYTES, force=force))
    assert s3.get("out/notes.txt") == b"mine"
    assert set(s3.keys()) == {"out/notes.txt"}
    s3.client.put_object(Bucket=s3.bucket, Key="out/config.json", Body=b"{}")
    s3.client.put_object(Bucket=s3.bucket, Key="out/deeper/model.bin", Body=b"another")
    convert(request, Writing(out=s3.url("out"), level=Level.BYTES, force=True))
    assert "out/notes.txt" not in set(s3.keys())
    assert s3.get("out/deeper/model.bin") == b"another"
    s3.client.delete_object(Bucket=s3.bucket, Key="out/deeper/model.bin")
    convert(request, Writing(out=tmp_path / "local", level=Level.BYTES))
    assert_same(s3, "out", tmp_path / "local")
    with pytest.raises(UsageError, match="exists"):
        convert(request, Writing(out=s3.url("out"), level=Level.BYTES))
    with pytest.raises(UsageError, match="all of a store"):
        convert(request, Writing(out=path_or_url(f"s3://{s3.bucket}"), level=Level.BYTES, force=True))
    with pytest.raises(UsageError, match="is not a directory"):
        convert(request, Writing(out=s3.url("out/config.json"), level=Level.BYTES, force=True))


def test_a_failed_upload_takes_back_what_was_sent(s3: S3, trained: Callable[..., Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(s3_module, "PART", 5 << 20)
    down = s3.plan(chosen=lambda method, path: "internal" if method == "PUT" and "config.json" in path else None)
    with pytest.raises(UnreachableError, match="does not answer"):
        convert(Request(source=trained(1), **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    assert down.faults["internal"] == 6
    assert not s3.keys()
    assert not s3.unfinished()


def test_a_part_that_never_arrives_leaves_no_unfinished_upload(
    s3: S3, trained: Callable[..., Path], monkeypatch: Any
) -> None:
    monkeypatch.setattr(s3_module, "PART", 5 << 20)
    s3.plan(chosen=lambda _method, path: "reset" if "partNumber=2" in path else None)
    with pytest.raises(UnreachableError):
        convert(Request(source=trained(1), **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    assert not s3.keys()
    assert not s3.unfinished()


def test_an_upload_that_fails_is_aborted_at_once(s3: S3, trained: Callable[..., Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(s3_module, "PART", 5 << 20)
    s3.plan(chosen=lambda _method, path: "reset" if "partNumber=2" in path else None)
    url = s3.url("ckpt.pt")
    with pytest.raises(UnreachableError):
        url.store.put(trained(1), url.url, lambda _nbytes: None)
    assert not s3.unfinished()


def test_an_answer_that_is_lost_when_the_upload_is_completed(
    s3: S3, trained: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    """The server did it and the client does not know: asked again, the server knows no such upload."""
    monkeypatch.setattr(s3_module, "PART", 5 << 20)
    lost: list[str] = []

    def chosen(method: str, path: str) -> str | None:
        if method != "POST" or "uploadId=" not in path:
            return None
        lost.append(path)
        return "lost answer" if lost.count(path) == 1 else "no such upload"

    s3.plan(chosen=chosen)
    both(s3, trained(1), "out", tmp_path, **NANOGPT)
    assert len(lost) == 4


def test_a_store_that_keeps_other_bytes_than_were_sent(s3: S3, trained: Callable[..., Path], monkeypatch: Any) -> None:
    real = s3_module.checksums

    def wrong(data: bytes) -> tuple[str, str]:
        return real(data[:-1] + bytes([data[-1] ^ 1])) if len(data) > 1 << 20 else real(data)

    monkeypatch.setattr(s3_module, "checksums", wrong)
    with pytest.raises((OutputError, UnreachableError)):
        convert(Request(source=trained(1), **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    assert not s3.keys()


def test_another_run_in_the_same_place(s3: S3, repository: Path, monkeypatch: Any) -> None:
    real = upload._Sending.run

    def disturbed(sending: Any, *args: Any, **words: Any) -> None:
        note = json.dumps({"files": [], "token": "another"})
        s3.client.put_object(Bucket=s3.bucket, Key="out/conversion.partial.json", Body=note)
        real(sending, *args, **words)

    monkeypatch.setattr(upload._Sending, "run", disturbed)
    source = repository / "tests/golden/mingpt/checkpoint.pt"
    with pytest.raises(OutputError, match="another run"):
        convert(Request(source=source, **FLAGS["mingpt"]), Writing(out=s3.url("out"), level=Level.BYTES))
    assert set(s3.keys()) == {"out/conversion.partial.json"}


def test_what_is_not_there_is_named(s3: S3) -> None:
    s3.client.put_object(Bucket=s3.bucket, Key="runs/ckpt.pt", Body=b"x")
    with pytest.raises(NotFoundError, match=r"there is no s3://") as caught:
        inspect(Request(source=s3.url("runs/ckp.pt")))
    assert any("did you mean s3://" in remedy and remedy.endswith("runs/ckpt.pt ?") for remedy in caught.value.remedies)
    with pytest.raises(NotFoundError, match=r"there is no s3://no-such-bucket/a.pt"):
        inspect(Request(source=path_or_url("s3://no-such-bucket/a.pt")))


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_noticed_before_the_work(repository: Path, monkeypatch: Any) -> None:
    module = sys.modules["ckpt2hf.run.convert"]
    monkeypatch.setattr(module, "write_weights", lambda *_: pytest.fail("work was begun"))
    request = Request(source=repository / "tests/golden/mingpt/checkpoint.pt", **FLAGS["mingpt"])
    with pytest.raises(NotFoundError, match=r"there is no s3://no-such-bucket"):
        convert(request, Writing(out=path_or_url("s3://no-such-bucket/out"), level=Level.BYTES))


def test_access_denied(s3: S3, monkeypatch: Any) -> None:
    s3.client.put_object(Bucket=s3.bucket, Key="ckpt.pt", Body=b"x")
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    monkeypatch.setattr("remote.proxy.INTERNAL", denied)
    handler = s3.proxy.server.RequestHandlerClass
    real = handler.answer
    monkeypatch.setattr(
        handler, "answer", lambda self, status, *a, **k: real(self, 403 if status == 500 else status, *a, **k)
    )
    s3.plan(chosen=lambda _method, _path: "internal")
    with pytest.raises(NotFoundError, match=r"access to s3://.* is denied") as caught:
        inspect(Request(source=s3.url("ckpt.pt")))
    assert "loopback-secret" not in str(caught.value)


def test_no_credentials(s3: S3, monkeypatch: Any) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NotFoundError, match=r"access to s3://.* is denied"):
        inspect(Request(source=s3.url("ckpt.pt")))


def test_no_network(s3: S3, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        inspect(Request(source=s3.url("ckpt.pt")))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("fault", ["internal", "slow down", "stall", "reset", "truncated"])
def test_a_store_that_stays_down(s3: S3, trained: Callable[..., Path], fault: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(faults, "ATTEMPTS", 2)
    source = s3.upload(trained(1), "ckpt.pt")
    seen = s3.plan(stall=1.5, chosen=lambda method, _path: fault if method == "GET" else None)
    with pytest.raises(UnreachableError):
        inspect(Request(source=source))
    assert 2 <= seen.faults[fault] <= 4  # aiohttp asks a second time when a connection it had kept open is gone


def test_scratch_says_where_and_holds_nothing_afterwards(
    s3: S3, repository: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    source = s3.upload(repository / "tests/golden/mingpt/checkpoint.pt", "ckpt.pt")
    scratch, used = tmp_path / "scratch", []
    scratch.mkdir()
    real = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda fd, *a: used.append(str(Path(f"/proc/self/fd/{fd}").readlink())) or real(fd, *a)
    )
    writing = Writing(out=s3.url("out"), level=Level.BYTES, scratch=scratch)
    assert convert(Request(source=source, **FLAGS["mingpt"]), writing).verdict.proved
    assert used
    assert all(path.startswith(str(scratch)) for path in used)
    assert not list(scratch.iterdir())


def test_no_room_for_what_is_fetched(s3: S3, trained: Callable[..., Path], monkeypatch: Any) -> None:
    source = s3.upload(trained(1), "ckpt.pt")
    monkeypatch.setattr(fetched.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(OutputError, match=r"no room for what is fetched of ckpt.pt"):
        convert(Request(source=source, **NANOGPT), Writing(out=s3.url("out"), level=Level.BYTES))
    assert set(s3.keys()) == {"ckpt.pt"}
