"""The layout of a `pytorch_model.bin`, or of a checkpoint: the zip file that `torch.save` makes of a state dict.

Source: pytorch/pytorch v2.6 `torch/serialization.py` (`_save`) and `caffe2/serialize/inline_container.cc`.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

from ckpt2hf.output.state_dict_pickle import state_dict_pickle
from ckpt2hf.output.stored_zip import directory, lay_out
from ckpt2hf.output.weight_file import WeightFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ckpt2hf.output.state_dict_pickle import Content
    from ckpt2hf.tensors import Meta


def torch_file(path: Path, metas: Mapping[str, Meta], content: Content | None = None) -> WeightFile:
    """Where everything lies in the file at `path`, the tensors in the given order.

    `content` is what the file holds besides. Equal names and types give equal bytes: dates are fixed, and the
    serialization id comes from the pickle.
    """
    pickled = state_dict_pickle(metas, content)
    identity = int.from_bytes(hashlib.sha256(pickled).digest()) % 10**40
    before = {"data.pkl": pickled, "byteorder": b"little"}
    after = {"version": b"3\n", ".data/serialization_id": f"{identity:040}".encode()}
    tensors = {f"data/{key}": meta.nbytes for key, meta in enumerate(metas.values())}
    small = {**before, **after}
    sizes = {**_sizes(before), **tensors, **_sizes(after)}
    records = lay_out({f"{path.stem}/{name}": nbytes for name, nbytes in sizes.items()})
    placed = dict(zip(sizes, records, strict=True))
    names = {f"data/{key}": name for key, name in enumerate(metas)}
    end = records[-1].end

    def frame(crcs: Mapping[str, int]) -> Iterator[tuple[int, bytes]]:
        sums = [zlib.crc32(small[key]) if key in small else crcs[names[key]] for key in placed]
        for (key, record), crc in zip(placed.items(), sums, strict=True):
            yield record.header, record.local_header(crc) + small.get(key, b"")
        yield end, directory(records, sums)

    size = end + len(directory(records, [0] * len(records)))
    return WeightFile(path, size, {name: placed[key].start for key, name in names.items()}, frame)


def _sizes(contents: Mapping[str, bytes]) -> dict[str, int]:
    """The lengths, by name."""
    return {name: len(data) for name, data in contents.items()}
