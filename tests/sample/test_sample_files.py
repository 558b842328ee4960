"""Every file a sample can be in gives the same windows; every file it cannot be in is refused with advice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from ckpt2hf.errors import Ckpt2hfError, NotFoundError, TokenizerError, UsageError
from ckpt2hf.remote import path_or_url
from ckpt2hf.run.sample_windows import LEAST, LONGEST, MOST, SHORTEST, Sample, cut, read_windows
from ckpt2hf.tokenizers import AskedTokenizer
from ckpt2hf.verify.weigh import LEAST_WINDOWS
from support import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable

VOCAB = 768
SMALL = replace(SPEC, vocab=VOCAB, context=64)


@pytest.fixture
def ids() -> Any:
    return np.random.default_rng(0).integers(0, VOCAB, 5000)


def windows(path: Path, spec: Any = SMALL, **said: Any) -> Any:
    return read_windows(Sample(path, **said), spec, path.parent).ids


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    "16.bin": lambda path, ids: ids.astype("<u2").tofile(path),
    "32.bin": lambda path, ids: ids.astype("<u4").tofile(path),
    "u16.npy": lambda path, ids: np.save(path, ids.astype(np.uint16)),
    "i64.npy": lambda path, ids: np.save(path, ids.astype(np.int64)),
    "big-endian.npy": lambda path, ids: np.save(path, ids.astype(">i4")),
    "column.npy": lambda path, ids: np.save(path, ids[:, None]),
    "one-row.npy": lambda path, ids: np.save(path, ids[None]),
    "short-rows.npy": lambda path, ids: np.save(path, ids.reshape(-1, 10)),
    "i64.pt": lambda path, ids: torch.save(torch.from_numpy(ids), path),
    "i16.pth": lambda path, ids: torch.save(torch.from_numpy(ids.astype(np.int16)), path),
    "dict.pt": lambda path, ids: torch.save({"ids": torch.from_numpy(ids), "loss": torch.ones(3)}, path),
    "list.pt": lambda path, ids: torch.save([torch.from_numpy(ids)], path),
    "old.pt": lambda path, ids: torch.save(torch.from_numpy(ids), path, _use_new_zipfile_serialization=False),
    "strided.pt": lambda path, ids: torch.save(torch.from_numpy(np.repeat(ids, 2))[::2], path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_holds_the_same_ids(name: str, ids: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", ids)
    WRITERS[name](tmp_path / name, ids)
    assert np.array_equal(windows(tmp_path / name), windows(tmp_path / "plain.npy"))


def test_text_is_read_with_the_tokenizer_beside_the_checkpoint(example: Path, trained: Any, tmp_path: Path) -> None:
    text = trained.text.read_text(encoding="utf-8")
    expected = Tokenizer.from_file(str(example / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    np.save(tmp_path / "ids.npy", expected)
    made = read_windows(Sample(trained.text), SMALL, example)
    assert np.array_equal(made.ids, windows(tmp_path / "ids.npy"))
    assert made.tokenizer == example / "tokenizer.json"
    assert made.tokens == len(expected)


def test_a_tokenizer_that_would_cut_or_pad_is_told_not_to(example: Path, trained: Any, tmp_path: Path) -> None:
    cutting = Tokenizer.from_file(str(example / "tokenizer.json"))
    cutting.enable_truncation(8)
    cutting.enable_padding(length=8)
    cutting.save(str(tmp_path / "cutting.json"))
    told = read_windows(Sample(trained.text, AskedTokenizer(path=tmp_path / "cutting.json")), SMALL, tmp_path)
    assert np.array_equal(told.ids, read_windows(Sample(trained.text), SMALL, example).ids)


def test_a_long_text_is_read_from_its_beginning(example: Path, trained: Any, tmp_path: Path) -> None:
    text = trained.text.read_text(encoding="utf-8")
    long = "\u0259" + text * (
        2 + (1 << 20) // len(text.encode())
    )  # the limit falls inside a letter of two bytes or not
    (tmp_path / "long.txt").write_text(long, encoding="utf-8")
    made = read_windows(Sample(tmp_path / "long.txt"), SMALL, example)
    assert len(made.ids) == MOST
    assert made.tokens < len(long)


# --- windows


def test_windows_are_apart_and_spread_over_the_sample() -> None:
    spec = replace(SMALL, context=1000)
    made = cut(np.arange(100_000)[None], spec, "here")
    assert made.shape == (MOST, LONGEST + 1)
    starts = made[:, 0]
    assert (np.diff(starts) >= LONGEST + 1).all()
    assert (starts[0], starts[-1]) == (0, (100_000 // (LONGEST + 1) - 1) * (LONGEST + 1))
    assert (made == starts[:, None] + np.arange(LONGEST + 1)).all()


def test_windows_do_not_cross_the_edge_of_a_row() -> None:
    rows = np.arange(40)[:, None] * 1000 + np.arange(50)
    made = cut(rows, replace(SMALL, context=20, vocab=10**6), "here")
    assert made.shape == (80, 21)
    assert (made[:, 0] // 1000 == made[:, -1] // 1000).all()


def test_a_small_sample_is_cut_into_shorter_windows() -> None:
    made = cut(np.arange(1000)[None], replace(SMALL, context=512, vocab=10**6), "here")
    assert len(made) >= 32
    assert made.shape[1] > SHORTEST


def test_a_window_fits_the_context() -> None:
    assert cut(np.arange(1000)[None], replace(SMALL, context=8, vocab=10**6), "here").shape[1] == 9


def test_a_large_model_is_asked_about_fewer_and_shorter_windows() -> None:
    large = replace(SMALL, context=256, vocab=50_000, layers=48, d_model=1600, heads=25, head_dim=64, d_ff=6400)
    assert cut(np.zeros((1, 10**6), np.int64), large, "here").shape == (32, LEAST + 1)


@pytest.mark.parametrize("tokens", [1, 16, LEAST_WINDOWS * (SHORTEST + 1) - 1])
def test_a_sample_that_is_too_short_says_how_much_is_needed(tokens: int, tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.zeros(tokens, np.int64))
    with pytest.raises(UsageError, match=f"too short: {tokens} tokens, and at least 272"):
        windows(tmp_path / "ids.npy")


# --- .bin


def test_uint32_of_a_large_vocabulary(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 150_000, 5000)
    ids.astype("<u4").tofile(tmp_path / "ids.bin")
    np.save(tmp_path / "ids.npy", ids)
    spec = replace(SMALL, vocab=150_000)
    assert np.array_equal(windows(tmp_path / "ids.bin", spec), windows(tmp_path / "ids.npy", spec))


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_a_bin_that_could_be_both_is_asked_about(dtype: str, tmp_path: Path) -> None:
    np.zeros(4000, "<u2").tofile(tmp_path / "ids.bin")
    with pytest.raises(UsageError, match="could be uint16 or uint32") as caught:
        windows(tmp_path / "ids.bin")
    assert caught.value.remedies == ("--sample-dtype uint16", "--sample-dtype uint32")
    assert not windows(tmp_path / "ids.bin", dtype=dtype).any()


def test_a_bin_of_other_ids_says_so(tmp_path: Path) -> None:
    np.full(4000, 50256, "<u2").tofile(tmp_path / "ids.bin")
    with pytest.raises(UsageError, match="neither uint16 nor uint32 ids below 768"):
        windows(tmp_path / "ids.bin")
    with pytest.raises(UsageError, match="token id 50256"):
        windows(tmp_path / "ids.bin", dtype="uint16")


# --- what is no sample


def refused(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


BAD: dict[str, bytes] = {
    "odd.bin": b"\0\0\0",
    "empty.bin": b"",
    "cut.npy": b"\x93NUMPY\x01\x00",
    "empty.npy": b"",
    "text.npy": b"these are words",
    "empty.txt": b"",
    "latin.txt": "\u0259 caf\xe9".encode("utf-16"),
    "binary.dat": b"\x80\x81\x82" * 100,
    "nul.txt": b"a\0b" * 100,
    "junk.pt": b"junk" * 100,
    "empty.pt": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_sample_is_refused(name: str, example: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_windows(Sample(refused(tmp_path, name, BAD[name])), SMALL, example)
    assert caught.value.where


ARRAYS: dict[str, Any] = {
    "float.npy": np.zeros(1000),
    "bool.npy": np.zeros(1000, bool),
    "cube.npy": np.zeros((10, 10, 10), np.int64),
    "scalar.npy": np.int64(3),
    "none.npy": np.zeros(0, np.int64),
    "objects.npy": np.array([{}], object),
    "negative.npy": np.full(1000, -1),
    "outside.npy": np.full(1000, VOCAB),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_no_token_ids_is_refused(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / name, ARRAYS[name])
    with pytest.raises(UsageError):
        windows(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [torch.zeros(1000), {"a": torch.zeros(9, dtype=torch.int64), "b": torch.zeros(9, dtype=torch.int64)}, {}, [1, 2]],
    ids=["float", "two", "nothing", "numbers"],
)
def test_a_pt_without_one_tensor_of_integers_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "ids.pt")
    with pytest.raises(UsageError, match="tensors of integers, not one"):
        windows(tmp_path / "ids.pt")


def test_a_hostile_pt_runs_nothing(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.write_text, (tmp_path / "ran", "it ran"))

    torch.save({"x": Hostile()}, tmp_path / "ids.pt")
    with pytest.raises(Ckpt2hfError):
        windows(tmp_path / "ids.pt")
    assert not (tmp_path / "ran").exists()


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    for name in ("gone.bin", "gone.npy", "gone.pt", "gone.txt"):
        with pytest.raises(NotFoundError):
            windows(tmp_path / name)
    with pytest.raises(NotFoundError):
        windows(tmp_path)


def test_text_without_a_tokenizer_says_how_to_name_one(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none lies beside the checkpoint") as caught:
        read_windows(Sample(trained.text), SMALL, tmp_path)
    assert any("--tokenizer" in remedy for remedy in caught.value.remedies)
    with pytest.raises(NotFoundError):
        read_windows(Sample(trained.text, AskedTokenizer(path=tmp_path / "gone.json")), SMALL, tmp_path)


@pytest.mark.parametrize("content", ["{", "{}", "[1]", json.dumps({"model": {"type": "BPE"}}), "\udcff"])
def test_a_broken_tokenizer_is_refused(content: str, trained: Any, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is (no tokenizer|not text)"):
        read_windows(Sample(trained.text), SMALL, tmp_path)


def test_the_tokenizer_of_a_larger_vocabulary_is_noticed(example: Path, trained: Any) -> None:
    with pytest.raises(UsageError, match="outside the vocabulary of 100") as caught:
        read_windows(Sample(trained.text), replace(SMALL, vocab=100), example)
    assert "tokenizer.json" in str(caught.value.tried)


def test_words_that_do_not_belong_together_are_refused(trained: Any, tmp_path: Path) -> None:
    np.zeros(1000, "<u2").tofile(tmp_path / "ids.bin")
    with pytest.raises(UsageError, match=r"about \.bin files only"):
        read_windows(Sample(trained.text, dtype="uint16"), SMALL, tmp_path)
    with pytest.raises(UsageError, match="takes uint16 or uint32, not int8"):
        read_windows(Sample(tmp_path / "ids.bin", dtype="int8"), SMALL, tmp_path)
    with pytest.raises(UsageError, match="takes a local file"):
        read_windows(Sample(path_or_url("s3://bucket/ids.bin")), SMALL, tmp_path)
