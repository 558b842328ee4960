"""Files behind a URL: looked at, read in parts, written. fsspec is imported when the first one is used, not before."""

from ckpt2hf.remote.path import MAX_SMALL, RemotePath, is_remote, joined, path_or_url, shown

__all__ = ["MAX_SMALL", "RemotePath", "is_remote", "joined", "path_or_url", "shown"]
