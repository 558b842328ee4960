"""Distributed checkpoints read as they are: torch's own reader is the judge, and nothing damaged is taken for whole."""

from __future__ import annotations

import io
import pickle
import runpy
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from ckpt2hf.checkpoints import Record, open_checkpoint
from ckpt2hf.errors import CheckpointError, Ckpt2hfError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.tensors import Stored

    Equal = Callable[[Stored, torch.Tensor], bool]
    State = dict[str, torch.Tensor]
    Boxes = list[tuple[tuple[int, int], ...]]

RANKS = Path(__file__).with_name("dcp_ranks.py")
SECONDS = 120
"""Far above what two small processes take."""
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def as_torch_reads(folder: Path, checkpoint: Any, prefix: str = "") -> State:
    state = {
        prefix + name: torch.empty(ref.meta.shape, dtype=getattr(torch, ref.meta.dtype.torch_name))
        for name, ref in checkpoint.tensors.items()
    }
    dcp.load(state, checkpoint_id=str(folder), no_dist=True)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


@pytest.fixture(scope="module", params=["flat", "nested"])
def ranked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that two processes saved together, each its shards."""
    return run_ranks(tmp_path_factory.mktemp("run") / request.param)


def run_ranks(folder: Path) -> Path:
    command = [sys.executable, str(RANKS)]
    ranks = [subprocess.Popen([*command, str(rank), str(folder), folder.name]) for rank in (0, 1)]
    assert [rank.wait(SECONDS) for rank in ranks] == [0, 0]
    return folder


def test_shards_of_two_processes_are_whole_tensors(ranked: Path, equal: Equal) -> None:
    checkpoint = open_checkpoint(ranked)
    expected = runpy.run_path(str(RANKS))["tensors"]()
    assert checkpoint.tensors.keys() == expected.keys()
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in expected.items())
    by_torch = as_torch_reads(ranked, checkpoint, "" if ranked.name == "flat" else "model.")
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in by_torch.items())
    assert [file.name for file in checkpoint.files] == [".metadata", "__0_0.distcp", "__1_0.distcp"]
    assert len(checkpoint.tensors["tok_embeddings.weight"].extents) == 2
    assert checkpoint.weights_key == ("" if ranked.name == "flat" else "model")
    if ranked.name == "flat":
        assert checkpoint.metadata == {"train_state": {"step": 30}, "dataloader": {"seen": 7}}
    else:
        assert checkpoint.metadata == {"step": 30}


def test_boxes_in_safetensors_files_are_refused_by_name(tmp_path: Path) -> None:
    folder = run_ranks(tmp_path / "safetensors")
    with pytest.raises(CheckpointError, match="distributed checkpoint in safetensors files"):
        open_checkpoint(folder)
    (second,) = folder.glob("shard-00002*")
    with pytest.raises(CheckpointError, match="one part"):
        open_checkpoint(second)
    with pytest.raises(CheckpointError, match="only one rank's part"):
        open_checkpoint(second.rename(folder / "model.safetensors"))


def test_one_process_saves_whole_tensors(tmp_path: Path, state: State, equal: Equal) -> None:
    tied = state["wte.weight"]
    model = {**state, "lm_head.weight": tied, "freqs_cis": torch.polar(torch.ones(3, 2), torch.rand(3, 2))}
    dcp.save({"model": model, "epoch": 4, "args": {"n_head": 3}}, checkpoint_id=str(tmp_path / "a"), no_dist=True)
    (tmp_path / "a" / "params.json").write_text('{"model": {"n_heads": 3}}')
    checkpoint = open_checkpoint(tmp_path / "a")
    assert checkpoint.container == "torch distributed checkpoint"
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in model.items())
    assert checkpoint.metadata == {"epoch": 4, "args": {"n_head": 3}}
    assert checkpoint.side == {"params.json": {"model": {"n_heads": 3}}}


def test_two_models_have_to_be_chosen_from(tmp_path: Path, state: State) -> None:
    ema = {name: tensor + 1 for name, tensor in state.items()}
    dcp.save({"model": state, "ema": ema}, checkpoint_id=str(tmp_path / "a"), no_dist=True)
    with pytest.raises(UsageError, match="2 sets of weights"):
        open_checkpoint(tmp_path / "a")
    assert open_checkpoint(tmp_path / "a", weights_key="ema").tensors.keys() == state.keys()


def test_optimizer_state_alone_is_no_checkpoint(tmp_path: Path, state: State) -> None:
    dcp.save({"optim": {"state": state, "param_groups": [{"lr": 1.0}]}}, checkpoint_id=str(tmp_path), no_dist=True)
    with pytest.raises(CheckpointError, match="no weights"):
        open_checkpoint(tmp_path)


class Writer:
    """A distributed checkpoint made by hand out of PyTorch's own classes, box by box."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = Metadata({}, planner_data={}, storage_data={})
        self.data: dict[str, bytes] = {}

    def place(self, value: object, file: str) -> _StorageInfo:
        stream = io.BytesIO()
        torch.save(value, stream)
        before = self.data.setdefault(file, b"")
        self.data[file] = before + stream.getvalue()
        return _StorageInfo(file, len(before), len(stream.getvalue()))

    def put(self, name: str, tensor: torch.Tensor, boxes: Boxes) -> None:
        chunks = []
        for k, box in enumerate(boxes):
            at, sizes = torch.Size([a for a, _ in box]), torch.Size([b - a for a, b in box])
            chunks.append(ChunkStorageMetadata(at, sizes))
            part = tensor[tuple(slice(a, b) for a, b in box)].clone()
            self.metadata.storage_data[MetadataIndex(name, at, k)] = self.place(part, f"__{k % 3}_0.distcp")
        properties = TensorProperties(dtype=tensor.dtype)
        self.metadata.state_dict_metadata[name] = TensorStorageMetadata(properties, tensor.size(), chunks)

    def put_value(self, name: str, value: object) -> None:
        self.metadata.state_dict_metadata[name] = BytesStorageMetadata()
        self.metadata.storage_data[MetadataIndex(name)] = self.place(value, "__0_0.distcp")

    def write(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        for file, data in self.data.items():
            (self.folder / file).write_bytes(data)
        (self.folder / ".metadata").write_bytes(pickle.dumps(self.metadata))
        return self.folder


ROWS: Boxes = [((0, 3), (0, 5)), ((3, 6), (0, 5)), ((6, 7), (0, 5))]


def written(folder: Path, state: State) -> Writer:
    writer = Writer(folder)
    writer.put("wte.weight", state["wte.weight"], ROWS)
    writer.put("h.0.fc.weight", state["h.0.fc.weight"], [((0, 3), (0, 2)), ((0, 3), (2, 5))])
    writer.put_value("epoch", 4)
    writer.write()
    return writer


@st.composite
def cuttings(draw: st.DrawFn) -> Boxes:
    """Boxes that cover [7, 5], some of them empty."""
    boxes: Boxes = [((0, 7), (0, 5))]
    for _ in range(draw(st.integers(0, 7))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.integers(0, 1))
        middle = draw(st.integers(*box[axis]))
        for side in ((box[axis][0], middle), (middle, box[axis][1])):
            new = (side, box[1]) if axis == 0 else (box[0], side)
            if all(a < b for a, b in new):
                boxes.append(new)
    return draw(st.permutations(boxes))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=cuttings())
