"""Both files hold exactly the tensors given, whoever reads them."""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.files import MappedFile, Span
from ckpt2hf.output import WeightFormat, WeightOptions, write_weights
from ckpt2hf.tensors import DType, Meta, TensorRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.output import WrittenWeights
    from ckpt2hf.tensors import Array, Box

    Write = Callable[..., WrittenWeights]
    Same = Callable[[torch.Tensor, Array], bool]
    Check = Callable[[WrittenWeights, dict[str, Array]], None]


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Any bits at all of any type, and any order of the axes in memory."""
    dtype = draw(st.sampled_from(list(DType)))
    shape = draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    order = draw(st.permutations(range(len(shape))))
    length = math.prod(shape) * dtype.itemsize
    bits = np.frombuffer(np.random.default_rng(draw(st.integers(0, 999))).bytes(length), np.uint8)
    bits = bits & 1 if dtype is DType.BOOL else bits
    stored = bits.view(dtype.numpy).reshape([shape[axis] for axis in order])
    return stored.transpose(np.argsort(order)) if shape else stored


@pytest.fixture(scope="module")
def check(same: Same) -> Check:
    """Reads every file of a set back and compares with the arrays that should be in it."""

    def checked(written: WrittenWeights, expected: dict[str, Array]) -> None:
        found: dict[str, set[str]] = {".bin": set(), ".safetensors": set(), ".json": set()}
        for path in written.files:
            loads = []
            if path.suffix == ".safetensors":
                loads = [safetensors.torch.load_file(path)]
                with safetensors.safe_open(path, "pt") as file:
                    assert file.metadata() == {"format": "pt"}
            elif path.suffix == ".bin":
                with zipfile.ZipFile(path) as archive:
                    assert archive.testzip() is None
                loads = [torch.load(path, weights_only=True, mmap=mapped) for mapped in (False, True)]
            for tensors in loads:
                assert all(same(tensor, expected[name]) for name, tensor in tensors.items())
                found[path.suffix] |= set(tensors)
        assert found[".bin"] == found[".safetensors"] == set(expected)

    return checked


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.text("abé.0_ 中", max_size=12), arrays(), max_size=6), st.sampled_from([None, 40, 400]))
def test_any_tensors_come_back_bit_for_bit(
    write: Write, check: Check, tensors: dict[str, Array], limit: int | None
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        written = write(tensors, Path(directory), max_shard_bytes=limit)
        check(written, tensors)
        assert written.nbytes == sum(array.nbytes for array in tensors.values())
        assert list(written.stats) == list(tensors)
        for name, array in tensors.items():
            assert written.stats[name].crc32 == zlib.crc32(array.tobytes())
        assert set(written.files) == set(Path(directory).iterdir())


def test_the_safetensors_file_is_the_one_its_own_library_writes(write: Write, tmp_path: Path) -> None:
    numbers = np.random.default_rng(1)
    tensors = {
        f"{dtype.name}.{k}": numbers.integers(0, 2, (k, 3)).astype(dtype.numpy) for dtype in DType for k in (2, 1)
    }
    (path,) = write(tensors, tmp_path, formats=(WeightFormat.SAFETENSORS,)).files
    loaded = safetensors.torch.load_file(path)
    assert safetensors.torch.save(loaded, {"format": "pt"}) == path.read_bytes()


def test_bin_storages_are_aligned_and_in_the_order_given(write: Write, tmp_path: Path, some: dict[str, Array]) -> None:
    (path,) = write(some, tmp_path, formats=(WeightFormat.BIN,)).files
    assert list(torch.load(path, weights_only=True)) == list(some)
    reader = torch.PyTorchFileReader(str(path))
    names = reader.get_all_records()
    assert names[:3] == ["data.pkl", "byteorder", "data/0"]
    assert names[-2:] == ["version", ".data/serialization_id"]
    assert not any(reader.get_record_offset(name) % 64 for name in names)


def test_equal_input_gives_equal_bytes_whatever_the_threads(
    write: Write, tmp_path: Path, some: dict[str, Array]
) -> None:
    for folder, threads in (("one", 1), ("two", 8)):
        (tmp_path / folder).mkdir()
        write(some, tmp_path / folder, threads=threads, max_shard_bytes=8450)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / d).iterdir()} for d in ("one", "two"))
    assert first == second


def test_other_names_or_types_give_another_serialization_id(write: Write, tmp_path: Path) -> None:
    seen = set()
    for k, tensors in enumerate([{"a": np.zeros(2, "f4")}, {"b": np.zeros(2, "f4")}, {"a": np.zeros(2, "i4")}]):
        (tmp_path / str(k)).mkdir()
        (path,) = write(tensors, tmp_path / str(k), formats=(WeightFormat.BIN,)).files
        seen.add(zipfile.ZipFile(path).read("pytorch_model/.data/serialization_id"))
    assert len(seen) == 3
    assert {len(identity) for identity in seen} == {40}


@pytest.mark.parametrize(
    "shape",
    [(3_000_001,), (1, 3_000_000), (700, 1501), (3, 1_200_000), (2, 2, 1_100_000), (1_200_000, 2), (5, 1, 300_000)],
)
def test_tensors_larger_than_a_block(write: Write, check: Check, tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(2).standard_normal(shape, dtype="f4")
    backwards = np.asfortranarray(array)
    told: list[int] = []
    written = write({"straight": array, "backwards": backwards}, tmp_path, progress=told.append)
    check(written, {"straight": array, "backwards": backwards})
    assert sum(told) == 2 * array.nbytes
    assert max(told) <= 4 << 20
    expected = (float(array.min()), float(array.max()), True)
    for stats in written.stats.values():
        assert (stats.low, stats.high, stats.finite) == expected


def test_a_mapped_tensor_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(np.arange(1000, dtype="f4").tobytes())
    tensor = TensorRef.packed(Meta((10, 100), DType.F32), Span(MappedFile(source), 0, 4000))
    options = WeightOptions(formats=(WeightFormat.SAFETENSORS,), max_shard_bytes=None, threads=1)
    (path,) = write_weights({"x": tensor}, tmp_path, options, lambda _nbytes: None).files
    assert safetensors.torch.load_file(path)["x"].flatten().tolist() == list(range(1000))
    assert np.shares_memory(tensor.read((slice(0, 5), slice(0, 100))), np.frombuffer(tensor.storage.view, np.uint8))


def test_the_index_is_the_one_transformers_reads(write: Write, tmp_path: Path, some: dict[str, Array]) -> None:
    written = write(some, tmp_path, max_shard_bytes=8450)
    assert [path.name for path in written.files] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
    ]
    index = json.loads(written.files[-1].read_text())
    assert index["metadata"] == {"total_parameters": 2131, "total_size": written.nbytes}
    assert index["weight_map"]["wide"] == "pytorch_model-00001-of-00002.bin"
    assert list(index["weight_map"]) == sorted(some)


def test_a_tensor_that_lies_about_itself_is_our_fault(tmp_path: Path) -> None:
    class Liar:
        meta = Meta((2, 3), DType.F32)

        def read(self, _box: Box) -> Array:
            return np.zeros((1, 3), "f4")

    options = WeightOptions(formats=(WeightFormat.BIN,), max_shard_bytes=None, threads=2)
    with pytest.raises(BrokenPromiseError, match=r"asked for \(2, 3\) float32, got \(1, 3\) float32"):
        write_weights({"x": Liar()}, tmp_path, options, lambda _nbytes: None)


def test_an_interrupt_ends_every_thread(write: Write, tmp_path: Path) -> None:
    def interrupted(_nbytes: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write({str(k): np.zeros(1 << 20, "f4") for k in range(40)}, tmp_path, progress=interrupted)
