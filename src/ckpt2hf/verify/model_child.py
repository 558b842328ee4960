"""Run by another interpreter: loads a directory's model and answers with its logits until nobody asks any more."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np

from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.model_elsewhere import receive, send

_NOTHING = np.empty(0, np.float32)


def main(directory: Path) -> None:
    """Answer on what was the standard output; whatever a library prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        model = HuggingFaceModel(directory, config["architectures"][0])
        about = {name: getattr(model, name) for name in ("hf_class", "context", "vocab", "heads")}
        send(answers, {**about, "ends": sorted(model.ends)}, _NOTHING)
        while True:
            how, ids = receive(sys.stdin.buffer)
            found = model.logits(ids) if how["what"] == "logits" else model.following(ids, anew=how["anew"])
            send(answers, {}, found)
    except Ckpt2hfError as error:
        send(answers, {"failed": error.what, "details": error.details}, _NOTHING)


if __name__ == "__main__":
    with contextlib.suppress(EOFError, BrokenPipeError):  # the other side has what it wanted
        main(Path(sys.argv[1]))
