"""A batch or a model as one page: complete in itself, readable offline and without JavaScript."""

from ckpt2hf.report.html.frame import MADE_BY_US
from ckpt2hf.report.html.model_origin import ModelFile
from ckpt2hf.report.html.model_page import render_model
from ckpt2hf.report.html.page import render

__all__ = ["MADE_BY_US", "ModelFile", "render", "render_model"]
