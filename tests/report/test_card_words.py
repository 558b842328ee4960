"""What a person says for the card, and the front matter that the Hub's own library reads."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load

from ckpt2hf.report.card import (
    CardWords,
    Derived,
    License,
    front_matter,
    languages_of,
    license_of,
    model_name_of,
    words_of_card,
)
from ckpt2hf.report.card.licenses import LICENSES

if TYPE_CHECKING:
    from pathlib import Path

FULL = CardWords(license=License("mit"), languages=("az", "no", "zh-Hant"), model_name="Əlifba: mini #1 --- \"x\" 'y'")
OTHER = CardWords(license=license_of("my-own-1.0=https://example.org/license?v=1"))
CASES = [CardWords(), FULL, OTHER, CardWords(license=license_of("my-own=LICENSE.md")), CardWords(model_name="1e3")]


def test_the_licenses_are_those_of_the_hub() -> None:
    assert {"apache-2.0", "mit", "cc-by-sa-4.0", "openrail++", "llama2", "unknown"} <= LICENSES
    assert "other" not in LICENSES
    assert license_of(" mit ") == License("mit")


@pytest.mark.parametrize(
    "text",
    ["", "MIT", "apache", "other", "other=LICENSE", "mit=LICENSE", "my own=LICENSE", "a=", "=LICENSE", "a=COPYING",
     "a=javascript:alert(1)", "a=https://user:pw@host/x", "a=https://h/x y", "a=https://h/x\n---"],
)  # fmt: skip
def test_what_the_hub_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"licen[cs]e"):
        license_of(text)


def test_a_near_license_is_named() -> None:
    with pytest.raises(ValueError, match=r"did you mean apache-2\.0"):
        license_of("Apache-2.0")


@pytest.mark.parametrize("code", ["", "AZ", "azerbaijani", "a", "az_AZ", "a\nz", "../x"])
def test_a_language_is_a_code(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 639"):
        languages_of([code])
    assert languages_of(["az", "no", "az", " multilingual"]) == ("az", "no", "multilingual")


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201, "\u202egpj", "a\x1bb"])
def test_a_name_is_one_visible_line(name: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        model_name_of(name)


@pytest.mark.parametrize("words", CASES)
def test_the_front_matter_gives_back_what_was_said(words: CardWords) -> None:
    text = front_matter(words, ["ckpt2hf", "a", "ckpt2hf"]) + "\n# Title\n\n---\nlicense: gpl\n---\n"
    assert words_of_card(text) == words
    assert words_of_card(text.replace("\n", "\r\n")) == words
    read = yaml.safe_load(text.split("---\n")[1]) if "---" not in (words.model_name or "") else None
    assert read is None or read["tags"] == ["ckpt2hf", "a"]


def test_what_nobody_said_is_not_there() -> None:
    assert yaml.safe_load(front_matter(CardWords(), ["x"]).strip("-\n")) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["x"],
    }


def test_the_newer_word_counts_and_the_others_stay() -> None:
    assert CardWords(license=License("mit")).over(FULL) == CardWords(
        license=License("mit"), languages=FULL.languages, model_name=FULL.model_name
    )
    assert CardWords().over(FULL) == FULL
    assert OTHER.over(FULL).license == OTHER.license


@pytest.mark.parametrize(
    "front",
    ["- a", "license: [mit, gpl]", "license: other", "license: other\nlicense_name: A B\nlicense_link: LICENSE",
     "language: {a: b}", "language: [1]", "model_name: 3", "license: !!python/object:os.system x", "a: [", "a: b: c",
     "license: made-up"],
)  # fmt: skip
def test_front_matter_that_cannot_be_kept_is_told(front: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        words_of_card(f"---\n{front}\n---\n")


def test_a_file_without_front_matter_says_nothing() -> None:
    for text in ("", "# Title\n---\nlicense: mit\n---\n", "---\n---\n", "---\nlicense: mit\n"):
        assert words_of_card(text) == CardWords()
    assert words_of_card("\ufeff---\nlanguage: az\n---\n").languages == ("az",)


# --- the Hub's library


def derived() -> str:
    base = Derived(base_model="somebody/az-mini", library="transformers.js")
    return front_matter(FULL, ["onnx"], base)


def test_a_derived_model_names_its_base() -> None:
    data = ModelCard(derived()).data.to_dict()
    assert data["base_model"] == "somebody/az-mini"
    assert data["base_model_relation"] == "quantized"
    assert data["library_name"] == "transformers.js"
    with pytest.raises(ValueError, match="owner/name"):
        Derived(base_model="https://evil.example", library="x")


@pytest.mark.parametrize("words", CASES)
def test_the_library_of_the_hub_reads_it(words: CardWords, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(front_matter(words, ["ckpt2hf"]) + "\n# Title\n", encoding="utf-8")
    said = metadata_load(path)
    assert said is not None
    assert ModelCardData(**said).to_dict() == said
    card = ModelCard.load(path)
    assert card.data.to_dict() == said
    assert card.content == path.read_text(encoding="utf-8").replace("\ufeff", "")
    assert said.get("language") == (list(words.languages) if words.languages else None)
    assert said.get("model_name") == words.model_name


# Written by hand, so that it can be run where nothing of ours is installed.
READ = """
import json, sys
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
said = metadata_load(sys.argv[1])
assert ModelCardData(**said).to_dict() == said
card = ModelCard.load(sys.argv[1])
assert card.data.to_dict() == said and card.text.strip().startswith("# Title"), card.text
print(json.dumps(said))
"""


@pytest.mark.transformers5
def test_the_newer_library_of_the_hub_reads_it_too(
    python_5x: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for words in (FULL, OTHER):
        path = tmp_path / "README.md"
        path.write_text(front_matter(words, ["ckpt2hf"]) + "\n# Title\n", encoding="utf-8")
        done = subprocess.run([str(python_5x), "-c", READ, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == metadata_load(path)
