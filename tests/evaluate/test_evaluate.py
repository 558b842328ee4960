"""`evaluate` against transformers in float64 and a plain loop; bytes against the text; every input that is refused."""

from __future__ import annotations

import json
import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.api import Ckpt2hfError, Evaluation, evaluate, path_or_url
from ckpt2hf.errors import NotFoundError, TokenizerError, UsageError, VerificationError
from ckpt2hf.run import held_out
from evaluate.conftest import byte_level, with_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

RECORDED = 1e-6
"""How far a loss in float32 may be from the recorded one, which has six digits."""
STORY = "Bu gün hava soyuq olur və qar yağır. The cow gives milk; it eats grass.\n"


def by_hand(hf: Any, row: list[int], context: int, stride: int) -> list[float]:
    """The loss of each token but the first, in float64."""
    found, predicted, begin = [], 0, 0
    while predicted < len(row) - 1:
        shown = row[begin : begin + context]
        with torch.inference_mode():
            logits = hf(torch.tensor([shown])).logits[0]
        new = [k for k in range(len(shown)) if predicted < begin + k + 1 < len(row)]
        found += [-float(logits[k].log_softmax(-1)[row[begin + k + 1]]) for k in new]
        predicted, begin = begin + len(shown), begin + stride
    return found


def test_the_recorded_loss_of_the_example(mini: Path, example: Path, heldout: NDArray[np.int32]) -> None:
    found = evaluate(Evaluation(directory=mini, tokens=example / "heldout.npy"))
    recorded = json.loads((example / "losses.json").read_text())["heldout"]
    assert found.measured.loss == pytest.approx(recorded, abs=RECORDED)
    assert found.measured.tokens == heldout.shape[0] * 63
    assert (found.hf_class, found.context, found.stride, found.stretches) == ("GPT2LMHeadModel", 64, 64, 128)
    assert found.measured.perplexity == pytest.approx(math.exp(recorded), rel=1e-5)


@pytest.mark.parametrize(("context", "stride"), [(None, None), (64, 16), (10, 3), (1, 1)])
def test_a_long_stretch_is_cut_as_documented(
    context: int | None, stride: int | None, mini: Path, hf: Any, heldout: NDArray[np.int32], tmp_path: Path
) -> None:
    ids = heldout[:3].reshape(-1)
    np.save(tmp_path / "ids.npy", ids)
    asked = Evaluation(directory=mini, tokens=tmp_path / "ids.npy", context=context, stride=stride)
    found = evaluate(asked)
    wanted = by_hand(hf, ids.tolist(), context or 64, stride or 64)
    assert found.measured.tokens == len(wanted) == 191
    assert found.measured.loss == pytest.approx(sum(wanted) / len(wanted), abs=RECORDED)


