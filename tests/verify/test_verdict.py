"""A verdict is proved when something was checked and all of it held."""

from __future__ import annotations

from ckpt2hf.verify.verdict import Check, Verdict


def test_proved_means_checked_and_held() -> None:
    good, bad = Check("a", True, "held", {"max_abs": 0.0}), Check("b", False, "did not")
    assert Verdict("bytes", (good,)).proved
    assert not Verdict("bytes", (good, bad)).proved
    assert not Verdict("bytes", ()).proved
