"""The fixed table of what a pickle may make: our own values for known names, an inert record for every other.

No name is imported and nothing a file names is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ckpt2hf.checkpoints import numpy_objects, torch_objects
from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.opcodes import members, put
from ckpt2hf.checkpoints.values import Global, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints.cursor import Budget
    from ckpt2hf.checkpoints.values import Storage

COPY_COST = 4
"""Steps that one copied element costs: it takes memory that no byte of the file pays for."""
STATE = "__state__"
"""The field that keeps a pickled state which is no attribute dictionary."""


class Storages(Protocol):
    """Where the bytes of tensors are."""

    def persistent(self, identity: object) -> object:
        """The storage a persistent id names."""
        ...

    def nested(self, blob: memoryview | bytes) -> Storage:
        """The storage inside bytes that are themselves a saved file."""
        ...


class Constructor:
    """Makes inert values out of names and arguments. Raises ValueError, TypeError, LookupError for malformed ones."""

    def __init__(self, storages: Storages, budget: Budget) -> None:
        self.storages = storages
        self.budget = budget

    def persistent(self, identity: object) -> object:
        """The storage a persistent id names."""
        return self.storages.persistent(identity)

    def make(self, callee: object, args: object, keywords: object = None) -> object:
        """What calling `callee` would describe."""
        if not isinstance(args, tuple):
            raise TypeError("a call whose arguments are no tuple")
        if isinstance(callee, Global):
            maker = MAKERS.get(callee.dotted)
            if maker is not None:
                return maker(self, args)
            record = Record(callee.dotted, args=args)
        elif isinstance(callee, Record):
            record = Record(f"{callee.class_name}()", args=(callee, *args[:1]))
        else:
            raise TypeError("a call of something that is no class or function")
        if isinstance(keywords, dict):
            self._update(record, keywords)
        return record

    def restore(self, target: object, state: object) -> None:
        """Give a record its attributes; containers and tensors have none that matter."""
        if isinstance(target, Global):
            raise TypeError(f"the pickle sets attributes of {target.dotted} itself")
        if not isinstance(target, Record) or state is None:
            return
        if isinstance(state, dict):
            inner = state.get("__dict__")
            self._update(target, state)
            if isinstance(inner, dict):  # a pydantic model keeps its fields one level down
                self._update(target, inner)
        elif isinstance(state, tuple) and len(state) == 2 and all(s is None or isinstance(s, dict) for s in state):  # noqa: PLR2004  (dict, slots)
            for part in state:
                if isinstance(part, dict):
                    self._update(target, part)
        else:
            target.fields[STATE] = state

    def _update(self, record: Record, values: dict[object, object]) -> None:
        self.budget.spend(COPY_COST * len(values))
        for key, value in values.items():
            put(record, key, value)

    def copied(self, values: object) -> list[object]:
        """The members of a list, tuple or set, paid for."""
        if not isinstance(values, list | tuple | set | frozenset):
            raise TypeError("a container made of something that is no list")
        self.budget.spend(COPY_COST * len(values))
        return list(values)


def _mapping(c: Constructor, args: tuple[object, ...]) -> dict[object, object]:
    """`OrderedDict()`, `OrderedDict([[k, v], …])`, `Counter({k: n})`."""
    made: dict[object, object] = {}
    if not args:
        return made
    if isinstance(args[0], dict):
        c.budget.spend(COPY_COST * len(args[0]))
        return dict(args[0])
    for pair in c.copied(args[0]):
        key, value = c.copied(pair)
        put(made, key, value)
    return made


def _encode(c: Constructor, args: tuple[object, ...]) -> bytes:
    """`_codecs.encode(text, "latin1")`: how protocols 0 to 2 write bytes."""
    text, encoding = (*args, "latin1")[:2]
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise ValueError("bytes in an unknown encoding")
    c.budget.spend(len(text) >> 6)
    return text.encode("latin-1")


def _bytes(c: Constructor, args: tuple[object, ...]) -> bytes:
    data = args[0] if args else b""
    if isinstance(data, str):
        return _encode(c, args)
    if not isinstance(data, bytes | memoryview):
        raise TypeError("bytes made of something else")
    c.budget.spend(len(data) >> 6)
    return bytes(data)


def _complex(_: Constructor, args: tuple[object, ...]) -> complex:
    real, imaginary = args
    if not isinstance(real, float | int) or not isinstance(imaginary, float | int):
        raise TypeError("a complex number made of something else")
    return complex(real, imaginary)


def _reconstructed(c: Constructor, args: tuple[object, ...]) -> object:
    """`copyreg._reconstructor(class, base, state)`: how protocols 0 and 1 make instances."""
    kind, base, state = args
    if isinstance(base, Global) and base.name != "object" and state is not None:
        made = c.make(kind, () if isinstance(state, dict | list) else (state,))
        if isinstance(made, Record) and isinstance(state, dict):
            c.restore(made, state)
        elif isinstance(made, Record) and isinstance(state, list):
            made.items.extend(c.copied(state))
        return made
    return c.make(kind, ())


def _from_type(c: Constructor, args: tuple[object, ...]) -> object:
    """`torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`: the plain tensor inside a subclass."""
    function, _, inner, _ = args
    if not isinstance(function, Global) or function.dotted not in _REBUILDS:
        return unsupported("it is a tensor subclass with its own way to be stored")
    return c.make(function, inner)


def _path(_: Constructor, args: tuple[object, ...]) -> str:
    """`pathlib.PosixPath("/", "a", "b")` as `/a/b`."""
    text = "/".join(str(part) for part in args if isinstance(part, str))
    return "/" + text.lstrip("/") if text.startswith("/") else text


def _text(_: Constructor, args: tuple[object, ...]) -> str:
    if len(args) != 1 or not isinstance(args[0], str):
        raise TypeError("a string made of something else")
    return args[0]


def _blob(c: Constructor, args: tuple[object, ...]) -> Storage:
    """`torch.storage._load_from_bytes(bytes)`: a storage saved as a file of its own inside a plain pickle."""
    if len(args) != 1 or not isinstance(args[0], bytes | memoryview):
        raise TypeError("a nested storage that is no bytes")
    return c.storages.nested(args[0])


_REBUILDS: dict[str, Callable[[Constructor, tuple[object, ...]], object]] = {
    "torch._utils._rebuild_tensor": lambda _, a: torch_objects.rebuild_v2(a),
    "torch._utils._rebuild_tensor_v2": lambda _, a: torch_objects.rebuild_v2(a),
    "torch._utils._rebuild_tensor_v3": lambda _, a: torch_objects.rebuild_v3(a),
}

MAKERS: dict[str, Callable[[Constructor, tuple[object, ...]], object]] = {
    **_REBUILDS,
    "torch._utils._rebuild_parameter": lambda _, a: torch_objects.rebuild_parameter(a),
    "torch._utils._rebuild_parameter_with_state": lambda _, a: torch_objects.rebuild_parameter(a),
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._utils._rebuild_sparse_tensor": lambda _, a: torch_objects.sparse(a),
    "torch._utils._rebuild_sparse_csr_tensor": lambda _, a: torch_objects.sparse(a),
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": lambda _, a: a[0],
    "torch._utils._rebuild_device_tensor_from_numpy": lambda _, _a: unsupported("it is stored as a NumPy array"),
    "torch._utils._rebuild_xla_tensor": lambda _, _a: unsupported("it is stored as a NumPy array"),
    "torch._utils._rebuild_qtensor": lambda _, a: unsupported("it is quantized", shape=a[2]),
    "torch._utils._rebuild_nested_tensor": lambda _, _a: unsupported("it is nested"),
    "torch._utils._rebuild_meta_tensor_no_storage": lambda _, a: unsupported(
        "it is a meta tensor: its numbers were never saved", shape=a[1]
    ),
    "torch._utils._rebuild_wrapper_subclass": lambda _, a: unsupported(
        "it is a tensor subclass without numbers of its own", shape=a[2]
    ),
    "torch.storage._load_from_bytes": _blob,
    "torch.Size": lambda _, a: torch_objects.size(a),
    "torch.device": lambda _, a: torch_objects.device(a),
    "torch.torch_version.TorchVersion": _text,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda c, a: _mapping(c, a[1:]),
    "collections.Counter": _mapping,
    "builtins.dict": _mapping,
    "builtins.list": lambda c, a: c.copied(a[0]) if a else [],
    "builtins.set": lambda c, a: set(members(c.copied(a[0]))) if a else set(),
    "builtins.frozenset": lambda c, a: frozenset(members(c.copied(a[0]))) if a else frozenset(),
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.complex": _complex,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructed,
    "copyreg.__newobj__": lambda c, a: c.make(a[0], a[1:]),
    "copyreg.__newobj_ex__": lambda c, a: c.make(*a),
    "numpy.core.multiarray.scalar": lambda _, a: numpy_objects.scalar(a),
    "numpy._core.multiarray.scalar": lambda _, a: numpy_objects.scalar(a),
    "numpy.core.multiarray._reconstruct": lambda _, a: numpy_objects.array(a),
    "numpy._core.multiarray._reconstruct": lambda _, a: numpy_objects.array(a),
    "numpy.core.numeric._frombuffer": lambda _, a: numpy_objects.array(a),
    "numpy._core.numeric._frombuffer": lambda _, a: numpy_objects.array(a),
    **{
        f"{module}.{name}": _path
        for module in ("pathlib", "pathlib._local")
        for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
}
"""Everything a pickle may make, by dotted name."""
