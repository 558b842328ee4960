"""What other programs import: `from ckpt2hf.api import convert, Request, Writing`."""

from ckpt2hf.checkpoints import Checkpoint, open_checkpoint
from ckpt2hf.dialects import dialects
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.output import WeightFormat
from ckpt2hf.plan import BackPlan, Plan
from ckpt2hf.remote import path_or_url
from ckpt2hf.report import BackReport, CardWords, Report, VerdictReport
from ckpt2hf.rewrites import Exactness
from ckpt2hf.run import (
    REPORT,
    BackRequest,
    BackWriting,
    Drafted,
    Evaluated,
    Evaluation,
    Form,
    FormsRequest,
    Progress,
    Request,
    Speaker,
    Speech,
    Spoken,
    Understanding,
    Writing,
    convert,
    convert_back,
    dialect,
    dialect_text,
    draft,
    evaluate,
    inspect,
    look,
    make_forms,
    plan,
    plan_back,
    prove,
    speaker,
    write_card,
)
from ckpt2hf.stages import Command, Gates
from ckpt2hf.tensors import DType
from ckpt2hf.tokenizers import AskedTokenizer, Policy
from ckpt2hf.verify import Level, Measured, Sampling, Stop

__all__ = [
    "REPORT",
    "AskedTokenizer",
    "BackPlan",
    "BackReport",
    "BackRequest",
    "BackWriting",
    "CardWords",
    "Checkpoint",
    "Ckpt2hfError",
    "Command",
    "DType",
    "Drafted",
    "Evaluated",
    "Evaluation",
    "Exactness",
    "Form",
    "FormsRequest",
    "Gates",
    "Level",
    "Measured",
    "Plan",
    "Policy",
    "Progress",
    "Report",
    "Request",
    "Sampling",
    "Speaker",
    "Speech",
    "Spoken",
    "Stop",
    "Understanding",
    "VerdictReport",
    "WeightFormat",
    "Writing",
    "convert",
    "convert_back",
    "dialect",
    "dialect_text",
    "dialects",
    "draft",
    "evaluate",
    "inspect",
    "look",
    "make_forms",
    "open_checkpoint",
    "path_or_url",
    "plan",
    "plan_back",
    "prove",
    "speaker",
    "write_card",
]
