"""The one report tree and its renderings."""

from ckpt2hf.report.build import (
    Outcome,
    build_report,
    dialect_report,
    fact_reports,
    rewrite_reports,
    tensor_reports,
    verdict_report,
)
from ckpt2hf.report.report import Report, VerdictReport, plain_tree

__all__ = [
    "Outcome",
    "Report",
    "VerdictReport",
    "build_report",
    "dialect_report",
    "fact_reports",
    "plain_tree",
    "rewrite_reports",
    "tensor_reports",
    "verdict_report",
]
