"""Which tensors go into which file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.errors import UsageError
from ckpt2hf.output import plan_shards
from ckpt2hf.tensors import DType, Meta


def metas(*sizes: int) -> dict[str, Meta]:
    return {str(k): Meta((size,), DType.U8) for k, size in enumerate(sizes)}


def test_everything_fits() -> None:
    assert plan_shards(metas(3, 4), None) == (("0", "1"),)
    assert plan_shards(metas(3, 4), 7) == (("0", "1"),)
    assert plan_shards({}, 7) == ((),)


def test_a_shard_ends_before_it_is_too_large() -> None:
    assert plan_shards(metas(3, 4, 1, 6), 7) == (("0", "1"), ("2", "3"))


def test_a_tensor_larger_than_a_shard_has_one_of_its_own() -> None:
    assert plan_shards(metas(1, 9, 1, 1), 4) == (("0",), ("1",), ("2", "3"))
    assert plan_shards(metas(9, 0, 1), 4) == (("0",), ("1", "2"))


@given(st.lists(st.integers(0, 20), max_size=20), st.integers(1, 30))
def test_every_tensor_is_in_one_shard_and_no_shard_is_too_large(sizes: list[int], limit: int) -> None:
    given_metas = metas(*sizes)
    shards = plan_shards(given_metas, limit)
    assert [name for shard in shards for name in shard] == list(given_metas)
    assert all(len(shard) == 1 or sum(given_metas[name].nbytes for name in shard) <= limit for shard in shards)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_holds_nothing_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match="holds nothing"):
        plan_shards(metas(1), limit)
