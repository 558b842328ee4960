"""One checkpoint through the pipeline."""

from ckpt2hf.run.backwards import BackRequest, BackWriting, convert_back, plan_back
from ckpt2hf.run.card import write_card
from ckpt2hf.run.convert import REPORT, convert
from ckpt2hf.run.dialect_file import dialect, dialect_text
from ckpt2hf.run.drafting import Drafted, draft
from ckpt2hf.run.evaluate import Evaluated, Evaluation, evaluate
from ckpt2hf.run.finished import converted_in
from ckpt2hf.run.forms import make_forms
from ckpt2hf.run.forms_request import Form, FormsRequest, require_forms
from ckpt2hf.run.generate import Speaker, Speech, Spoken, speaker
from ckpt2hf.run.model_page import write_page
from ckpt2hf.run.needs import Needs, needs, too_large
from ckpt2hf.run.prove import look, prove
from ckpt2hf.run.request import Progress, Request, Silence, Writing
from ckpt2hf.run.understand import Understanding, inspect, plan

__all__ = [
    "REPORT",
    "BackRequest",
    "BackWriting",
    "Drafted",
    "Evaluated",
    "Evaluation",
    "Form",
    "FormsRequest",
    "Needs",
    "Progress",
    "Request",
    "Silence",
    "Speaker",
    "Speech",
    "Spoken",
    "Understanding",
    "Writing",
    "convert",
    "convert_back",
    "converted_in",
    "dialect",
    "dialect_text",
    "draft",
    "evaluate",
    "inspect",
    "look",
    "make_forms",
    "needs",
    "plan",
    "plan_back",
    "prove",
    "require_forms",
    "speaker",
    "too_large",
    "write_card",
    "write_page",
]
