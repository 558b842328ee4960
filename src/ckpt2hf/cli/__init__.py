"""The command line: the only place that prints."""

from ckpt2hf.cli.main import main

__all__ = ["main"]
