"""Files behind a URL: looked at, read in parts, written. fsspec is imported when the first one is used, not before."""

from ckpt2hf.remote.path import RemotePath, is_remote, joined, path_or_url, shown

__all__ = ["RemotePath", "is_remote", "joined", "path_or_url", "shown"]
