"""What only S3 can do: reads that fail if the file is no longer the same, and uploads in parts.

Source: Amazon S3 User Guide, Uploading and copying objects using multipart upload: parts of 5 MiB to 5 GiB, at most
10,000 of them; nothing is visible before the upload is completed.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import zlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import Ckpt2hfError, OutputError
from ckpt2hf.remote.faults import GarbledError, is_missing, retried
from ckpt2hf.remote.path import shown
from ckpt2hf.remote.store import Store
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.remote.store import Entry

PART = 8 << 20
"""Bytes of a part, at least; larger for files that would have too many."""
MOST_PARTS = 10_000
AT_A_TIME = 6
"""Parts under way, at most."""
_MD5_HEX = 32


class S3Store(Store):
    """S3 and whatever speaks its protocol, through s3fs."""

    fresh: Mapping[str, object] = {"refresh": True}

    def __init__(self, fs: Any) -> None:  # noqa: ANN401 - s3fs has no types
        """Use this file system, which makes each request once."""
        super().__init__(fs)
        fs.retries = 1
        self._sync = importlib.import_module("fsspec.asyn").sync

    def read_once(self, url: str, start: int, stop: int, entry: Entry) -> bytes:
        """The bytes from `start` to before `stop`; the store refuses if the file is another one by now."""
        same = {"IfMatch": f'"{entry.etag}"'} if entry.etag else {}

        async def part() -> bytes:
            span = f"bytes={start}-{stop - 1}"
            answer = await self.fs._call_s3("get_object", **self._at(url), Range=span, **same)  # noqa: SLF001
            async with answer["Body"] as body:
                data: bytes = await body.read()
            return data

        data: bytes = self._sync(self.fs.loop, part)
        return data

    def put(self, source: Path, url: str, progress: Callable[[int], None]) -> None:
        """A local file under a URL, in parts if it is large. Raises OutputError, UnreachableError and the like."""
        size = source.stat().st_size
        if size <= PART:
            self.write(url, source.read_bytes())
            progress(size)
            return
        upload = _Upload(self, url, self._call(url, "create_multipart_upload", ChecksumAlgorithm="CRC32")["UploadId"])
        nbytes = max(PART, -(-size // MOST_PARTS))
        try:
            with source.open("rb") as file:
                upload.send(file.fileno(), size, nbytes, progress)
            upload.complete(size)
        except BaseException:
            upload.abort()
            raise

    def write(self, url: str, data: bytes) -> None:
        """A small file in one request. Raises OutputError, UnreachableError and the like."""

        def once() -> None:
            sums = checksums(data)
            _compare(self.fs.call_s3("put_object", **self._at(url), Body=data, ChecksumCRC32=sums[0]), sums)

        retried(once, "write", shown(url), OutputError)

    def abandon(self, url: str) -> None:
        """Forget uploads directly below a URL that were never finished; where that is not allowed, leave them."""
        at = self._at(url)
        with suppress(Ckpt2hfError):
            found = self._call(url, "list_multipart_uploads", Key=None, Prefix=f"{at['Key']}/", Delimiter="/")
            for each in found.get("Uploads", ()):
                self._call(url, "abort_multipart_upload", Key=each["Key"], UploadId=each["UploadId"])

    def _call(self, url: str, method: str, **words: object) -> dict[str, Any]:
        """The answer to one request, made again while its faults can pass."""
        arguments = {name: value for name, value in {**self._at(url), **words}.items() if value is not None}
        answer: dict[str, Any] = retried(lambda: self.fs.call_s3(method, **arguments), "write", shown(url), OutputError)
        return answer

    def _at(self, url: str) -> dict[str, str]:
        bucket, key, version = self.fs.split_path(url)
        return {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})


class _Upload:
    """One file on its way, in parts."""

    def __init__(self, store: S3Store, url: str, identity: str) -> None:
        self._store = store
        self._url = url
        self._at = {**store._at(url), "UploadId": identity}  # noqa: SLF001 - the other half of this module
        self._parts: list[dict[str, object]] = []

    def send(self, descriptor: int, size: int, nbytes: int, progress: Callable[[int], None]) -> None:
        """Every part of an open file, several at a time. Raises what the first one that fails raises."""
        starts = enumerate(range(0, size, nbytes), start=1)
        jobs = [partial(self._send, number, descriptor, at, nbytes) for number, at in starts]
        sent = in_threads(jobs, AT_A_TIME, lambda _number, part: progress(part[1]))
        self._parts = [part for part, _ in sent]

    def _send(self, number: int, descriptor: int, at: int, nbytes: int) -> tuple[dict[str, object], int]:
        data = os.pread(descriptor, nbytes, at)
        sums = checksums(data)

        def once() -> dict[str, Any]:
            answer: dict[str, Any] = self._store.fs.call_s3(
                "upload_part", **self._at, PartNumber=number, Body=data, ChecksumCRC32=sums[0]
            )
            _compare(answer, sums)
            return answer

        answer = retried(once, "write", shown(self._url), OutputError)
        crc = answer.get("ChecksumCRC32")
        part = {"PartNumber": number, "ETag": answer["ETag"]} | ({"ChecksumCRC32": crc} if crc else {})
        return part, len(data)

    def complete(self, size: int) -> None:
        """The file appears. The answer may be lost on its way here, so a vanished upload may be a finished one."""
        expected = _joined_etag([str(part["ETag"]) for part in self._parts])

        def once() -> None:
            try:
                answer = self._store.fs.call_s3(
                    "complete_multipart_upload", **self._at, MultipartUpload={"Parts": self._parts}
                )
                etag = answer.get("ETag")
            except Exception as error:
                entry = self._store.look(self._url) if is_missing(error) else None
                if entry is None or entry.nbytes != size or entry.etag != expected:
                    raise
                etag = entry.etag
            if expected and etag and str(etag).strip('"') != expected:
                raise GarbledError(f"the store calls the file {etag}, its parts make {expected}")

        retried(once, "write", shown(self._url), OutputError)

    def abort(self) -> None:
        """Forget what was sent, as far as the store answers."""
        with suppress(Exception):
            self._store.fs.call_s3("abort_multipart_upload", **self._at)


def checksums(data: bytes) -> tuple[str, str]:
    """CRC-32 in base64 and MD5 in hex, as S3 writes them."""
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    return crc, hashlib.md5(data, usedforsecurity=False).hexdigest()


def _compare(answer: Mapping[str, Any], sums: tuple[str, str]) -> None:
    """Refuse an answer that is about other bytes than were sent. Raises GarbledError.

    A store that knows no CRC-32 says at least an ETag: the MD5, unless the store encrypts with a key of its own.
    """
    crc, etag = answer.get("ChecksumCRC32"), str(answer.get("ETag", "")).strip('"')
    encrypted = answer.get("ServerSideEncryption") not in {None, "AES256"} or answer.get("SSECustomerAlgorithm")
    if crc is not None:
        if crc != sums[0]:
            raise GarbledError(f"the store received bytes with CRC-32 {crc}, sent were bytes with {sums[0]}")
    elif len(etag) == _MD5_HEX and not encrypted and etag != sums[1]:
        raise GarbledError(f"the store received bytes with MD5 {etag}, sent were bytes with {sums[1]}")


def _joined_etag(etags: list[str]) -> str:
    """What S3 calls a file made of parts with these ETags: the MD5 of their MD5s and their number."""
    digests = [etag.strip('"') for etag in etags]
    if not all(len(digest) == _MD5_HEX for digest in digests):
        return ""
    joined = hashlib.md5(bytes.fromhex("".join(digests)), usedforsecurity=False).hexdigest()
    return f"{joined}-{len(digests)}"
