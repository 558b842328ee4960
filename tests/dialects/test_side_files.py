"""Facts and marks in settings files of any name, written `params.json: n_heads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from ckpt2hf.api import dialect, open_checkpoint
from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.dialects.fit import fit
from ckpt2hf.dialects.schema import FactSource, Mark

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def raw(models: Any, saved: Any) -> Path:
    return saved(models.loud(models.Fused()).state_dict())


@pytest.mark.parametrize(
    ("file", "text", "side"),
    [
        ("config.json", '{"model": {"n_heads": 3}}', "model.n_heads"),
        ("config.json", '{"model": {"n_heads": 3}}', "config.json: model.n_heads"),
        ("params.json", '{"model": {"n_heads": 3}}', "params.json: model.n_heads"),
        ("params.json", '{"model": {"n_heads": 3}}', "params.json:model.n_heads"),
        ("model_config.yaml", "model:\n  n_heads: 3\n", "model_config.yaml: model.n_heads"),
    ],
)
def test_a_fact_in_a_settings_file(file: str, text: str, side: str, raw: Path) -> None:
    source = FactSource(side=side)
    assert Evidence(open_checkpoint(raw), ()).find("heads", source, lambda _: None) is None
    (raw.parent / file).write_text(text, encoding="utf-8")
    found = Evidence(open_checkpoint(raw), ()).find("heads", source, lambda _: None)
    assert found == Fact("heads", 3, Origin.SIDE_FILE, f"{file}: model.n_heads")


def test_a_mark_in_a_settings_file(raw: Path) -> None:
    known = dialect("nanogpt")
    layout = known.layout[0]
    mark = Mark(side="params.json: n_heads")
    marked = layout.model_copy(update={"signature": layout.signature.model_copy(update={"marks": (mark,)})})
    assert fit(known, marked, open_checkpoint(raw)).mark is None
    (raw.parent / "params.json").write_text('{"n_heads": 3}', encoding="utf-8")
    assert fit(known, marked, open_checkpoint(raw)).mark == "params.json: n_heads is there"


def test_a_mark_is_one_thing() -> None:
    with pytest.raises(ValidationError, match="exactly one of meta, side, record, tensor"):
        Mark(side="params.json: dim", meta="config")
