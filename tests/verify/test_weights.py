"""Slots become tensors without losing a bit and, where possible, without a copy."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from ckpt2hf.tensors import DType
from ckpt2hf.verify.weights import load_slots, tensor


def test_read_only_float32_is_shared_not_copied(kit: Any) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    array.flags.writeable = False
    found = load_slots({"x": kit.slot(array)}, torch.float32)["x"]
    assert found.data_ptr() == array.ctypes.data
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("view", ["transposed", "strided", "reversed", "unaligned", "empty", "scalar", "expanded"])
@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16, DType.F16, DType.F64])
def test_any_view_keeps_its_elements(kit: Any, view: str, dtype: DType) -> None:
    base = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype.numpy)
    raw = np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:]
    array = {
        "transposed": base.T,
        "strided": base[::2, 1:],
        "reversed": base[::-1],
        "unaligned": np.ndarray((6, 4), dtype.numpy, raw.data),
        "empty": base[:0],
        "scalar": base[1, 2].reshape(()),
        "expanded": np.broadcast_to(base[0], (3, 4)),
    }[view]
    found = load_slots({"x": kit.slot(array, dtype)}, torch.float64)["x"]
    assert found.shape == array.shape
    assert np.array_equal(found.numpy(), array.astype(np.float64))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (ml_dtypes.float8_e4m3fn, DType.F8_E4M3),
        (ml_dtypes.float8_e5m2, DType.F8_E5M2),
        (np.int64, DType.I64),
        (np.bool_, DType.BOOL),
    ],
)
def test_other_types_keep_their_values(kit: Any, kind: Any, dtype: DType) -> None:
    array = np.array([0, 1, -2, 1], np.float32).astype(kind)
    assert tensor(kit.slot(array, dtype)).float().tolist() == array.astype(np.float32).tolist()
