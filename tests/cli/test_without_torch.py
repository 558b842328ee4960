"""Everything but the proof of the logits works where torch and transformers are absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Python runs this module at start; both packages are then as good as not installed.
ABSENT = """
import importlib.util, sys

names = {"torch", "transformers"}
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in names else find_spec(name, package)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def bare(cli: Callable, tmp_path: Path) -> Callable:
    """Runs `ckpt2hf` where neither torch nor transformers can be imported."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(ABSENT, encoding="utf-8")
    return lambda *words: cli(*words, PYTHONPATH=str(tmp_path / "absent"))


def test_looking_needs_neither(bare: Callable, mini: Path, decided: tuple) -> None:
    assert bare("inspect", mini).code == 0
    assert bare("inspect", mini, "--draft", "mine.toml").code == 0
    assert bare("plan", mini, *decided).code == 0
    assert bare("dialects").code == 0


def test_converting_with_proved_bytes_needs_neither(bare: Callable, mini: Path, decided: tuple) -> None:
    assert bare("convert", mini, "-o", "out", *decided, "--verify", "bytes").code == 0
    assert bare("verify", "out", "--against", mini, "--level", "bytes").code == 0


def test_the_proof_of_the_logits_says_what_to_install(
    bare: Callable, mini: Path, tmp_path: Path, decided: tuple
) -> None:
    done = bare("convert", mini, "-o", "out", *decided)
    assert (done.code, done.out) == (1, "")
    assert "needs torch and transformers" in done.err
    assert "pip install 'ckpt2hf[verify]'" in done.err
    assert "--verify bytes" in done.err
    assert not (tmp_path / "out").exists()


def test_using_the_model_says_what_to_install(bare: Callable, finished: Path) -> None:
    for words in (("generate", finished, "--ids", "5"), ("eval", finished, "--tokens", "ids.npy")):
        done = bare(*words)
        assert (done.code, done.out) == (2, "")
        assert f"error[usage]: {words[0]} needs torch and transformers" in done.err
        assert "pip install 'ckpt2hf[verify]'" in done.err


def test_a_bug_of_ours_is_exit_70(cli: Callable, mini: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import ckpt2hf.checkpoints.opening as o\n"
        "def broken(*args, **kwargs): raise ZeroDivisionError('on purpose')\n"
        "o.open_checkpoint = broken\n"
        "import ckpt2hf.checkpoints\n"
        "ckpt2hf.checkpoints.open_checkpoint = broken\n",
        encoding="utf-8",
    )
    done = cli("inspect", mini, PYTHONPATH=str(tmp_path / "broken"))
    assert (done.code, done.out) == (70, "")
    assert done.err.startswith("error[bug]: ckpt2hf failed in a way it should not have")
    assert "ZeroDivisionError: on purpose" in done.err
    assert "report this" in done.err
