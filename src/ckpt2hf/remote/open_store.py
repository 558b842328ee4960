"""From the scheme of a URL to its store: the file system of fsspec, set up so that only we try again."""

from __future__ import annotations

import difflib
import importlib
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from ckpt2hf.remote.store import Store

CONNECT_SECONDS = 10
"""How long a store may take to answer at all."""
SILENT_SECONDS = 30
"""How long it may pause while it answers."""
_S3 = ("s3", "s3a")
_TRUE = {"1", "ON", "YES", "TRUE"}


def store_for(scheme: str) -> Store:
    """The store that answers for URLs of a scheme. Raises UsageError."""
    return _store(scheme, os.getpid())  # the connections of a process do not survive a fork


@cache
def _store(scheme: str, _process: int) -> Store:
    if scheme == "hf" and os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise UsageError(
            "hf:// needs the network, and HF_HUB_OFFLINE forbids it",
            remedies=["unset HF_HUB_OFFLINE", "download the file, and name the local copy"],
        )
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError as error:
        raise _missing(scheme, "fsspec is not installed") from error
    known = fsspec.available_protocols()
    if scheme not in known:
        close = difflib.get_close_matches(scheme, known, n=3, cutoff=0.5)
        raise UsageError(
            f"there is no kind of URL called {scheme}://",
            remedies=[f"did you mean {name}:// ?" for name in close] or ["s3://bucket/name, for instance"],
        )
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise _missing(scheme, str(error)) from error
    if scheme in _S3:
        from ckpt2hf.remote.s3 import S3Store  # noqa: PLC0415 - only where it is used

        return S3Store(_made(kind, _s3_options(fsspec.config.conf)))
    from ckpt2hf.remote.store import Store  # noqa: PLC0415

    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme in {"http", "https"} and "client_kwargs" not in fsspec.config.conf.get(scheme, {}):
        aiohttp = importlib.import_module("aiohttp")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        options["client_kwargs"] = {"timeout": timeout}
    return Store(_made(kind, options))


def _made(kind: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401 - fsspec has no types
    """A file system of our own: what other code of this process set up or remembers is not ours to change."""
    return kind(**options, skip_instance_cache=True)


def _s3_options(configured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Our defaults for S3, below what FSSPEC_S3 and fsspec's own files say."""
    said = {name: value for scheme in _S3 for name, value in configured.get(scheme, {}).items()}
    patience = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS, "retries": {"max_attempts": 0}}
    pool = {"max_pool_connections": 32}
    return {"use_listings_cache": False, "config_kwargs": patience | pool | said.get("config_kwargs", {})}


def _missing(scheme: str, why: str) -> UsageError:
    install = "pip install 'ckpt2hf[s3]'" if scheme in _S3 else f"install what fsspec needs for {scheme}://"
    return UsageError(f"{scheme}:// needs a package that is not installed", details=[why], remedies=[install])
