"""A disk that cannot hold a form: refused before the work where that is known, explained where it fills meanwhile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import Level, Request, Writing, convert
from stages.command import COMMAND, contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

KIB = 1 << 10
WEIGHTS = 4 * 600_960
"""Bytes of the example's weights in float32."""
pytestmark = [pytest.mark.slow, pytest.mark.mount, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def mini(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("disk") / "mini"
    source = repository / "examples" / "az-mini" / "az_llm_mini_final.pt"
    facts = ("attention_scale=head_dim**-0.5",)
    convert(Request(source=source, dialect="az-course", facts=facts), Writing(out=out, level=Level.BYTES))
    return out


def with_room(disk: Path, mini: Path, nbytes: int) -> Path:
    """The directory on a disk that has so many bytes left."""
    place = Path(shutil.copytree(mini, disk / "mini"))
    free = shutil.disk_usage(disk).free - nbytes
    (disk / "something").write_bytes(bytes(free))
    return place


@pytest.mark.parametrize("form", ["onnx", "gguf-f32"])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (-200 * KIB, "error[output]: not enough space on the disk"),
        (40 * KIB, "error[output]: the disk was full before {form} was made"),
    ],
)
def test_a_full_disk_is_explained(
    tmpfs: Callable[[str], AbstractContextManager[Path]], mini: Path, form: str, more: int, said: str
) -> None:
    with tmpfs("size=16m") as disk:
        place = with_room(disk, mini, WEIGHTS + more)
        before = contents(place)
        line = [COMMAND, "export", place, "--to", form]
        words = ["--gguf-tokenizer", "none"] if form.startswith("gguf") else []
        done = subprocess.run([*map(str, line), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert said.format(form=form) in done.stderr
        assert "free some space" in done.stderr
        assert "Traceback" not in done.stderr
        assert "File " not in done.stderr
        assert contents(place) == before
        assert not list(disk.glob("*partial*"))
        # With room it is made.
        (disk / "something").unlink()
        done = subprocess.run([*map(str, line), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
