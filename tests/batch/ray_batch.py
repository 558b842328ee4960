"""Runs a batch for the tests of the executors, in a process that they can read, signal and look at.

What the observer is told comes out as lines of JSON; the last line is the report, or the error.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import ckpt2hf
from ckpt2hf.batch import Batch, BatchOptions, Gathered, Job
from ckpt2hf.batch.executors import executor
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.report import plain_tree
from ckpt2hf.run import Request, Writing
from ckpt2hf.verify import Level


def say(name: str, what: Any) -> None:
    sys.stdout.write(json.dumps([name, what]) + "\n")
    sys.stdout.flush()


class Teller:
    """An observer that prints."""

    def __getattr__(self, name: str) -> Any:
        def told(*arguments: Any) -> None:
            say(name, plain_tree(list(arguments)))

        return told


def made(said: dict[str, Any], out: Path) -> Job:
    source = Path(said["source"])
    return Job(
        name=said["name"],
        request=Request(source=source, dialect=said.get("dialect"), facts=tuple(said.get("facts", ()))),
        writing=Writing(out=out / said["name"], level=Level(said.get("level", "logits"))),
        nbytes=source.stat().st_size if source.is_file() else 0,
        timeout=said.get("timeout"),
    )


def main() -> None:
    said = json.loads(sys.argv[1])
    out = Path(said["out"])
    ckpt2hf.__version__ = said.get("version", ckpt2hf.__version__)
    jobs = tuple(made(each, out) for each in said["jobs"])
    try:
        batch = Batch(
            gathered=Gathered(jobs=jobs, skipped=(), options=BatchOptions(grace=said.get("grace", 8.0))),
            inputs=["tests"],
            out=out,
            observer=Teller(),  # type: ignore[arg-type]
            executor=executor(said["executor"], said.get("workers", 0)),
        )
        signal.signal(signal.SIGTERM, lambda _number, _frame: batch.stop("SIGTERM"))
        say("report", batch.run().as_json())
    except Ckpt2hfError as error:
        say("error", str(error))


main()
