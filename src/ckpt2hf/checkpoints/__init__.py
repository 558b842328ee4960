"""Reading checkpoints: one module per container format; nothing is imported, nothing is called."""

from ckpt2hf.checkpoints.checkpoint import Checkpoint, Inert, Module, Record, lookup
from ckpt2hf.checkpoints.names import PREPARED, ending
from ckpt2hf.checkpoints.opening import open_checkpoint
from ckpt2hf.checkpoints.side import OWN_SETTINGS, above, belonging, is_settings, own_settings, table
from ckpt2hf.checkpoints.single import read_tree
from ckpt2hf.checkpoints.survey import Found, Survey, survey

__all__ = [
    "OWN_SETTINGS",
    "PREPARED",
    "Checkpoint",
    "Found",
    "Inert",
    "Module",
    "Record",
    "Survey",
    "above",
    "belonging",
    "ending",
    "is_settings",
    "lookup",
    "open_checkpoint",
    "own_settings",
    "read_tree",
    "survey",
    "table",
]
