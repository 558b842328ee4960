"""Six gigabytes in a fraction of the memory: proved, or refused before anything is written; never killed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from image.engine import Caller, docker

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.usefixtures("image")]

WORDS = ("-o", "/out/model", "--set", "activation=gelu", "--verify", "bytes", "--quiet")


def ended(caller: Caller, container: Callable[..., str], memory: str, *words: str) -> tuple[int, str]:
    """Exit code and words of a container with so much memory and no swap, in which the kernel killed nothing."""
    name = container([*caller.flags, f"--memory={memory}", f"--memory-swap={memory}"], *words)
    code = int(docker("wait", name).out)
    text = docker("logs", name).text
    killed = docker("inspect", "--format={{.State.OOMKilled}}", name).out.strip()
    assert (killed, code) == ("false", code), text
    assert code != 137, text
    return code, text


def test_a_fraction_of_its_size_is_enough(caller: Caller, large_in: str, container: Callable[..., str]) -> None:
    code, text = ended(caller, container, "768m", "convert", large_in, *WORDS)
    assert code == 0, text
    report = json.loads((caller.out / "model" / "conversion.json").read_text(encoding="utf-8"))
    assert report["verdict"]["proved"]
    assert (caller.out / "model" / "model.safetensors").stat().st_size > 6e9


def test_too_little_is_said_before_anything_is_written(
    caller: Caller, large_in: str, container: Callable[..., str]
) -> None:
    code, text = ended(caller, container, "256m", "convert", large_in, *WORDS)
    if code:
        assert code == 2, text
        assert "error[resources]" in text
        assert list(caller.out.iterdir()) == []
    else:
        assert (caller.out / "model" / "model.safetensors").stat().st_size > 6e9
