"""What tests of every kind of tokenizer file ask: the same ids and the same text, also after transformers read it."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt2hf.tokenizers import PROBES, TokenizerSource, encoded, fitted, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
LOADS = Path(__file__).resolve().parent / "tokenizing_loads.py"


@cache
def training_text(paragraphs: int = 300) -> tuple[str, ...]:
    """Lines to train a tokenizer on: the example's text, and a little of everything."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from example_text import paragraphs as endless  # noqa: PLC0415 - scripts are not on the path otherwise
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    texts = [*itertools.islice(endless(1), paragraphs), *list(PROBES.values())[2:12], PROBES["code"]]
    return tuple(line for text in texts for line in text.splitlines() if line.strip())


def of(letters: str, count: int = 300, longest: int = 24) -> list[str]:
    """Texts of what a tokenizer of this kind may stumble over."""
    rng = random.Random(0)  # noqa: S311 - no secret
    return ["".join(rng.choices(letters, k=rng.randint(1, longest))) for _ in range(count)]


def differences(source: TokenizerSource, more: Iterable[str] = ()) -> Iterator[str]:
    """Texts whose ids, or the text of whose ids, are not those of the original; a text that both refuse is none."""
    for probe in (*PROBES.values(), *more):
        expected = encoded(source.original, probe)
        found = ids(source.product, probe)
        if found != expected:
            yield f"{probe!r}: {expected} became {found}"
        elif expected is not None and decoded(source.product, expected) != source.original.decode(expected):
            yield f"{expected}: {source.original.decode(expected)!r} became {decoded(source.product, expected)!r}"


def ids(product: Any, probe: str) -> list[int] | None:
    """The ids by the tokenizers library; None for a text that it refuses."""
    try:
        found: list[int] = product.encode(probe).ids
    except Exception:  # noqa: BLE001 - the library raises nothing narrower
        return None
    return found


def decoded(product: Any, numbers: list[int]) -> str:
    found: str = product.decode(numbers, skip_special_tokens=False)
    return found


def sequences(source: TokenizerSource, count: int = 200) -> Iterator[list[int]]:
    """Sequences of ids of the original, at random."""
    rng = random.Random(0)  # noqa: S311 - no secret
    known = sorted(number for token, number in source.vocabulary.items() if not token.startswith("unused "))
    for _ in range(count):
        yield rng.choices(known, k=rng.randint(0, 8))


def write(source: TokenizerSource, folder: Path, model_type: str) -> None:
    """The directory that transformers reads, without weights, and beside it the ids that it should find."""
    rows = max(source.vocabulary.values()) + 1
    tokenizer = fitted(source, rows=rows, context=64, said={}, ids={})
    folder.mkdir(parents=True)
    for name, table in {**tables(tokenizer), "config.json": {"model_type": model_type}}.items():
        (folder / name).write_text(json.dumps(table), encoding="utf-8")
    expected = []
    for probe in PROBES.values():
        numbers = encoded(source.original, probe)
        expected.append([probe, numbers, None if numbers is None else source.original.decode(numbers)])
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


def failures(python: Path | str, folders: Iterable[Path]) -> list[str]:
    """What AutoTokenizer gets wrong, in the transformers of some environment."""
    ran = subprocess.run(
        [str(python), str(LOADS), *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return list(json.loads(ran.stdout))
