"""What forms are measured on: drawn ids, ids of a file, or a text as the directory's own tokenizer cuts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tokenizers import Tokenizer

from ckpt2hf.api import Level, Request, Writing, convert
from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.run.stage_tokens import Calibration

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Bu gün hava yaxşıdır. The cow eats grass, and the sun is warm.\n" * 40


@pytest.fixture(scope="module")
def mini(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained example with its tokenizer."""
    out = tmp_path_factory.mktemp("tokens") / "mini"
    source = repository / "examples" / "az-mini" / "az_llm_mini_final.pt"
    facts = ("attention_scale=head_dim**-0.5",)
    convert(Request(source=source, dialect="az-course", facts=facts), Writing(out=out, level=Level.BYTES))
    return out


def test_drawn_ids_are_the_same_every_time(tmp_path: Path) -> None:
    one, other = (Calibration(None, None, None).tokens(tmp_path, 70, 32) for _ in range(2))
    assert np.array_equal(one.ids, other.ids)
    assert one.about == other.about
    assert one.ids.shape == (32, 33)
    assert (one.ids.min(), one.ids.max()) == (0, 69)
    assert not one.real


@pytest.mark.filterwarnings("ignore")
def test_a_text_is_cut_by_the_tokenizer_of_the_directory(mini: Path, tmp_path: Path) -> None:
    path = tmp_path / "heldout.txt"
    path.write_text(TEXT, encoding="utf-8")
    vocab = Tokenizer.from_file(str(mini / "tokenizer.json")).get_vocab_size()
    found = Calibration(path, None, None).tokens(mini, vocab, 64)
    wanted = Tokenizer.from_file(str(mini / "tokenizer.json")).encode(TEXT, add_special_tokens=False).ids
    assert found.ids.tolist() == [wanted]
    assert (found.about.kind, found.about.name, found.about.tokens) == ("text", "heldout.txt", len(wanted))
    assert found.real
    assert Calibration(path, None, 50).tokens(mini, vocab, 64).ids.tolist() == [wanted[:51]]


def test_ids_outside_the_vocabulary_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([1, 2, 70]))
    with pytest.raises(UsageError, match="outside the vocabulary of 70"):
        Calibration(tmp_path / "ids.npy", None, None).tokens(tmp_path, 70, 32)
    with pytest.raises(NotFoundError) as caught:
        Calibration(tmp_path / "none.txt", None, None).tokens(tmp_path, 70, 32)
    assert "--calibration FILE" in caught.value.remedies
