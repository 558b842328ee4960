"""Plots as inline SVG: no script and no style attribute, so that the page's policy can forbid both."""

from ckpt2hf.report.html.plots.layers import Series, layers_plot
from ckpt2hf.report.html.plots.quality import Mark, quality_plot

__all__ = ["Mark", "Series", "layers_plot", "quality_plot"]
