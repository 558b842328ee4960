"""Pickles made to run something, or to eat memory and time: nothing runs, nothing is imported, the cost is bounded."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch

from ckpt2hf.checkpoints import Record, open_checkpoint
from ckpt2hf.checkpoints.cursor import Budget
from ckpt2hf.checkpoints.inert import MAX_DEPTH, Settler
from ckpt2hf.errors import CheckpointError, Ckpt2hfError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Unpickled = Callable[..., object]

SECONDS = 30.0
"""Far above what any of these takes, far below what an attack would: this is no benchmark."""
MEGABYTES = 400


def attacks(canary: Path) -> dict[str, bytes]:
    """Pickles that would make the canary file if anything in them ran."""
    command = f"touch {canary}".encode()
    code = f"open({str(canary)!r}, 'w')".encode()
    text = struct.pack("<I", len(command)) + command
    return {
        "os.system": b"cos\nsystem\n(X" + text + b"tR.",
        "posix.system": b"cposix\nsystem\n(X" + text + b"tR.",
        "inst": b"(X" + text + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\nX" + text + b"o.",
        "newobj": b"\x80\x02cos\nsystem\nX" + text + b"\x85\x81.",
        "newobj_ex": b"\x80\x04cos\nsystem\nX" + text + b"\x85}\x92.",
        "stack_global": b"\x80\x04\x8c\x02os\x8c\x06system\x93X" + text + b"\x85R.",
        "popen": b"csubprocess\nPopen\n((lX" + text + b"\x85R.",
        "eval": b"cbuiltins\neval\n(X" + struct.pack("<I", len(code)) + code + b"tR.",
        "exec": b"c__builtin__\nexec\n(X" + struct.pack("<I", len(code)) + code + b"tR.",
        "getattr": b"cbuiltins\ngetattr\n(cos\n__dict__\nX\x06\x00\x00\x00systemtR(X" + text + b"tR.",
        "reconstructor": b"ccopyreg\n_reconstructor\n(cos\nsystem\ncbuiltins\nstr\nX" + text + b"tR.",
        "newobj function": b"ccopyreg\n__newobj__\n(cos\nsystem\nX" + text + b"tR.",
        "setstate": b"cmine\nThing\n)R}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsbX" + text + b"b.",
        "rebuild": b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nNX" + text + b"\x85NtR.",
        "hub": b"ctorch.hub\nload\n(X" + text + b"tR.",
        "partial": b"cfunctools\npartial\n(cos\nsystem\ntR(cos\nsystem\nX" + text + b"\x85}NtbR.",
        "map": b"cbuiltins\nlist\n(cbuiltins\nmap\n(cos\nsystem\n(X" + text + b"ltRtR.",
        "import": b"cckpt2hf_canary_module\nThing\n)R.",
    }


@pytest.mark.parametrize("name", attacks(__import__("pathlib").Path("canary")))
@pytest.mark.parametrize("container", ["plain", "zip", "legacy"])
def test_nothing_a_file_names_is_run_or_imported(name: str, container: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    body = attacks(canary)[name]
    path = tmp_path / "model.pt"
    if container == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl", body)
    elif container == "legacy":
        head = [pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join(head) + body + pickle.dumps([], 2))
    else:
        path.write_bytes(body)
    modules = set(sys.modules)
    with pytest.raises(Ckpt2hfError):
        open_checkpoint(path)
    assert not canary.exists()
    assert set(sys.modules) - modules == set()


def test_a_file_with_an_attack_beside_its_weights_is_read_without_it(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (__import__("os").system, (f"touch {tmp_path / 'canary'}",))

    torch.save({"model": {"w": torch.ones(2, 3)}, "config": Attack()}, tmp_path / "a.pt")
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    assert list(checkpoint.tensors) == ["w"]
    attack = checkpoint.metadata["config"]
    assert isinstance(attack, Record)
    assert attack.class_name == "posix.system"
    assert not (tmp_path / "canary").exists()


def nested_files(calls: int, levels: int) -> bytes:
    """A file that opens a file inside it many times, which opens …"""
    stream = io.BytesIO()
    torch.save(torch.zeros(1).untyped_storage(), stream, _use_new_zipfile_serialization=False)
    blob = stream.getvalue()
    for _ in range(levels):
        call = b"ctorch.storage\n_load_from_bytes\n(h\x00tR"
        blob = b"\x80\x03B" + struct.pack("<I", len(blob)) + blob + b"q\x000" + (call + b"0") * calls + call + b"."
    return blob


BOMBS = {
    "nested lists": b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "nested tuples": b")" + b"\x85" * 1_000_000 + b".",
    "nested marks": b"(" * 1_000_000 + b".",
    "declared string": b"\x80\x02X\xfe\xff\xff\x7f" + b"a" * 10 + b".",
    "declared bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "declared long": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\xff" * 100 + b".",
    "memo flood": b"\x80\x04N" + b"\x94" * 3_000_000 + b".",
    "dup flood": b"N" + b"2" * 5_000_000 + b".",
    "dict flood": b"(" + b"}" * 3_000_000 + b"l.",
    "copies": b"(" + b"K\x01" * 100_000 + b"lq\x00" + b"cbuiltins\nset\n(h\x00tR0" * 10_000 + b"h\x00.",
    "state copies": b"("
    + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(50_000))
    + b"dq\x00cm\nT\n)R"
    + b"h\x00b" * 100_000
    + b".",
    "colliding keys": b"}("
    + b"".join(b"\x8a\x0a" + (k * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for k in range(1, 100_000))
    + b"u.",
    "endless text": b"]q\x00" + b"".join(b"(h%ch%clq%c" % (i, i, i + 1) for i in range(60)) + b"}h\x3cK\x01s.",
    "endless size": b"\x80\x02ctorch\nSize\n(lq\x00"
    + b"".join(b"0(h%ch%clq%c" % (i, i, i + 1) for i in range(60))
    + b"\x85\x85R.",
    "wide laughs": b"}q\x00"
    + b"".join(
        b"}q%c(%s" % (level + 1, b"".join(b"M" + struct.pack("<H", i) + b"h%c" % level for i in range(3000))) + b"u"
        for level in range(8)
    )
    + b".",
    "tuple keys": b"\x80\x02)q\x00" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(80)) + b"}q\xffhPNs.",
    "nested files": nested_files(200, 4),
}


READ = """
import pathlib, resource, sys
from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import Ckpt2hfError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_checkpoint(pathlib.Path(sys.argv[1]))
except Ckpt2hfError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[name])
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert int(done.stdout) < MEGABYTES << 10, done.stderr


