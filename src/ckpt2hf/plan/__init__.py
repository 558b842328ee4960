"""Everything that will happen, as frozen metadata."""

from ckpt2hf.plan.back_planner import make_back_plan
from ckpt2hf.plan.plan import BackPlan, Plan, PlanOptions, Way
from ckpt2hf.plan.planner import make_plan

__all__ = ["BackPlan", "Plan", "PlanOptions", "Way", "make_back_plan", "make_plan"]