def test_any_cutting_is_read_as_torch_reads_it(boxes: Boxes, state: State, equal: Equal, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a")
    writer.put("wte.weight", state["wte.weight"], boxes)
    checkpoint = open_checkpoint(writer.write())
    assert equal(checkpoint.tensors["wte.weight"], state["wte.weight"])
    assert equal(checkpoint.tensors["wte.weight"], as_torch_reads(writer.folder, checkpoint)["wte.weight"])


def chunk(writer: Writer, number: int) -> MetadataIndex:
    return next(index for index in writer.metadata.storage_data if index.fqn == "wte.weight" and index.index == number)


def missing_chunk(w: Writer) -> None:
    del w.metadata.storage_data[chunk(w, 1)]
    del w.metadata.state_dict_metadata["wte.weight"].chunks[1]


def overlapping_chunks(w: Writer) -> None:
    w.metadata.storage_data[MetadataIndex("wte.weight", torch.Size([2, 0]), 1)] = w.metadata.storage_data.pop(
        chunk(w, 1)
    )
    w.metadata.state_dict_metadata["wte.weight"].chunks[1].offsets = torch.Size([2, 0])


def swapped_places(w: Writer) -> None:
    data, one, two = w.metadata.storage_data, chunk(w, 0), chunk(w, 2)
    data[one], data[two] = data[two], data[one]


def same_place_twice(w: Writer) -> None:
    w.metadata.storage_data[chunk(w, 1)] = w.metadata.storage_data[chunk(w, 0)]


def moved(w: Writer, **change: object) -> None:
    w.metadata.storage_data[chunk(w, 1)] = replace(w.metadata.storage_data[chunk(w, 1)], **change)


FAULTS: dict[str, tuple[Callable[[Writer], object], str]] = {
    "a chunk is missing": (missing_chunk, "15 of its 35 numbers are in no part"),
    "a chunk has no place": (lambda w: w.metadata.storage_data.pop(chunk(w, 1)), "does not say where wte.weight"),
    "chunks overlap": (overlapping_chunks, "overlap"),
    "a place without a chunk": (
        lambda w: w.metadata.state_dict_metadata.pop("wte.weight"),
        "a part that no tensor has",
    ),
    "places are swapped": (swapped_places, "[3, 5] float32 is expected at [0, 0], [1, 5] float32 is there"),
    "one place for two": (same_place_twice, "overlap in a file"),
    "another type": (
        lambda w: w.metadata.state_dict_metadata["wte.weight"].properties.__setattr__("dtype", torch.float16),
        "float16 is expected",
    ),
    "a larger tensor": (
        lambda w: w.metadata.state_dict_metadata["wte.weight"].__setattr__("size", torch.Size([8, 5])),
        "5 of its 40 numbers",
    ),
    "an endless tensor": (
        lambda w: w.metadata.state_dict_metadata["wte.weight"].__setattr__("size", torch.Size([1 << 60, 5])),
        "should have the shape",
    ),
    "a negative offset": (lambda w: moved(w, offset=-1), "no size or offset"),
    "past the end": (lambda w: moved(w, offset=1 << 40), "truncated"),
    "another item's bytes": (lambda w: moved(w, offset=7), "overlap in a file"),
    "bytes that are no item": (lambda w: moved(w, length=100), "cannot be read in the distributed checkpoint"),
    "a path upwards": (lambda w: moved(w, relative_path="../secret.distcp"), "path to somewhere else"),
    "an absolute path": (lambda w: moved(w, relative_path="/etc/passwd"), "path to somewhere else"),
    "a file that is not there": (lambda w: moved(w, relative_path="__9_0.distcp"), "__9_0.distcp is missing"),
    "compressed": (lambda w: moved(w, transform_descriptors=["zstd"]), "a storage extension"),
    "two values at one place": (
        lambda w: w.metadata.__setattr__("planner_data", {"epoch": ("a",), "wte.weight": ("a", "b")}),
        "the same place in the tree",
    ),
    "a path that is none": (
        lambda w: w.metadata.__setattr__("planner_data", {"epoch": ("a", ["b"])}),
        "path of epoch is no path",
    ),
    "no table of places": (lambda w: w.metadata.__setattr__("storage_data", None), "table of places is none"),
    "no tensors": (lambda w: w.metadata.__setattr__("state_dict_metadata", [1]), "table by name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_refused_and_named(fault: str, tmp_path: Path, state: State) -> None:
    writer = written(tmp_path / "a", state)
    assert open_checkpoint(writer.folder).metadata == {"epoch": 4}
    change, said = FAULTS[fault]
    change(writer)
    (tmp_path / "secret.distcp").write_bytes(writer.data["__1_0.distcp"])
    writer.write()
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(writer.folder)
    assert said in str(error.value)
    assert error.value.remedies


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp", "__1_0.distcp"])
def test_every_truncation_is_refused(name: str, tmp_path: Path, state: State) -> None:
    file = written(tmp_path / "a", state).folder / name
    whole = file.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        file.write_bytes(whole[:end])
        with pytest.raises(CheckpointError):
            open_checkpoint(tmp_path / "a")
    file.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        open_checkpoint(tmp_path / "a")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_index_is_refused_or_read(data: st.DataObject, tmp_path: Path, state: State) -> None:
    file = written(tmp_path / "a", state).folder / ".metadata"
    damaged = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(damaged))
    try:
        for ref in open_checkpoint(tmp_path / "a").tensors.values():
            ref.load()
    except (CheckpointError, UsageError) as error:
        assert str(error)  # noqa: PT017 - either outcome is right


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (__import__("os").system, (f"touch {self.canary}",))


def test_hostile_pickles_run_nothing(tmp_path: Path, state: State) -> None:
    canary = tmp_path / "canary"
    attack = Attack(canary)
    writer = written(tmp_path / "a", state)
    metadata = writer.metadata
    text = f"touch {canary}".encode()
    raw = b"cos\nsystem\n(X" + struct.pack("<I", len(text)) + text + b"tR."
    index = writer.folder / ".metadata"
    modules = set(sys.modules)
    for hostile in (
        attack,
        [attack],
        replace(metadata, storage_data={attack: attack}),
        replace(metadata, state_dict_metadata={"w": attack}),
        replace(metadata, planner_data={"epoch": attack}),
        replace(metadata, storage_data={**metadata.storage_data, MetadataIndex("w"): attack}),
    ):
        index.write_bytes(pickle.dumps(hostile))
        with pytest.raises(Ckpt2hfError):
            open_checkpoint(writer.folder)
    index.write_bytes(raw)
    with pytest.raises(Ckpt2hfError):
        open_checkpoint(writer.folder)
    assert not canary.exists()
    assert set(sys.modules) == modules


def test_a_hostile_value_beside_the_weights_is_inert(tmp_path: Path, state: State) -> None:
    writer = written(tmp_path / "a", state)
    writer.put_value("config", Attack(tmp_path / "canary"))
    writer.metadata.planner_data = Attack(tmp_path / "canary")
    checkpoint = open_checkpoint(writer.write())
    (attack,) = checkpoint.metadata["config"]  # type: ignore[misc]
    assert isinstance(attack, Record)
    assert attack.class_name == "posix.system"
    assert not (tmp_path / "canary").exists()


def test_arrays_beside_flat_weights_are_no_broken_weights(tmp_path: Path, state: State) -> None:
    writer = written(tmp_path / "a", state)
    writer.put_value("numpy_state", np.arange(5))
    writer.put_value("dotted.name", Path("/somewhere"))
    writer.put_value("device.kind", torch.nn.Linear)
    assert open_checkpoint(writer.write()).metadata.keys() >= {"epoch", "numpy_state", "dotted.name", "device.kind"}


def test_large_values_beside_the_weights_are_not_read(tmp_path: Path, state: State) -> None:
    writer = written(tmp_path / "a", state)
    writer.put_value("dataloader", list(np.random.default_rng(0).integers(0, 1 << 30, 400_000).tolist()))
    value = open_checkpoint(writer.write()).metadata["dataloader"]
    assert isinstance(value, Record)
    assert value.fields["nbytes"] > 1 << 20  # type: ignore[operator]


def test_an_element_type_without_a_counterpart_is_named(tmp_path: Path, state: State) -> None:
    dcp.save({"model": {**state, "odd": torch.zeros(2, 2, dtype=torch.complex128)}}, checkpoint_id=str(tmp_path / "a"))
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path / "a")
    assert "odd: its element type is complex128" in str(error.value)


def test_names_that_hold_the_optimizer_without_a_tree_are_left_out(tmp_path: Path, state: State) -> None:
    writer = Writer(tmp_path / "a")
    for prefix in ("model.", "optim.state."):
        writer.put(f"{prefix}wte.weight", state["wte.weight"], ROWS)
    checkpoint = open_checkpoint(writer.write())
    assert list(checkpoint.tensors) == ["wte.weight"]
    assert checkpoint.metadata == {}
