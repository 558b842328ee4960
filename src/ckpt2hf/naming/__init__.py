"""Bijections between somebody's tensor names and slots."""

from ckpt2hf.naming.families import is_slot, slot_families
from ckpt2hf.naming.linking import Link, UnsoundRuleError, concrete, link, names_of, to_names, to_slots
from ckpt2hf.naming.name_index import NameIndex
from ckpt2hf.naming.patterns import Pattern, collapse, near, pattern, stem
from ckpt2hf.naming.rules import (
    DealTemplate,
    Drop,
    Expectation,
    JoinTemplate,
    Naming,
    OpTemplate,
    Rule,
    SplitTemplate,
    SqueezeTemplate,
    StackTemplate,
    Tie,
    TransposeTemplate,
    UnsqueezeTemplate,
    UnstackTemplate,
)
from ckpt2hf.naming.totality import Assignment, assign

__all__ = [
    "Assignment",
    "DealTemplate",
    "Drop",
    "Expectation",
    "JoinTemplate",
    "Link",
    "NameIndex",
    "Naming",
    "OpTemplate",
    "Pattern",
    "Rule",
    "SplitTemplate",
    "SqueezeTemplate",
    "StackTemplate",
    "Tie",
    "TransposeTemplate",
    "UnsoundRuleError",
    "UnsqueezeTemplate",
    "UnstackTemplate",
    "assign",
    "collapse",
    "concrete",
    "is_slot",
    "link",
    "names_of",
    "near",
    "pattern",
    "slot_families",
    "stem",
    "to_names",
    "to_slots",
]
