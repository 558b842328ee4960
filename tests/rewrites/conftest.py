"""Arrays as slots, and specs to rewrite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

import support
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ops import Mosaic
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array, Box

_DTYPES = {
    np.dtype(np.float64): DType.F64,
    np.dtype(np.float32): DType.F32,
    np.dtype(np.float16): DType.F16,
    np.dtype(ml_dtypes.bfloat16): DType.BF16,
}
SPEC = support.resized(support.SPEC, layers=2, d_model=12, heads=3, head_dim=4, d_ff=20, vocab=31, context=7)


@dataclass(frozen=True, eq=False)
class Held:
    """An array as a tensor, never to be written into."""

    array: Array

    @property
    def meta(self) -> Meta:
        return Meta(self.array.shape, _DTYPES[self.array.dtype])

    def read(self, box: Box) -> Array:
        view = self.array[box]
        view.flags.writeable = False
        return view


@pytest.fixture(scope="session")
def held() -> type[Held]:
    return Held


@pytest.fixture(scope="session")
def spec_with() -> Callable[..., ModelSpec]:
    """The spec with some fields changed."""
    return lambda **changes: support.resized(SPEC, **changes)


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Mapping[str, Mosaic]]:
    """Random slots of a spec, in a type, some of them given."""

    def draw(spec: ModelSpec, dtype: Any = np.float32, **given: Array) -> Mapping[str, Mosaic]:
        random = np.random.default_rng(5)
        made = {name: random.normal(size=shape).astype(dtype) for name, shape in slots_of(spec).items()}
        made |= {name.replace("__", "."): array for name, array in given.items()}
        return {name: Mosaic.of(Held(array)) for name, array in made.items()}

    return draw
