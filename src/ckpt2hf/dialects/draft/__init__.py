"""A first dialect file for an unknown layout: what names, shapes and values show, and questions about the rest."""

from ckpt2hf.dialects.draft.drafting import draft
from ckpt2hf.dialects.draft.parts import QUESTION, Draft, count
from ckpt2hf.dialects.draft.render import render

__all__ = ["QUESTION", "Draft", "count", "draft", "render"]
