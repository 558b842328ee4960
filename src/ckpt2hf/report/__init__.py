"""The one report tree and its renderings."""

from ckpt2hf.report.build import (
    dialect_report,
    fact_reports,
    file_name,
    finding_reports,
    rewrite_reports,
    source_report,
    tensor_reports,
    verdict_report,
    versions,
)
from ckpt2hf.report.report import SCHEMA, FileReport, LeftOutReport, Report, VerdictReport, plain_tree

__all__ = [
    "SCHEMA",
    "FileReport",
    "LeftOutReport",
    "Report",
    "VerdictReport",
    "dialect_report",
    "fact_reports",
    "file_name",
    "finding_reports",
    "plain_tree",
    "rewrite_reports",
    "source_report",
    "tensor_reports",
    "verdict_report",
    "versions",
]
