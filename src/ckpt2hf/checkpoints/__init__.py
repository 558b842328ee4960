"""Reading checkpoints: one module per container format; nothing is imported, nothing is called."""

from ckpt2hf.checkpoints.checkpoint import Checkpoint, Inert, Module, Record, lookup
from ckpt2hf.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "Inert", "Module", "Record", "lookup", "open_checkpoint"]
