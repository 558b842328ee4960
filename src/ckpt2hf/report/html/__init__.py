"""A batch as one page: `batch.html`, complete in itself, readable offline and without JavaScript."""

from ckpt2hf.report.html.page import render

__all__ = ["render"]
