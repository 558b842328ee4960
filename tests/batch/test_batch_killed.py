"""Kill -9 at random moments, of a batch, of what its jobs are copied from, of a job: the next run makes it all good.

The experiment itself, with what it looks for, is scripts/disturb_batch.py; here it is run for a few moments.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "disturb_batch.py"


KINDS = ("batch", "replacing", "forkserver", "job", "term")


@pytest.mark.slow
def test_after_a_disturbance_nothing_is_missing(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "--count", "2", "--checkpoints", "4", "--work", str(tmp_path), *KINDS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert tuple(name for name, *_ in rows) == KINDS
    for _, moments, met, complaints, *_ in rows:
        assert int(complaints) == 0
        assert int(moments) >= int(met) >= 1


@pytest.mark.slow
def test_the_experiment_finds_what_is_lost(tmp_path: Path) -> None:
    """A batch whose rerun forgets a file would not pass."""
    spoiled = SCRIPT.read_text(encoding="utf-8").replace(
        'tally.complaints += [f"{label}: {each}" for each in found]',
        'found += faults(_spoil(out), sample)\n    tally.complaints += [f"{label}: {each}" for each in found]',
    )
    spoiled = spoiled.replace(
        "def finish(",
        "def _spoil(out: Path) -> Path:\n"
        "    next(out.rglob('conversion.json')).write_text('{}')\n"
        "    (out / 'x.partial-0').mkdir()\n"
        "    return out\n\n\ndef finish(",
    ).replace("Path(__file__).resolve().parent.parent", f"Path({str(SCRIPT.parent.parent)!r})")
    (tmp_path / "spoiled.py").write_text(spoiled, encoding="utf-8")
    words = ["--count", "1", "--checkpoints", "1", "--work", str(tmp_path), "batch"]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "spoiled.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    for word in ("conversion.json differs", "x.partial-0 is left", "is not complete", "the journal says"):
        assert word in done.stdout
