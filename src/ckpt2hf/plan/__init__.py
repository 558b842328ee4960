"""Everything that will happen, as frozen metadata."""

from ckpt2hf.plan.plan import Plan, PlanOptions
from ckpt2hf.plan.planner import make_plan

__all__ = ["Plan", "PlanOptions", "make_plan"]
