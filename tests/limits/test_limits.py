"""The memory and the processors that control groups leave, in made-up trees of both versions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ckpt2hf import limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GIB, MIB = 1 << 30, 1 << 20
NO_LIMIT_V1 = "9223372036854771712"
MACHINE = {"proc/meminfo": "MemTotal:  16777216 kB\nMemFree: 1024 kB\nMemAvailable:  8388608 kB\n"}


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def v2(path: str, **limits_of: str) -> dict[str, str]:
    """A version 2 hierarchy: the limit of each group, by its path with `_` for `/`."""
    files = {
        f"sys/fs/cgroup/{where.strip('_').replace('_', '/')}/memory.max": text for where, text in limits_of.items()
    }
    return {"proc/self/cgroup": f"0::{path}\n", **MACHINE, **files}


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    assert limits.memory(tmp_path) is None
    assert limits.processors(tmp_path) == len(os.sched_getaffinity(0))
    assert limits.own_memory(tmp_path) == 0


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert limits.memory(tree(tmp_path, MACHINE)) == limits.Memory(8 * GIB, 16 * GIB, "the machine")


def test_the_smallest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = v2("/pod/app", _=str(6 * GIB), _pod=str(2 * GIB), _pod_app="max", _other=str(MIB))
    assert limits.memory(tree(tmp_path, files)) == limits.Memory(2 * GIB, 2 * GIB, "the container")


def test_a_limit_above_what_the_machine_has_changes_nothing(tmp_path: Path) -> None:
    assert limits.memory(tree(tmp_path, v2("/", _=str(64 * GIB)))) == limits.Memory(8 * GIB, 16 * GIB, "the machine")


def test_what_is_in_use_and_stays_is_taken_off(tmp_path: Path) -> None:
    files = v2("/", _=str(GIB)) | {
        "sys/fs/cgroup/memory.stat": f"anon {300 * MIB}\nfile {600 * MIB}\nkernel_stack {MIB}\nslab_reclaimable 5\n"
        f"slab_unreclaimable {2 * MIB}\nunevictable {MIB}\n"
    }
    made = limits.memory(tree(tmp_path, files))
    assert made == limits.Memory(GIB - 304 * MIB, GIB, "the container")


def test_more_in_use_than_is_allowed_leaves_nothing(tmp_path: Path) -> None:
    files = v2("/", _=str(MIB)) | {"sys/fs/cgroup/memory.stat": f"anon {2 * MIB}\n"}
    assert limits.memory(tree(tmp_path, files)) == limits.Memory(0, MIB, "the container")


def test_the_mark_at_which_it_is_slowed_down_counts_as_a_limit(tmp_path: Path) -> None:
    files = v2("/", _=str(4 * GIB)) | {"sys/fs/cgroup/memory.high": str(GIB)}
    assert limits.memory(tree(tmp_path, files)) == limits.Memory(GIB, GIB, "the container")


@pytest.mark.parametrize("path", ["/", "/../../host/path", "/docker/0123456789abcdef"])
def test_inside_a_container_the_mount_is_our_group(tmp_path: Path, path: str) -> None:
    """The path in /proc is the host's there, or points out of the namespace."""
    assert limits.memory(tree(tmp_path, v2(path, _=str(GIB)))) == limits.Memory(GIB, GIB, "the container")
    one = {
        "proc/self/cgroup": f"11:memory:{path}\n4:cpu,cpuacct:{path}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(512 * MIB),
    }
    assert limits.memory(tree(tmp_path / "v1", one)) == limits.Memory(512 * MIB, 512 * MIB, "the container")


def test_version_1_says_no_limit_with_a_number(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "5:memory:/a/b\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1}
    assert limits.memory(tree(tmp_path, files)) is None
    assert limits.memory(tree(tmp_path, MACHINE)) == limits.Memory(8 * GIB, 16 * GIB, "the machine")
    nested = {
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(GIB),
        "sys/fs/cgroup/memory/a/memory.stat": f"rss 1\ntotal_rss {100 * MIB}\ntotal_cache {GIB}\ntotal_unevictable 0\n",
        "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": NO_LIMIT_V1,
    }
    assert limits.memory(tree(tmp_path, nested)) == limits.Memory(GIB - 100 * MIB, GIB, "the container")


def test_both_versions_at_once(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "3:memory:/a\n1:name=systemd:/\n0::/user.slice\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(3 * GIB),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
        **MACHINE,
    }
    assert limits.memory(tree(tmp_path, files)) == limits.Memory(3 * GIB, 3 * GIB, "the container")


def test_version_2_beside_version_1_is_mounted_elsewhere(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "1:name=systemd:/\n0::/job\n",
        "sys/fs/cgroup/unified/job/memory.max": str(GIB),
        "sys/fs/cgroup/unified/job/cpu.max": "100000 100000",
    }
    assert limits.memory(tree(tmp_path, files)) == limits.Memory(GIB, GIB, "the container")
    assert limits.processors(tmp_path) == 1


GARBAGE = ["", "\n", "max", "many", "-1", "1 2", "\x00\ufffd", "1e9", "²", "٣", "0x10"]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_no_limit(tmp_path: Path, text: str) -> None:
    where = "sys/fs/cgroup"
    files = {
        "proc/self/cgroup": f"0::/a\n{text}\n:::\n4:memory:/\n3:cpu:/\n",
        f"{where}/a/memory.max": text,
        f"{where}/a/memory.stat": f"{text} {text}\n{text}\nanon\n",
        f"{where}/a/cpu.max": text,
        f"{where}/memory/memory.limit_in_bytes": text,
        f"{where}/cpu/cpu.cfs_quota_us": text,
        f"{where}/cpu/cpu.cfs_period_us": text,
        "proc/meminfo": f"MemAvailable: {text} kB\n{text}: 3\n",
    }
    made = limits.memory(tree(tmp_path, files))
    assert made is None or made.nbytes <= 2048
    assert limits.processors(tmp_path) >= 1


@pytest.mark.parametrize(
    ("text", "count"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("5 0", 64)],
)
def test_processors_are_the_share_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    files = {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": text, "sys/fs/cgroup/cpu.max": "900000 10000"}
    assert limits.processors(tree(tmp_path, files)) == count
    quota, period = text.split()
    one = {
        "proc/self/cgroup": "7:cpu,cpuacct:/a\n",
        "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": quota.replace("max", "-1"),
        "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": period,
    }
    assert limits.processors(tree(tmp_path / "v1", one)) == count


def test_version_1_mounted_under_the_names_of_two_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    files = {
        "proc/self/cgroup": "7:cpu,cpuacct:/a\n",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
    }
    assert limits.processors(tree(tmp_path, files)) == 3


def test_this_machine_has_memory_and_processors() -> None:
    made = limits.memory()
    assert made is not None
    assert 0 < made.nbytes <= made.limit
    assert limits.processors() >= 1
    assert limits.own_memory() > MIB