def laughs(levels: int) -> list[object]:
    graph: list[object] = [1]
    for _ in range(levels):
        graph = [graph, graph]
    return graph


def test_shared_graphs_and_cycles_do_not_hang_the_walk(tmp_path: Path) -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    knot: dict[str, object] = {}
    knot["self"] = {"again": knot}
    obj = {"model": {"w": torch.ones(2, 3)}, "laughs": laughs(60), "cycle": cycle, "knot": knot}
    torch.save(obj, tmp_path / "a.pt")
    checkpoint = open_checkpoint(tmp_path / "a.pt")
    assert list(checkpoint.tensors) == ["w"]
    assert checkpoint.lookup("cycle.0") == 1
    inside = checkpoint.lookup("cycle.1")
    assert isinstance(inside, Record)
    assert "itself" in inside.class_name


def expanded(value: object, limit: int) -> int:
    """Nodes a naive walk meets."""
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    total = 1
    for part in parts:
        total += expanded(part, limit)
        assert total <= limit
    return total


def test_what_is_settled_is_finite_for_a_naive_walk() -> None:
    limit = 5000
    assert expanded(Settler(limit).settle(laughs(40)), 2 * limit) <= 2 * limit


def test_what_is_settled_is_never_too_deep() -> None:
    deep: list[object] = []
    shelf: list[object] = []
    for _ in range(10):
        for _ in range(MAX_DEPTH - 4):
            deep = [deep]
        shelf.append(deep)
    depth, node = 0, Settler().settle(shelf)
    while isinstance(node, list) and node:
        depth, node = depth + 1, node[-1]
    assert depth <= MAX_DEPTH


def test_the_budget_is_shared_by_nested_pickles(unpickled: Unpickled) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        unpickled(b"NNNNNNN.", Budget(steps=5))
    with pytest.raises(CheckpointError, match="cannot be read"):
        unpickled(b"]]]]]]].", Budget(containers=3))


@pytest.mark.parametrize("value", ["(2, 1 << 62)", "(-1,)", "(1.5,)", "('a',)", "tuple([1] * 65)", "5"])
def test_absurd_shapes_are_refused(value: str, tmp_path: Path) -> None:
    class Tensor:
        def __reduce__(self) -> tuple[object, ...]:
            shape = eval(value)  # noqa: S307  a literal above
            strides = (0,) * (len(shape) if isinstance(shape, tuple) else 1)
            storage = torch.zeros(4).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            rebuild = torch._utils._rebuild_tensor_v2
            return (rebuild, (typed, 0, shape, strides, False, {}))

    torch.save({"w": Tensor()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError):
        open_checkpoint(tmp_path / "a.pt")
