"""Containers at work under every restriction at once, as somebody the image has never heard of."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from image.engine import IMAGE, Caller, docker
from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.image, pytest.mark.usefixtures("image")]

# Instead of the command: the same, but any attempt to reach something by network ends it.
NO_NETWORK = """
import sys
def look(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        print("network:", event, arguments, file=sys.stderr, flush=True)
        __import__("os")._exit(99)
sys.addaudithook(look)
from ckpt2hf.cli import main
main()
"""


def said(name: str) -> list[str]:
    """What a person who trained a golden model types."""
    flags = FLAGS[name]
    dialect = ["--dialect", flags["dialect"]] if "dialect" in flags else []
    return [*dialect, *(word for fact in flags.get("facts", ()) for word in ("--set", fact))]


def written(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("name", ["az50_v2", "mingpt", "nanogpt_bias"])
def test_a_golden_checkpoint_is_proved_and_belongs_to_the_caller(
    caller: Caller, golden_in: Callable[[str], str], name: str
) -> None:
    done = caller.run("convert", golden_in(name), "-o", "/out/model", *said(name))
    assert done.code == 0, done.text
    assert "(level logits)" in done.out
    report = json.loads((caller.out / "model" / "conversion.json").read_text(encoding="utf-8"))
    assert report["verdict"]["proved"]
    assert [path.name for path in caller.out.iterdir()] == ["model"]
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in written(caller.out)}
    assert owners == {(caller.uid, caller.gid)}


def test_it_writes_only_to_what_it_was_given(
    caller: Caller, golden_in: Callable[[str], str], container: Callable[..., str]
) -> None:
    """Without --read-only, which would hide an attempt: nothing in the container's own file system is different."""
    flags = [flag for flag in caller.flags if flag != "--read-only"]
    name = container(flags, "convert", golden_in("az50_v2"), "-o", "/out/model", *said("az50_v2"))
    assert docker("wait", name).out == "0\n", docker("logs", name).text
    assert docker("diff", name).out == ""


def test_nothing_is_tried_by_network(caller: Caller, golden_in: Callable[[str], str]) -> None:
    """Even where the variables that forbid it are gone."""
    online = [f"--env={name}=0" for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")]
    words = ["-c", NO_NETWORK, "convert", golden_in("nanogpt_bias"), "-o", "/out/model", *said("nanogpt_bias")]
    done = docker("run", "--rm", *caller.flags, *online, "--entrypoint=python", IMAGE, *words, check=False)
    assert done.code == 0, done.text


def test_the_network_is_watched(caller: Caller) -> None:
    code = NO_NETWORK.replace("from ckpt2hf.cli import main\nmain()", "__import__('socket').getaddrinfo('a', 1)")
    done = docker("run", "--rm", *caller.flags, "--entrypoint=python", IMAGE, "-c", code, check=False)
    assert done.code == 99
    assert "network: socket.getaddrinfo" in done.err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--help"], 0, "Exit codes"),
        (["--version"], 0, "ckpt2hf "),
        (["dialects"], 0, "az-course"),
        (["convert", "/in/nowhere.pt", "-o", "/out/model"], 2, "error[not-found]"),
        (["convert", "/in/az50_v2.pt", "-o", "/out/model"], 2, "error[facts]"),
        (["convert", "/in/text.pt", "-o", "/out/model"], 1, "error[checkpoint]"),
        (["--wrong"], 2, "No such option"),
    ],
)
def test_exit_codes_pass_through(
    caller: Caller, golden_in: Callable[[str], str], words: list[str], code: int, text: str
) -> None:
    golden_in("az50_v2")
    (caller.source / "text.pt").write_text("step 2000: loss 1.37\n" * 50, encoding="utf-8")
    done = caller.run(*words)
    assert (done.code, text in done.text, "Traceback" in done.text) == (code, True, False), done.text
    assert written(caller.out) == []


def test_it_starts_at_once(caller: Caller) -> None:
    """With its bytecode at hand; the limit leaves room for a busy machine, and none for compiling torch."""
    begin = time.monotonic()
    assert caller.run("convert", "--help").code == 0
    assert time.monotonic() - begin < 10


def test_an_output_it_may_not_write_is_said_so(caller: Caller, golden_in: Callable[[str], str]) -> None:
    if os.geteuid() == 0:
        os.chown(caller.out, 0, 0)
    caller.out.chmod(0o555)
    done = caller.run("convert", golden_in("az50_v2"), "-o", "/out/model", *said("az50_v2"))
    assert done.code in {1, 2}, done.text
    assert "error[" in done.err
    assert "Traceback" not in done.text


@pytest.mark.slow
def test_sigterm_ends_it_in_time_and_leaves_nothing(
    caller: Caller, large_in: str, container: Callable[..., str]
) -> None:
    words = ["convert", large_in, "-o", "/out/model", "--set", "activation=gelu", "--verify", "bytes"]
    name = container(caller.flags, *words)
    deadline = time.monotonic() + 120
    while not any(path.is_file() for path in written(caller.out)):
        assert time.monotonic() < deadline, docker("logs", name).text
        time.sleep(0.05)
    begin = time.monotonic()
    docker("stop", "-t=60", name)
    assert time.monotonic() - begin < 30
    assert docker("inspect", "--format={{.State.ExitCode}} {{.State.OOMKilled}}", name).out == "143 false\n"
    assert "nothing was left half-written" in docker("logs", name).err
    assert written(caller.out) == []
