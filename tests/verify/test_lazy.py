"""What needs no torch imports none."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys, ckpt2hf.verify, ckpt2hf.verify.health, ckpt2hf.verify.oracle, ckpt2hf.verify.verdict
sys.exit(bool({"torch", "transformers"} & set(sys.modules)))
"""


def test_importing_the_package_imports_no_torch() -> None:
    assert subprocess.run([sys.executable, "-c", PROBE], check=False).returncode == 0
