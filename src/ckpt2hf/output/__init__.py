"""Writing: weight files, model directories, atomically."""

from ckpt2hf.output.checkpoint_file import write_checkpoint
from ckpt2hf.output.disk import explained, require_space
from ckpt2hf.output.json_file import write_json
from ckpt2hf.output.linked import fill_from
from ckpt2hf.output.model_directory import new_directory
from ckpt2hf.output.new_file import new_file
from ckpt2hf.output.partial_directory import is_partial, locked_partial, remove_all_stale, remove_stale
from ckpt2hf.output.shards import plan_shards
from ckpt2hf.output.state_dict_pickle import Content
from ckpt2hf.output.stats import TensorStats
from ckpt2hf.output.sums import SUMS, read_sums, summed, sums_text, write_sums
from ckpt2hf.output.upload import uploaded_directory
from ckpt2hf.output.weights import WeightFormat, WeightOptions, WrittenWeights, write_weights
from ckpt2hf.output.whole_file import alone_in, replace_whole, write_whole

__all__ = [
    "SUMS",
    "Content",
    "TensorStats",
    "WeightFormat",
    "WeightOptions",
    "WrittenWeights",
    "alone_in",
    "explained",
    "fill_from",
    "is_partial",
    "locked_partial",
    "new_directory",
    "new_file",
    "plan_shards",
    "read_sums",
    "remove_all_stale",
    "remove_stale",
    "replace_whole",
    "require_space",
    "summed",
    "sums_text",
    "uploaded_directory",
    "write_checkpoint",
    "write_json",
    "write_sums",
    "write_weights",
    "write_whole",
]
