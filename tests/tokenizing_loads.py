"""Run in any environment with transformers: what AutoTokenizer gives for directories, against the expected ids.

Prints a JSON list of what differs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer, logging


def wrong(folder: Path) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    loaded = json.loads(tokenizer.backend_tokenizer.to_str())
    # Not the scores of a model, whose last digit is lost in JSON, nor an empty template that may be put in.
    parts = [part for part in ("normalizer", "pre_tokenizer", "decoder") if given[part] != loaded[part]]
    found = [f"{folder.name}: another {part}" for part in parts]
    for probe, expected, text in json.loads((folder / "expected.json").read_text(encoding="utf-8")):
        try:
            ids = tokenizer(probe).input_ids
        except Exception:  # noqa: BLE001 - the library raises nothing narrower
            ids = None
        if ids != expected:
            found.append(f"{folder.name}: {probe!r} became {ids} instead of {expected}")
        elif expected is not None and (back := tokenizer.decode(ids)) != text:
            found.append(f"{folder.name}: {expected} became {back!r} instead of {text!r}")
    if {*tokenizer("a").keys()} != {"input_ids", "attention_mask"}:
        found.append(f"{folder.name}: {sorted(tokenizer('a').keys())}")
    return found


logging.set_verbosity_error()
print(json.dumps([line for name in sys.argv[1:] for line in wrong(Path(name))]))  # noqa: T201 - its answer
