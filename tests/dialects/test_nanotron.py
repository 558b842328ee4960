"""nanotron's settings decide: what they do not say is asked, and what no class computes is refused by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError, UnsupportedError
from dialects.llama_cases import CASES, nanotron_config, oracle

if TYPE_CHECKING:
    from pathlib import Path

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "layers without RoPE": ({"no_rope_layer": 2}, "no_rope_layer is set"),
    "windows": ({"sliding_window_size": 8}, "sliding_window_size is set"),
    "stretched positions": ({"rope_seq_len_interpolation_factor": 2.0}, "positions are divided"),
    "another number of layers": ({"num_hidden_layers": 3}, "num_hidden_layers"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_other_settings_are_refused_by_name(setting: str, tmp_path: Path) -> None:
    change, reason = REFUSED[setting]
    case = replace(CASES["nanotron"], beside=nanotron_config(rope_interleaved=True, **change))
    with pytest.raises((UnsupportedError, FactsError), match=reason):
        plan(Request(source=case.write(tmp_path / "run", oracle("nanotron"))))


def test_how_it_turns_and_the_scale_of_mup_are_asked_where_nothing_says(tmp_path: Path, proved: Any) -> None:
    """`rope_interleaved` was not written at first; with muP scores are divided by the width of a head."""
    settings = nanotron_config()
    settings["config.yaml"]["model"]["init_method"] = {"use_mup": True}
    model = oracle("nanotron", scale=0.125)
    path = replace(CASES["nanotron"], beside=settings).write(tmp_path / "run", model)
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    for fact in ("rope_layout=pairs", "rope_layout=halves", "'attention_scale=head_dim**-0.5'"):
        assert f"--set {fact}" in str(refused.value)
    proved(path, model, facts=("rope_layout=pairs", "attention_scale=0.125"))
