"""The one report tree and its renderings."""

from ckpt2hf.report.back import BACK_SCHEMA, BackOutcome, BackReport, back_facts, build_back_report
from ckpt2hf.report.batch import (
    BATCH_SCHEMA,
    BatchReport,
    JobReport,
    ReasonReport,
    SkippedReport,
    Status,
    reason_of,
)
from ckpt2hf.report.build import (
    Outcome,
    build_report,
    dialect_report,
    fact_reports,
    rewrite_reports,
    tensor_reports,
    tokenizer_report,
    verdict_report,
    versions,
)
from ckpt2hf.report.build_stage import stage_report
from ckpt2hf.report.card import CardWords, model_card
from ckpt2hf.report.evidence import evidence_lines, evidence_report
from ckpt2hf.report.forms import FORMS, Forms, forms_tree, read_forms
from ckpt2hf.report.modelfile import MODELFILE, modelfile
from ckpt2hf.report.read import read_report
from ckpt2hf.report.report import Report, VerdictReport, plain_tree
from ckpt2hf.report.stages import StageReport, TokensReport

__all__ = [
    "BACK_SCHEMA",
    "BATCH_SCHEMA",
    "FORMS",
    "MODELFILE",
    "BackOutcome",
    "BackReport",
    "BatchReport",
    "CardWords",
    "Forms",
    "JobReport",
    "Outcome",
    "ReasonReport",
    "Report",
    "SkippedReport",
    "StageReport",
    "Status",
    "TokensReport",
    "VerdictReport",
    "back_facts",
    "build_back_report",
    "build_report",
    "dialect_report",
    "evidence_lines",
    "evidence_report",
    "fact_reports",
    "forms_tree",
    "model_card",
    "modelfile",
    "plain_tree",
    "read_forms",
    "read_report",
    "reason_of",
    "rewrite_reports",
    "stage_report",
    "tensor_reports",
    "tokenizer_report",
    "verdict_report",
    "versions",
]