def test_a_text_is_one_stretch_and_its_bytes_are_those_that_are_predicted(mini: Path, hf: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(STORY * 5, encoding="utf-8")
    found = evaluate(Evaluation(directory=mini, text=tmp_path / "text.txt"))
    from transformers import AutoTokenizer  # noqa: PLC0415

    ids = AutoTokenizer.from_pretrained(mini)(STORY * 5)["input_ids"]
    wanted = by_hand(hf, ids, 64, 64)
    assert found.measured.nats == pytest.approx(sum(wanted), rel=1e-5)
    assert found.measured.nbytes == len((STORY * 5).encode()) - len("Bu")
    assert found.measured.bits_per_byte == pytest.approx(
        sum(wanted) / math.log(2) / (len((STORY * 5).encode()) - 2), rel=1e-5
    )
    assert found.notes == ()


def test_text_and_its_ids_give_the_same_numbers(changed: Path, tmp_path: Path) -> None:
    with_tokenizer(changed, byte_level())
    data = (STORY * 80).encode()
    (tmp_path / "text.txt").write_bytes(data)
    text = evaluate(Evaluation(directory=changed, text=tmp_path / "text.txt"))
    ids = np.array(byte_level().encode(STORY * 80).ids)
    assert len(ids) == len(data)
    ids.astype("<u2").tofile(tmp_path / "ids.bin")
    torch.save(torch.from_numpy(ids), tmp_path / "ids.pt")
    np.save(tmp_path / "ids.npy", ids)
    for name in ("ids.bin", "ids.pt", "ids.npy"):
        dtype = "uint16" if name == "ids.bin" else None
        tokens = evaluate(Evaluation(directory=changed, tokens=tmp_path / name, tokens_dtype=dtype))
        # Characters of two bytes lie on edges between the parts that are decoded, and nothing is counted twice.
        assert tokens.measured.nbytes == text.measured.nbytes == len(data) - 1
        assert tokens.measured.nats == text.measured.nats


def test_bytes_do_not_depend_on_the_parts_that_are_decoded(
    changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tokenizer(changed, byte_level())
    np.save(tmp_path / "ids.npy", np.array(byte_level().encode("ə" * 100 + STORY).ids))
    for size in (1, 2, 3, 7, 4096):
        monkeypatch.setattr(held_out, "_DECODED", size)
        found = evaluate(Evaluation(directory=changed, tokens=tmp_path / "ids.npy"))
        # The first byte of the first letter is not predicted, and counts as the mark that stands for it.
        assert found.measured.nbytes == len(("ə" * 100 + STORY).encode()) - 3


def test_special_tokens_have_no_bytes(mini: Path, example: Path, tmp_path: Path) -> None:
    row = np.load(example / "heldout.npy")[0]
    np.save(tmp_path / "plain.npy", row)
    np.save(tmp_path / "special.npy", np.insert(row, 20, 0))  # [UNK]
    plain, special = (
        evaluate(Evaluation(directory=mini, tokens=tmp_path / f"{name}.npy")).measured for name in ("plain", "special")
    )
    assert special.tokens == plain.tokens + 1
    assert special.nbytes == plain.nbytes


def test_without_a_tokenizer_bytes_are_unknown_and_that_is_said(bare: Path, example: Path) -> None:
    found = evaluate(Evaluation(directory=bare, tokens=example / "heldout.npy", max_tokens=200))
    assert found.measured.nbytes is None
    assert found.measured.bits_per_byte is None
    assert "need a tokenizer" in found.notes[0]
    assert found.as_json()["bits_per_byte"] is None


@pytest.mark.parametrize(
    ("most", "stretches", "tokens"),
    [(1, 1, 1), (62, 1, 62), (63, 1, 63), (64, 1, 63), (126, 2, 126), (10**6, 128, 8064)],
)
def test_max_tokens_takes_the_beginning(most: int, stretches: int, tokens: int, mini: Path, example: Path) -> None:
    found = evaluate(Evaluation(directory=mini, tokens=example / "heldout.npy", max_tokens=most))
    assert (found.stretches, found.measured.tokens) == (stretches, tokens)


@pytest.mark.parametrize("most", [1, 5, 40, 10**6])
def test_max_tokens_of_a_text_is_its_beginning(
    most: int, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "_BYTES_A_TOKEN", 1)  # so that too little is read at first
    text = STORY * 30
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    found = evaluate(Evaluation(directory=mini, text=tmp_path / "text.txt", max_tokens=most))
    from tokenizers import Tokenizer  # noqa: PLC0415

    encoded = Tokenizer.from_file(str(mini / "tokenizer.json")).encode(text)
    last = min(most, len(encoded.ids) - 1)
    assert found.measured.tokens == last
    end = encoded.offsets[last][1] if most < len(encoded.ids) - 1 else len(text)
    assert found.measured.nbytes == len(text[encoded.offsets[0][1] : end].encode())


def test_a_text_that_is_too_long_to_encode_at_once_is_refused_with_a_length_that_works(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "MOST_TEXT", 1000)
    (tmp_path / "text.txt").write_text(STORY * 30, encoding="utf-8")
    asked = Evaluation(directory=mini, text=tmp_path / "text.txt")
    for most in (None, 10**6):
        with pytest.raises(UsageError, match="longer than the") as caught:
            evaluate(Evaluation(directory=mini, text=asked.text, max_tokens=most))
    most = int(caught.value.remedies[0].split()[1])
    assert evaluate(Evaluation(directory=mini, text=asked.text, max_tokens=most)).measured.tokens == most >= 300


def test_unknown_characters_are_told(mini: Path, changed: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Bu gün 日本 hava 日", encoding="utf-8")
    found = evaluate(Evaluation(directory=mini, text=tmp_path / "text.txt"))
    assert len(found.notes) == 1
    assert "tokens are [UNK], for '日', '本'" in found.notes[0]
    settings = json.loads((changed / "tokenizer.json").read_text())
    settings["model"]["unk_token"] = None
    (changed / "tokenizer.json").write_text(json.dumps(settings))
    found = evaluate(Evaluation(directory=changed, text=tmp_path / "text.txt"))
    assert found.notes == ("the tokenizer leaves out '日', '本', so nobody had to predict that",)


def test_the_same_again(mini: Path, example: Path) -> None:
    asked = Evaluation(directory=mini, tokens=example / "heldout.npy", max_tokens=1000)
    assert evaluate(asked).as_json() == evaluate(asked).as_json()


def test_the_bin_file_serves_where_there_is_no_safetensors(changed: Path, example: Path) -> None:
    both = evaluate(Evaluation(directory=changed, tokens=example / "heldout.npy", max_tokens=500))
    (changed / "model.safetensors").unlink()
    alone = evaluate(Evaluation(directory=changed, tokens=example / "heldout.npy", max_tokens=500))
    assert alone.measured.nats == both.measured.nats
    (changed / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match="holds no weights"):
        evaluate(Evaluation(directory=changed, tokens=example / "heldout.npy"))


def break_config(**changes: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        config = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({**config, **changes}))

    return change


BROKEN: dict[str, tuple[Callable[[Path], Any], type[Ckpt2hfError], str]] = {
    "gone": (shutil.rmtree, NotFoundError, "there is no directory"),
    "no config": (lambda d: (d / "config.json").unlink(), UsageError, "is no Hugging Face model"),
    "no JSON": (lambda d: (d / "config.json").write_text("{"), UsageError, "does not say which class"),
    "no class": (break_config(architectures=[]), UsageError, "does not say which class"),
    "own class": (
        break_config(architectures=["MyGPT"], auto_map={"AutoModelForCausalLM": "my.MyGPT"}),
        UsageError,
        "has no class MyGPT",
    ),
    "another model": (break_config(architectures=["BertModel"], model_type="bert"), VerificationError, "does not load"),
    "a layer too many": (break_config(n_layer=5), VerificationError, "does not load as what it says"),
    "cut off": (lambda d: (d / "model.safetensors").write_bytes(b"\0" * 100), VerificationError, "does not load"),
    "no tokenizer": (lambda d: (d / "tokenizer.json").write_text("[]"), TokenizerError, "cannot be loaded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_directories_that_are_no_model(name: str, changed: Path, example: Path) -> None:
    change, kind, what = BROKEN[name]
    change(changed)
    with pytest.raises(kind, match=what) as caught:
        evaluate(Evaluation(directory=changed, tokens=example / "heldout.npy"))
    assert caught.value.remedies


SAYINGS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "eval needs a text"),
    "both": ({"text": "t.txt", "tokens": "t.npy"}, "--text and --tokens both"),
    "gone": ({"tokens": "gone.bin"}, "there is no file"),
    "gone text": ({"text": "gone.txt"}, "there is no file"),
    "type of text": ({"text": "t.txt", "tokens_dtype": "uint16"}, "--tokens-dtype is about .bin files only"),
    "type of npy": ({"tokens": "t.npy", "tokens_dtype": "uint16"}, "--tokens-dtype is about .bin files only"),
    "unknown type": ({"tokens": "t.bin", "tokens_dtype": "int8"}, "--tokens-dtype takes uint16 or uint32"),
    "which type": ({"tokens": "t.bin"}, "could be uint16 or uint32"),
    "no context": ({"tokens": "t.npy", "context": 0}, "--context 0 is not from 1 to 64"),
    "long context": ({"tokens": "t.npy", "context": 65}, "--context 65 is not from 1 to 64"),
    "no stride": ({"tokens": "t.npy", "stride": 0}, "--stride 0 is not from 1"),
    "long stride": ({"tokens": "t.npy", "context": 16, "stride": 17}, "tokens would be left out"),
    "no tokens": ({"tokens": "t.npy", "max_tokens": 0}, "--max-tokens is 1 at least"),
    "one token": ({"tokens": "one.npy"}, "holds 1 tokens"),
    "column": ({"tokens": "column.npy"}, "holds 9 rows of one token each"),
    "empty text": ({"text": "empty.txt"}, "holds 0 tokens"),
    "id above": ({"tokens": "above.npy"}, "has the token id 768, outside the vocabulary of 768"),
    "id below": ({"tokens": "below.npy"}, "has the token id -1"),
    "not UTF-8": ({"text": "t.bin"}, "is not text"),
    "floats": ({"tokens": "float.npy"}, "not a row or rows of token ids"),
    "remote": ({"tokens": "s3://bucket/ids.npy"}, "takes local files"),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_what_cannot_be_measured_is_refused(name: str, mini: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(STORY)
    (tmp_path / "empty.txt").write_text("")
    np.zeros(8, "<u4").tofile(tmp_path / "t.bin")
    np.save(tmp_path / "t.npy", np.arange(80))
    np.save(tmp_path / "one.npy", np.arange(1))
    np.save(tmp_path / "column.npy", np.arange(9)[:, None])
    np.save(tmp_path / "above.npy", np.arange(700, 769))
    np.save(tmp_path / "below.npy", np.arange(-1, 70).reshape(1, -1))
    np.save(tmp_path / "float.npy", np.ones(9))
    words, what = SAYINGS[name]
    said = {
        key: path_or_url(value) if "://" in str(value) else tmp_path / value if key in {"text", "tokens"} else value
        for key, value in words.items()
    }
    with pytest.raises((UsageError, NotFoundError)) as caught:
        evaluate(Evaluation(directory=mini, **said))
    assert what in str(caught.value)


def test_text_without_a_tokenizer_is_refused(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(STORY)
    with pytest.raises(UsageError, match="there is no tokenizer in the directory") as caught:
        evaluate(Evaluation(directory=bare, text=tmp_path / "t.txt"))
    assert any("--tokens" in remedy for remedy in caught.value.remedies)
