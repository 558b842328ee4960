"""What pickled NumPy scalars and arrays describe: scalars become Python numbers, arrays become records.

Source: numpy/numpy numpy/_core/src/multiarray/scalarapi.c (scalar pickling), methods.c (ndarray pickling).
"""

from __future__ import annotations

import re

import numpy as np

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.values import NUMPY_ARRAY

_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|U[0-9]{1,4}")


def scalar(args: tuple[object, ...]) -> object:
    """`numpy.core.multiarray.scalar(dtype, bytes)` as a Python value; a record for unusual types."""
    kind, data = args[:2]
    if not isinstance(kind, Record) or not isinstance(data, bytes | memoryview) or not isinstance(kind.args[0], str):
        return Record("numpy.generic", args=args)
    name = kind.args[0].lstrip("<>|=")
    state = kind.fields.get("__state__")
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if not _PLAIN.fullmatch(name):
        return Record("numpy.generic", args=args)
    dtype = np.dtype((">" if order == ">" else "<") + name)
    if len(data) != dtype.itemsize:
        raise ValueError("a NumPy scalar with too many or too few bytes")
    value: object = np.frombuffer(bytes(data), dtype)[0].item()
    return value


def array(args: tuple[object, ...]) -> Record:
    """An array, not read: a record that says it was one."""
    return Record(NUMPY_ARRAY, args=args)
