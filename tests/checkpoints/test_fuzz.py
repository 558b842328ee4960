"""Random and damaged bytes end in one of our errors or in a checkpoint, never in anything else."""

from __future__ import annotations

import functools
import io
import pickle
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
STATE = {"wte.weight": torch.arange(12.0).reshape(3, 4), "norm.bias": torch.zeros(3, dtype=torch.bfloat16)}
OPCODES = bytes(range(256))


def opened_or_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        checkpoint = open_checkpoint(path)
        for ref in checkpoint.tensors.values():
            ref.load()
    except (CheckpointError, UsageError) as error:
        assert str(error)  # noqa: PT017  either outcome is right


@functools.cache
def originals() -> dict[str, bytes]:
    made = {"safetensors": save(STATE), "plain": pickle.dumps({"model": STATE, "epoch": 3})}
    for name, zipped in (("zip", True), ("legacy", False)):
        stream = io.BytesIO()
        torch.save({"model": STATE, "epoch": 3}, stream, _use_new_zipfile_serialization=zipped)
        made[name] = stream.getvalue()
    stream = io.BytesIO()
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3)), stream)
    return made | {"module": stream.getvalue()}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(list(originals().values()))))
    for _ in range(draw(st.integers(1, 4))):
        # Most damage goes where structure is: the beginning and the end.
        place = draw(st.integers(0, len(data) - 1) | st.integers(0, min(800, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "truncate"])):
            case "flip":
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 9))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=9))
            case "repeat":
                data[place:place] = data[place : place + draw(st.integers(1, 60))]
            case "truncate":
                del data[place + 1 :]
        if not data:
            break
    return bytes(data)


@QUICK
@given(body=st.binary(max_size=200) | st.lists(st.sampled_from(OPCODES), max_size=60).map(bytes))
@example(body=b"\x80\x04]\x94h\x00a.")
def test_random_pickles(body: bytes, tmp_path: Path) -> None:
    opened_or_refused(tmp_path / "a.pkl", b"\x80\x04" + body)


@QUICK
@given(body=st.binary(max_size=300))
def test_random_files(body: bytes, tmp_path: Path) -> None:
    opened_or_refused(tmp_path / "a.pt", body)


@settings(QUICK, max_examples=400)
@given(data=damaged())
def test_damaged_files(data: bytes, tmp_path: Path) -> None:
    opened_or_refused(tmp_path / "a.pt", data)


@pytest.mark.parametrize("name", ["zip", "legacy", "plain", "safetensors", "module"])
def test_every_truncation(name: str, tmp_path: Path) -> None:
    data = originals()[name]
    for end in range(0, len(data), max(1, len(data) // 150)):
        opened_or_refused(tmp_path / "a.pt", data[:end])


@pytest.mark.parametrize("change", [lambda data: data[::-1], lambda data: data * 2], ids=["reversed", "doubled"])
@pytest.mark.parametrize("name", ["zip", "legacy", "plain", "safetensors"])
def test_rearranged_files(name: str, change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    opened_or_refused(tmp_path / "a.pt", change(originals()[name]))
