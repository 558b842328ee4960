"""What torch.save and pickle.dump write is read as torch.load reads it: values, element types, sharing."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.tensors import TensorRef

    Saved = Callable[..., Checkpoint]
    Equal = Callable[[TensorRef, torch.Tensor], bool]
    State = dict[str, torch.Tensor]


class Tagged(torch.Tensor):
    """A subclass without numbers of its own."""


DTYPES = [getattr(torch, dtype.torch_name) for dtype in DType]
WRITERS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 3": {"pickle_protocol": 3},
    "zip, protocol 4": {"pickle_protocol": 4},
    "zip, protocol 5": {"pickle_protocol": 5},
    "legacy": {"_use_new_zipfile_serialization": False},
    "legacy, protocol 4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """A tensor or a view of one: sliced, transposed, expanded, 0-d, empty."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    dtype = draw(st.sampled_from(DTYPES))
    base = torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape) % 100
    tensor = base.to(dtype)
    if draw(st.booleans()) and tensor.ndim > 1:
        tensor = tensor.transpose(0, -1)
    if draw(st.booleans()) and tensor.ndim and tensor.shape[0] > 1:
        tensor = tensor[1:]
    if draw(st.booleans()) and tensor.ndim and tensor.shape[0] > 2:
        tensor = tensor[::2]
    if draw(st.booleans()):
        tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
    return tensor


@st.composite
def states(draw: st.DrawFn) -> State:
    """A state_dict with at least one floating-point tensor, some tensors sharing storage."""
    state = {f"{i}.weight": draw(tensors()) for i in range(draw(st.integers(0, 4)))}
    state["anchor.weight"] = torch.arange(6.0).reshape(2, 3)
    if draw(st.booleans()):
        state["tied.weight"] = state["anchor.weight"]
        state["part.weight"] = state["anchor.weight"][1:, 1:]
    if draw(st.booleans()):
        state["parameter"] = torch.nn.Parameter(torch.ones(2, 2))
    return state


def check(checkpoint: Checkpoint, expected: Mapping[str, torch.Tensor], equal: Equal) -> None:
    assert list(checkpoint.tensors) == list(expected)
    for name, tensor in expected.items():
        assert equal(checkpoint.tensors[name], tensor), name
    if "tied.weight" in expected:
        assert checkpoint.tensors["tied.weight"].same_place(checkpoint.tensors["anchor.weight"])
        assert checkpoint.tensors["part.weight"].storage == checkpoint.tensors["anchor.weight"].storage


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=states(), writer=st.sampled_from(sorted(WRITERS)), nested=st.booleans())
def test_what_torch_saves_is_what_is_read(
    state: State, writer: str, nested: bool, saved: Saved, equal: Equal, tmp_path: Path
) -> None:  # fmt: skip
    obj = {"model": state, "iter_num": 7, "args": {"n_head": 3}} if nested else state
    checkpoint = saved(obj, **WRITERS[writer])
    check(checkpoint, state, equal)
    if "zip" in writer:  # torch.load cannot read back every element type it writes in the old format
        loaded = torch.load(tmp_path / "ckpt.pt", weights_only=False)
        check(checkpoint, loaded["model"] if nested else loaded, equal)
    assert checkpoint.lookup("args.n_head") == (3 if nested else None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=states(), protocol=st.integers(0, 5))
def test_what_pickle_dumps_is_what_is_read(
    state: State, protocol: int, pickled: Callable[..., Checkpoint], equal: Equal
) -> None:
    checkpoint = pickled(state, protocol)
    assert list(checkpoint.tensors) == list(state)
    for name, tensor in state.items():
        assert equal(checkpoint.tensors[name], tensor), name


def test_nothing_is_copied(saved: Saved, pickled: Callable[..., Checkpoint], state: State) -> None:
    old = saved(state, _use_new_zipfile_serialization=False, name="old.pt")
    for checkpoint in (saved(state), old, pickled(state)):
        files = {ref.storage.file for ref in checkpoint.tensors.values()}
        assert len(files) == 1
        assert files.pop().size == checkpoint.files[0].stat().st_size


