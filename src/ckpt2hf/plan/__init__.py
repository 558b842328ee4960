"""Everything that will happen, as frozen metadata."""

from ckpt2hf.plan.back_planner import make_back_plan
from ckpt2hf.plan.directory import Understood, open_directory, understood, weights_in
from ckpt2hf.plan.gguf import GgufPlan, as_gguf, modules_of_gguf, plan_gguf
from ckpt2hf.plan.plan import BackPlan, Plan, PlanOptions, Way
from ckpt2hf.plan.planner import make_plan

__all__ = [
    "BackPlan",
    "GgufPlan",
    "Plan",
    "PlanOptions",
    "Understood",
    "Way",
    "as_gguf",
    "make_back_plan",
    "make_plan",
    "modules_of_gguf",
    "open_directory",
    "plan_gguf",
    "understood",
    "weights_in",
]
