"""The intermediate representation: the spec of a model and its canonical tensors."""

from ckpt2hf.ir.slots import slots
from ckpt2hf.ir.spec import FIELDS, ModelSpec
from ckpt2hf.ir.text import accepts, choices, parse_field, plain, read_field, within_bounds, written
from ckpt2hf.ir.values import (
    Activation,
    Factor,
    LayerPattern,
    Mlp,
    Norm,
    NormPlacement,
    Position,
    QkNorm,
    RopeLayout,
    RopeScaling,
)

__all__ = [
    "FIELDS",
    "Activation",
    "Factor",
    "LayerPattern",
    "Mlp",
    "ModelSpec",
    "Norm",
    "NormPlacement",
    "Position",
    "QkNorm",
    "RopeLayout",
    "RopeScaling",
    "accepts",
    "choices",
    "parse_field",
    "plain",
    "read_field",
    "slots",
    "within_bounds",
    "written",
]
