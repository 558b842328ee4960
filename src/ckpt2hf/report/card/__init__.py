"""The model card of a converted directory, `README.md`."""

from ckpt2hf.report.card.front import Derived, front_matter, words_of_card
from ckpt2hf.report.card.loading import loading_code, loading_notes
from ckpt2hf.report.card.page import model_card
from ckpt2hf.report.card.tokenizer import tokenizer_section
from ckpt2hf.report.card.words import CardWords, License, languages_of, license_of, model_name_of

__all__ = [
    "CardWords",
    "Derived",
    "License",
    "front_matter",
    "languages_of",
    "license_of",
    "loading_code",
    "loading_notes",
    "model_card",
    "model_name_of",
    "tokenizer_section",
    "words_of_card",
]
