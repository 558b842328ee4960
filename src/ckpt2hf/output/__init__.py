"""Writing: weight files, model directories, atomically."""

from ckpt2hf.output.json_file import write_json
from ckpt2hf.output.model_directory import new_directory
from ckpt2hf.output.shards import plan_shards
from ckpt2hf.output.stats import TensorStats
from ckpt2hf.output.weights import WeightFormat, WeightOptions, WrittenWeights, write_weights

__all__ = [
    "TensorStats",
    "WeightFormat",
    "WeightOptions",
    "WrittenWeights",
    "new_directory",
    "plan_shards",
    "write_json",
    "write_weights",
]
