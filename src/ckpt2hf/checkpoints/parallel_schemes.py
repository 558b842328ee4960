"""How codes that train with model parallelism name the files of their ranks, and along which axis they cut what.

Source: meta-llama/llama 689c7f2 and meta-llama/llama3 a0940f9 llama/model.py (ColumnParallelLinear cuts rows,
RowParallelLinear columns, ParallelEmbedding columns, VocabParallelEmbedding rows), generation.py (one file a rank);
huggingface/picotron 5809434 picotron/tensor_parallel/tensor_parallel.py (apply_tensor_parallel),
picotron/checkpoint.py (CheckpointManager), 12e81c3 picotron/pipeline_parallel/pipeline_parallel.py (layers keep the
number they have in the whole model).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from ckpt2hf.checkpoints.side import table
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ckpt2hf.tensors import Stored

EQUAL = -1
"""In place of an axis: every rank has all of it."""
BY_NORM = -2
"""In place of an axis: rows or columns, which the width of the last norm shows."""


class Rank(NamedTuple):
    """Which part of a model a file holds: first its stage of the pipeline, then its slice of every tensor."""

    stage: int
    slice: int
    stages: int | None = None
    """How many there are, where the name says it."""
    slices: int | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """The files of one code."""

    title: str
    file: re.Pattern[str]
    """Its file names; groups `slice` and, where there are any, `stage`, `slices`, `stages`."""
    axes: tuple[tuple[re.Pattern[str], int], ...]
    """Patterns of tensor names, and where they are cut."""
    embedding: str = ""
    norm: str = ""
    query: str = ""
    same: tuple[str, ...] = ()
    """Metadata that all files of one save agree about."""

    def rank(self, name: str) -> Rank | None:
        """The rank a file name stands for, if it is one of this code's."""
        match = self.file.fullmatch(name)
        if not match:
            return None
        found = {key: int(value) for key, value in match.groupdict().items() if value is not None}
        return Rank(found.get("stage", 0), found["slice"], found.get("stages"), found.get("slices"))

    def name(self, rank: Rank, like: str) -> str:
        """The file name of a rank, in the form of another one."""
        match = self.file.fullmatch(like)
        assert match is not None  # noqa: S101 - it is one of this scheme's
        text = like
        for key in sorted(match.groupdict(), key=match.start, reverse=True):
            value = getattr(rank, key)
            if key in {"slice", "stage"} and match[key] is not None:
                text = text[: match.start(key)] + str(value).zfill(len(match[key])) + text[match.end(key) :]
        return text

    def expected(self, ranks: Iterable[Rank]) -> list[Rank]:
        """The ranks of a whole set, as far as those that are there tell."""
        every = sorted(ranks)
        first = every[0]
        stages = first.stages if first.stages is not None else every[-1].stage + 1
        slices = first.slices if first.slices is not None else max(rank.slice for rank in every) + 1
        numbers = product(range(stages), range(slices)) if stages * slices <= MAX_RANKS else ()
        return [Rank(stage, part, first.stages, first.slices) for stage, part in numbers]

    def axis(self, name: str) -> int | None:
        """Where a tensor is cut; None for one that is not known."""
        return next((axis for pattern, axis in self.axes if pattern.fullmatch(name)), None)

    def require_complete(self, tensors: Mapping[str, Stored], folder: Path) -> None:
        """Refuse a set whose last files are missing: the first of them alone would look like a smaller model."""
        for name, tensor in tensors.items():
            if not self.query or not name.endswith(self.query):
                continue
            rows, width = (*tensor.meta.shape, 0, 0)[:2]
            wanted = _query_rows(folder) or width
            if rows < wanted:
                raise CheckpointError(
                    "files of this model are missing: those that are there hold only a part of every tensor",
                    details=[f"{name} has {rows} rows where {wanted} are expected"],
                    where=str(folder),
                    remedies=["fetch all of its files: consolidated.00.pth, consolidated.01.pth and so on"],
                )


def _query_rows(folder: Path) -> int | None:
    """The rows of all query heads where params.json says how wide a head is; else the model is as wide as they are.

    Source: mistralai/mistral-inference@2557e12 (ModelArgs.head_dim).
    """
    path = folder / "params.json"
    said = table(path, CheckpointError) if path.is_file() else {}
    heads, width = said.get("n_heads"), said.get("head_dim")
    return heads * width if isinstance(heads, int) and isinstance(width, int) else None


MAX_RANKS = 1 << 16
_WRAPPED = r"(?:(?:_orig_mod|module|model)\.)*"


def _axes(layer: str, table: Mapping[int, str]) -> tuple[tuple[re.Pattern[str], int], ...]:
    """The names, `*` for a layer, and where they are cut."""
    named = [(name.replace("*", layer), axis) for axis, names in table.items() for name in names.split()]
    return tuple((re.compile(_WRAPPED + name), axis) for name, axis in named)


META = Scheme(
    title="Meta's model parallelism",
    file=re.compile(r"consolidated\.(?P<slice>\d+)\.(?:pth|safetensors)"),
    axes=_axes(
        r"layers\.\d+",
        {
            0: r"*\.attention\.w[qkv]\.weight *\.feed_forward\.w[13]\.weight output\.weight",
            1: r"*\.attention\.wo\.weight *\.feed_forward\.w2\.weight",
            EQUAL: r"*\.attention_norm\.weight *\.ffn_norm\.weight norm\.weight rope\.freqs",
            BY_NORM: r"tok_embeddings\.weight",
        },
    ),
    embedding="tok_embeddings.weight",
    norm="norm.weight",
    query="attention.wq.weight",
)
PICOTRON = Scheme(
    title="picotron",
    file=re.compile(
        r"weights_tp_rank_world_size=(?P<slice>\d+)_(?P<slices>\d+)_pp_rank_world_size=(?P<stage>\d+)_(?P<stages>\d+)\.pth"
    ),
    axes=_axes(
        r"decoder_layers\.\d+",
        {
            0: r"*\.attention\.[qkv]_proj\.weight *\.mlp\.(?:up|gate)_proj\.weight (?:embedding|final_proj)\.weight",
            1: r"*\.attention\.out_proj\.weight *\.mlp\.down_proj\.weight",
            EQUAL: r"*\.(?:input|post_attention)_layernorm\.weight final_norm\.weight",
        },
    ),
    same=("trained_steps", "trained_tokens"),
)
SCHEMES = (META, PICOTRON)
