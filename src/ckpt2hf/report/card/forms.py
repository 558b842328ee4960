"""What a card says about other forms of the model, where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.report.card.markdown import bullets, code, prose, table
from ckpt2hf.report.modelfile import with_text
from ckpt2hf.report.wording import counted, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.stages import PriceReport, StageReport

_HEADS = ("file", "what", "size", "bits per weight", "mean KL", "99th percentile", "same top token", "with cache")
_READERS = {
    "onnx": "ONNX files for onnxruntime, optimum and Transformers.js",
    "gguf": "GGUF files for llama.cpp and Ollama",
}
_COMMANDS = """
In this directory, with llama.cpp's programs, with llama-cpp-python, and with Ollama:

```sh
llama-completion -m {file} -no-cnv -p "Once upon a time"
llama-server -m {file}
python -m llama_cpp.server --model {file} --n_ctx 0
ollama create my-gpt -f gguf/Modelfile && ollama run my-gpt "Once upon a time"
```
"""
_MEASURED = "each measured against float32 before it was added."
_TOKENS = {
    "drawn": "token ids drawn from the vocabulary, the same every time: text is kinder to most models",
    "ids": "token ids of a file",
    "text": "a text",
}


def forms(stages: Sequence[StageReport]) -> str:
    """The section; empty where there are none."""
    if not stages:
        return ""
    readers = [said for family, said in _READERS.items() if any(each.id.startswith(family) for each in stages)]
    parts = [
        "## Other forms\n",
        f"{', and '.join(readers)}, {_MEASURED}\n",
        table(_HEADS, map(_row, stages)),
        bullets(_notes(stages)),
        *(_COMMANDS.format(file=each.files[0].name) for each in with_text(stages)[:1]),
    ]
    return "\n".join(parts)


def _row(stage: StageReport) -> tuple[str, ...]:
    whole = size(sum(file.bytes for file in stage.files))
    begin = (code(stage.files[0].name), prose(stage.title), whole, f"{stage.bits_per_weight:.2f}")
    return (*begin, *_price(stage.price))


def _price(price: PriceReport | None) -> tuple[str, ...]:
    if price is None:
        return ("the same logits", "", "", "")
    return (f"{price.mean_kl:.1e}", f"{price.p99_kl:.1e}", f"{price.top1:.2%}", f"{price.cache_top1:.2%}")


def _notes(stages: Sequence[StageReport]) -> Iterator[str]:
    for stage in stages:
        tokens = stage.tokens
        name = f" {code(tokens.name)}" if tokens.name else ""
        said = f"{code(stage.id)}: measured on {counted(tokens.tokens, 'token')}, {_TOKENS[tokens.kind]}{name}"
        if stage.price is not None and stage.price.ppl_ratio is not None:
            said += f"; perplexity {stage.price.ppl_ratio:.4f} times that of float32"
        if stage.kept:
            said += f"; {counted(len(stage.kept), 'tensor')} with more bits, named in `conversion.json`"
        yield said
    yield (
        "KL is the divergence from float32 in nats per token. The last column is how often a file has the same most "
        "likely token when it reads a text at once and token by token: int8 rounds what it computes on the way."
    )
