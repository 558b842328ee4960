"""What makes a job the same job in another run: its files as they are, and everything that was said about them."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects import own_file, read_file
from ckpt2hf.remote import is_remote
from ckpt2hf.report import plain_tree
from ckpt2hf.sources import sha256_of, stamp
from ckpt2hf.tokenizers import files_in

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.batch.job import Job
    from ckpt2hf.sources import Stamp

_NO_PART = frozenset({"source", "out", "threads", "force", "scratch", "sample", "tokenizer", "python_5x"})
"""Where it lies and how fast it goes: these change no result. Of a sample and a tokenizer their content counts."""


def job_key(job: Job) -> str:
    """A digest that changes with every file and every word that could change the result.

    Files count by name, size and time of change, so that nothing has to be read; the directory they lie in does not,
    because a container may see it under another name. A dialect file of the user's own, a sample and a tokenizer
    the user names count by what is in them, and are read once however many jobs share them.

    Raises NotFoundError, UsageError.
    """
    said: dict[str, Any] = {}
    for table in (job.request, job.writing):
        said |= {f.name: plain_tree(getattr(table, f.name)) for f in fields(table) if f.name not in _NO_PART}
    if job.request.dialect is not None and (own := own_file(job.request.dialect)) is not None:
        said["dialect"] = {"sha256": read_file(own).sha256}
    files = []
    for path in job.files or (job.request.source,):
        seen = path.entry if is_remote(path) else stamp(path)  # of the listing: one question for thousands
        files.append([path.name, seen.nbytes, seen.mtime_ns, seen.etag])
    sample, tokenizer = job.request.sample, job.request.tokenizer
    if sample is not None and not is_remote(sample):  # one behind a URL is refused when it is read
        said["sample"] = _digest(sample, stamp(sample))
    said["tokenizer"] = {**plain_tree(tokenizer), "path": "none" if tokenizer.is_off else _tokenizer(tokenizer.file)}
    tree = {"name": job.name, "files": files, "said": said}
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _tokenizer(path: Path | None) -> list[tuple[str, str | None]] | None:
    """The files of a tokenizer the user names, by name and content, or the version that a store speaks of."""
    if path is None:
        return None
    files = files_in(path) if path.is_dir() else [path]
    return [(file.name, stamp(file).etag if is_remote(file) else _digest(file, stamp(file))) for file in files]


@functools.lru_cache
def _digest(path: Path, _stamp: Stamp) -> str:
    """The digest of a file as it was when it had this stamp. Raises NotFoundError."""
    return sha256_of(path)