def test_byte_order_of_a_foreign_machine_is_refused(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "a.pt")
    rezip(tmp_path / "a.pt", tmp_path / "b.pt", lambda name, data: b"big" if name.endswith("byteorder") else data)
    with pytest.raises(CheckpointError, match="big-endian"):
        open_checkpoint(tmp_path / "b.pt")


def rezip(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], compress: int = 0) -> None:
    """The archive with its records changed; None drops one."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compress) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


@pytest.mark.parametrize(
    ("record", "data", "said"),
    [
        ("data/0", None, "data/0 is missing"),
        ("data/0", b"1234", "but 4 bytes"),
        ("data.pkl", None, "was not made by torch.save"),
        ("data.pkl", b"\x80\x02}", "truncated"),
    ],
)
def test_damaged_archives_are_refused(record: str, data: bytes | None, said: str, tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "a.pt")
    rezip(tmp_path / "a.pt", tmp_path / "b.pt", lambda name, old: data if name.endswith(f"/{record}") else old)
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path / "b.pt")
    assert said in str(error.value)


def test_a_compressed_archive_is_refused(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "a.pt")
    rezip(tmp_path / "a.pt", tmp_path / "b.pt", lambda _, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        open_checkpoint(tmp_path / "b.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(torch.nn.Linear(2, 3), torch.ones(1, 2))
        torch.jit.save(script, str(tmp_path / "a.pt"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        open_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("cut", [10, 200, -1, -30])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(cut: int, zipped: bool, tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    (tmp_path / "b.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:cut])
    with pytest.raises(CheckpointError):
        open_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.eye(3).to_sparse(), "layout"),
        (lambda: torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.empty(2, 2, device="meta"), "never saved"),
        (lambda: torch.ones(2, dtype=torch.complex128), "complex128"),
        (lambda: torch.ones(2, dtype=torch.complex64).conj(), "conjugate"),
        (lambda: torch.ones(2).to(torch.float8_e4m3fnuz), "float8_e4m3fnuz"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_no_plain_numbers_matter_only_among_the_weights(
    make: Callable[[], torch.Tensor], said: str, saved: Saved, state: State
) -> None:
    assert list(saved({"model": state, "other": make()}).tensors) == list(state)
    with pytest.raises(CheckpointError, match="not plain tensors") as error:
        saved({**state, "odd.weight": make()})
    assert "odd.weight" in str(error.value)
    assert said in str(error.value)


def test_tensor_subclasses_and_parameters_with_attributes_are_their_numbers(saved: Saved, equal: Equal) -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    parameter.tag = "muon"  # type: ignore[attr-defined]
    state = {"a": torch.full((2, 2), 3.0).as_subclass(Tagged), "b": parameter}
    checkpoint = saved(state)
    assert equal(checkpoint.tensors["a"], torch.full((2, 2), 3.0))
    assert equal(checkpoint.tensors["b"], torch.ones(2, 3))


def test_trailing_bytes_and_several_pickles_are_refused(tmp_path: Path, state: State) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"epoch": 1}) + pickle.dumps(state))
    with pytest.raises(CheckpointError, match="more in this file"):
        open_checkpoint(path)


def test_a_legacy_view_of_a_storage(tmp_path: Path, equal: Equal) -> None:
    torch_id = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06"
    view = b"X\x01\x00\x00\x00vK\x02K\x03\x87"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + torch_id + view + b"tQK\x01K\x02\x85K\x01\x85\x89}tR"
    tree = b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."
    head = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    data = struct.pack("<q6f", 6, *range(6))
    (tmp_path / "a.pt").write_bytes(head + tree + pickle.dumps(["0"], 2) + data)
    assert equal(open_checkpoint(tmp_path / "a.pt").tensors["w"], torch.tensor([3.0, 4.0]))
