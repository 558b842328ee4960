"""Where a batch runs is said in a word; nobody pays for Ray who does not ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ckpt2hf.batch import executors
from ckpt2hf.errors import UsageError


@pytest.mark.parametrize("text", ["Ray", "ray:", "ray://", "ray://host", "ray://host:x", "ray://h:1/", "dask", ""])
def test_near_misses_are_refused_with_what_is_meant(text: str) -> None:
    with pytest.raises(UsageError, match="--executor does not know") as refused:
        executors.executor(text, 0)
    assert any("ray://HOST:10001" in remedy for remedy in refused.value.remedies)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _name: None)
    assert executors.executor("local", 0) is None
    with pytest.raises(UsageError, match="not installed") as refused:
        executors.executor("ray", 0)
    assert refused.value.remedies == ("pip install 'ckpt2hf[ray]'",)


def test_nobody_imports_ray_who_does_not_ask_for_it() -> None:
    code = "import sys, ckpt2hf.batch, ckpt2hf.batch.executors; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
