"""The opcodes of a pickle that work on the stack: containers, names, calls, the memo.

Source: python/cpython Lib/pickletools.py, protocols 0 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.values import Global, hashable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints.machine import Machine

MAX_MARKS = 100_000
NEWEST_PROTOCOL = 5
_SIMPLE: frozenset[type] = frozenset({str, float, bool, bytes})
"""Types of keys whose hash is cheap, and spread, without a closer look."""
_SMALL = 1 << 60
"""Integers below hash to themselves; above, a file can choose as many as it likes with one hash."""
_MANY = 4096


def _mark(m: Machine) -> None:
    if len(m.marks) >= MAX_MARKS:
        raise ValueError("marks are nested without bound")
    m.marks.append(len(m.stack))


def _proto(m: Machine) -> None:
    protocol = m.cursor.byte()
    if protocol > NEWEST_PROTOCOL:
        raise ValueError(f"pickle protocol {protocol} is newer than any known one")


def _frame(m: Machine) -> None:
    m.cursor.number("<Q")  # only a hint for readers of streams


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _tuple(m: Machine, size: int) -> None:
    values = [m.pop() for _ in range(size)]
    m.new(tuple(reversed(values)))


def put(target: object, key: object, value: object) -> None:
    """Set one entry of a mapping. Raises TypeError for a target that has no entries and for an unusual key."""
    if isinstance(target, Record):
        if isinstance(key, str):
            target.fields[key] = value
        else:
            target.items.append((key, value))
        return
    if not isinstance(target, dict):
        raise TypeError("an entry is set in something that is no mapping")
    if type(key) not in _SIMPLE and not hashable(key):
        raise TypeError("a key that cannot be one")
    if isinstance(key, int) and len(target) > _MANY and abs(key) >= _SMALL:
        raise ValueError("a large table of huge numbers")
    target[key] = value


def _set_items(m: Machine) -> None:
    values = m.pop_mark()
    target = m.top()
    for key, value in zip(values[::2], values[1::2], strict=True):
        put(target, key, value)


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    put(m.top(), key, value)


def _dict(m: Machine) -> None:
    values = m.pop_mark()
    made: dict[object, object] = {}
    for key, value in zip(values[::2], values[1::2], strict=True):
        put(made, key, value)
    m.new(made)


def _extend(target: object, values: list[object]) -> None:
    if isinstance(target, Record):
        target.items.extend(values)
    elif isinstance(target, list):
        target.extend(values)
    else:
        raise TypeError("something is appended to what is no list")


def _appends(m: Machine) -> None:
    values = m.pop_mark()
    _extend(m.top(), values)


def _append(m: Machine) -> None:
    value = m.pop()
    _extend(m.top(), [value])


def members(values: list[object]) -> list[object]:
    """Values that may be members of a set. Raises TypeError."""
    if not set(map(type, values)) <= _SIMPLE and not all(map(hashable, values)):
        raise TypeError("a set member that cannot be one")
    if len(values) > _MANY and any(isinstance(value, int) and abs(value) >= _SMALL for value in values):
        raise ValueError("a large set of huge numbers")
    return values


def _add_items(m: Machine) -> None:
    values = members(m.pop_mark())
    target = m.top()
    if isinstance(target, set):
        target.update(values)
    else:
        _extend(target, values)


def _instance(m: Machine) -> None:
    module, name = m.cursor.text(), m.cursor.text()
    m.call(Global.checked(module, name), tuple(m.pop_mark()))


def _object(m: Machine) -> None:
    callee, *args = m.pop_mark()
    m.call(callee, tuple(args))


def _reduce(m: Machine) -> None:
    args = m.pop()
    m.call(m.pop(), args)


def _new_object_with_keywords(m: Machine) -> None:
    keywords, args = m.pop(), m.pop()
    m.call(m.pop(), args, keywords)


def _build(m: Machine) -> None:
    state = m.pop()
    m.host.restore(m.top(), state)


def _stack_global(m: Machine) -> None:
    name = m.pop()
    m.find(m.pop(), name)


def _pop(m: Machine) -> None:
    if m.marks and len(m.stack) == m.floor:
        m.marks.pop()
    else:
        m.pop()


def _refuse(what: str) -> Callable[[Machine], None]:
    def step(_: Machine) -> None:
        raise ValueError(what)

    return step


_NO_EXTENSIONS = _refuse("the pickle uses the copyreg extension registry of the program that wrote it")
_NO_BUFFERS = _refuse("the pickle keeps its buffers outside the file")

STEPS: dict[int, Callable[[Machine], None]] = {
    ord("("): _mark,
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): lambda m: m.push(m.top()),
    0x80: _proto,
    0x95: _frame,
    ord("]"): lambda m: m.new([]),
    ord("}"): lambda m: m.new({}),
    ord(")"): lambda m: m.push(()),
    0x8F: lambda m: m.new(set()),
    ord("l"): lambda m: m.new(m.pop_mark()),
    ord("d"): _dict,
    ord("t"): lambda m: m.new(tuple(m.pop_mark())),
    0x85: lambda m: _tuple(m, 1),
    0x86: lambda m: _tuple(m, 2),
    0x87: lambda m: _tuple(m, 3),
    0x91: lambda m: m.new(frozenset(members(m.pop_mark()))),
    ord("a"): _append,
    ord("e"): _appends,
    ord("s"): _set_item,
    ord("u"): _set_items,
    0x90: _add_items,
    ord("p"): lambda m: m.remember(int(m.cursor.text()[:20])),
    ord("q"): lambda m: m.remember(m.cursor.byte()),
    ord("r"): lambda m: m.remember(m.cursor.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("g"): lambda m: m.recall(int(m.cursor.text()[:20])),
    ord("h"): lambda m: m.recall(m.cursor.byte()),
    ord("j"): lambda m: m.recall(m.cursor.number("<I")),
    ord("c"): lambda m: m.find(m.cursor.text(), m.cursor.text()),
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _reduce,
    0x92: _new_object_with_keywords,
    ord("i"): _instance,
    ord("o"): _object,
    ord("b"): _build,
    ord("P"): lambda m: m.push(m.host.persistent(m.cursor.text())),
    ord("Q"): lambda m: m.push(m.host.persistent(m.pop())),
    0x82: _NO_EXTENSIONS,
    0x83: _NO_EXTENSIONS,
    0x84: _NO_EXTENSIONS,
    0x97: _NO_BUFFERS,
    0x98: _NO_BUFFERS,
}
"""What each opcode that is no constant does to the machine."""
