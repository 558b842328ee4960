"""The files of a tokenizer, as transformers reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt2hf.tokenizers.fit import Tokenizer

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIALS = "special_tokens_map.json"


def tables(tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """What each file holds, by its name.

    `model_input_names` leaves out `token_type_ids`: transformers gives them to a model unasked, and GPT-2 adds the
    embedding of those ids to every token. `clean_up_tokenization_spaces` would take spaces out of a decoded text.
    """
    specials = {f"{special.role}_token": special.token for special in tokenizer.specials}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.context,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": not tokenizer.source.specials_in_text,
        **specials,
    }
    return {TOKENIZER: json.loads(tokenizer.source.product.to_str()), CONFIG: config, SPECIALS: specials}
