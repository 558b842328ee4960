"""The pickle virtual machine against CPython's own, on everything plain."""

from __future__ import annotations

import collections
import enum
import pathlib
import pickle
import types
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.checkpoints import Record
from ckpt2hf.checkpoints.cursor import Budget, Cursor
from ckpt2hf.checkpoints.inert import Settler
from ckpt2hf.checkpoints.unpickling import unpickle
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    Unpickled = Callable[..., object]

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
keys = st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.binary(max_size=4), st.tuples(st.integers()))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
trees = st.recursive(
    scalars | st.sets(keys),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner) | st.tuples(inner),
    max_leaves=20,
)


class Config:
    def __init__(self) -> None:
        self.n_head = 3
        self.betas = (0.9, 0.95)


class Slotted:
    __slots__ = ("n_head",)

    def __init__(self) -> None:
        self.n_head = 3


class AttrDict(dict[str, object]):
    pass


class Tokens(list[int]):
    pass


class Kind(enum.Enum):
    GELU = "gelu"


class NoStorages:
    def persistent(self, identity: object) -> object:
        raise ValueError(identity)

    def nested(self, blob: object) -> object:
        raise ValueError(blob)


def plain(value: object) -> object:
    """Sets as sorted lists, as settling gives them."""
    if isinstance(value, dict):
        return {plain_key(k): plain(v) for k, v in value.items()}
    if isinstance(value, set):
        return sorted(map(repr, map(plain_key, value)))
    if isinstance(value, list | tuple):
        return type(value)(plain(v) for v in value)
    return plain_key(value)


def plain_key(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


@given(tree=trees, protocol=st.sampled_from(PROTOCOLS))
def test_plain_values_are_what_python_reads(tree: object, protocol: int) -> None:
    data = pickle.dumps(tree, protocol)
    cursor = Cursor(memoryview(data))
    ours = unpickle(cursor, NoStorages(), Budget(), where="test")
    assert plain(ours) == plain(pickle.loads(data))
    assert cursor.position == len(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_instances_become_records(protocol: int, unpickled: Unpickled) -> None:
    record = unpickled(pickle.dumps(Config(), protocol))
    assert isinstance(record, Record)
    assert record.class_name == f"{__name__}.Config"
    assert record.fields == {"n_head": 3, "betas": (0.9, 0.95)}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_slots_are_fields(protocol: int, unpickled: Unpickled) -> None:
    record = unpickled(pickle.dumps(Slotted(), protocol))
    assert isinstance(record, Record)
    assert record.fields == {"n_head": 3}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dict_and_list_subclasses_keep_their_entries(protocol: int, unpickled: Unpickled) -> None:
    record = unpickled(pickle.dumps(AttrDict(n_head=3), protocol))
    assert isinstance(record, Record)
    assert record.fields["n_head"] == 3
    record = unpickled(pickle.dumps(Tokens([1, 2]), protocol))
    assert isinstance(record, Record)
    assert record.items == [1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_standard_containers_become_plain_ones(protocol: int, unpickled: Unpickled) -> None:
    ordered = collections.OrderedDict([("a", 1), ("b", 2)])
    counted = collections.Counter("aab")
    default = collections.defaultdict(list, {"a": [1]})
    path = pathlib.PurePosixPath("/data/run")
    value = unpickled(pickle.dumps([ordered, counted, default, path, bytearray(b"xyz"), slice(1, 2)], protocol))
    assert isinstance(value, list)
    assert value[:4] == [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": [1]}, "/data/run"]
    assert list(value[0]) == ["a", "b"]
    assert bytes(value[4]) == b"xyz"
    assert value[5].class_name == "builtins.slice"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars_become_numbers_and_arrays_records(protocol: int, unpickled: Unpickled) -> None:
    values = [np.float64(1.5), np.float32(0.25), np.int64(-7), np.bool_(True), np.uint16(65535), np.str_("tanh")]
    big_endian = np.dtype(">f8").type(2.5)
    assert unpickled(pickle.dumps([*values, big_endian], protocol)) == [1.5, 0.25, -7, True, 65535, "tanh", 2.5]
    array = unpickled(pickle.dumps(np.arange(3), protocol))
    assert isinstance(array, Record)
    assert array.class_name == "numpy.ndarray"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_enum_member_is_a_record_of_its_value(protocol: int, unpickled: Unpickled) -> None:
    record = unpickled(pickle.dumps(Kind.GELU, protocol))
    assert isinstance(record, Record)
    assert "gelu" in record.args or "GELU" in record.args


def test_a_namespace_and_keyword_construction(unpickled: Unpickled) -> None:
    record = unpickled(pickle.dumps(types.SimpleNamespace(n_head=3)))
    assert isinstance(record, Record)
    assert record.fields == {"n_head": 3}
    record = unpickled(b"\x80\x04cmine\nConfig\n)}\x8c\x06n_headK\x03s\x92.")
    assert isinstance(record, Record)
    assert record.fields == {"n_head": 3}


def test_old_opcodes(unpickled: Unpickled) -> None:
    assert unpickled(b"I01\n.") is True
    assert unpickled(b"L123L\n.") == 123
    assert unpickled(b"S'a\\x62'\n.") == "ab"
    assert unpickled(b"(I1\nI2\nd.") == {1: 2}
    assert unpickled(b"U\x02\xff\xfe.") == b"\xff\xfe"
    assert unpickled(b"(I1\n(I2\n10I3\nI4\n0l.") == [3]
    record = unpickled(b"(I4\nimine\nThing\n.")
    assert isinstance(record, Record)
    assert record.args == (4,)
    record = unpickled(b"(cmine\nThing\nI4\no.")
    assert isinstance(record, Record)
    assert (record.class_name, record.args) == ("mine.Thing", (4,))


def test_a_class_is_settled_as_its_name(unpickled: Unpickled) -> None:
    value = unpickled(b"ctorch.nn.functional\ngelu\n.")
    assert Settler().settle(value) == "torch.nn.functional.gelu"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends in the middle"),
        (b"\x80\x07N.", "protocol 7"),
        (b"\xff.", "unknown opcode"),
        (b"\x82\x01.", "extension registry"),
        (b"\x97.", "outside the file"),
        (b"0.", "more from its stack"),
        (b"h\x05.", "5"),
        (b"X\xff\xff\xff\x7fa.", "bytes are declared"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "bytes are declared"),
        (b"\x8b\xff\xff\xff\x7f.", "an integer of"),
        (b"I" + b"9" * 5000 + b"\n.", "absurdly long"),
        (b"]]s.", "IndexError"),
        (b"}]K\x01s.", "cannot be one"),
        (b"K\x01K\x02R.", "no tuple"),
        (b"K\x01)R.", "no class or function"),
        (b"Pabc\n.", "abc"),
        (b"cos\nsystem\n}b.", "attributes of os.system itself"),
        (b"V" + b"a" * 100, "has no end"),
    ],
)
def test_malformed_pickles_are_one_clear_error(data: bytes, said: str, unpickled: Unpickled) -> None:
    with pytest.raises(CheckpointError, match="cannot be read") as error:
        unpickled(data)
    assert said in str(error.value) or said == "IndexError"
    assert "byte" in str(error.value)
