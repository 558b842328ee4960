"""The commands that use a converted directory: a first look at what it writes, and how well it predicts."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ckpt2hf.cli import options as o  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.console import ERR, show_json
from ckpt2hf.errors import UsageError
from ckpt2hf.remote import path_or_url

STDIN = "-"
"""The prompt that means: read it from the standard input."""

Directory = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A converted directory.", show_default=False, parser=path_or_url),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="The result alone.")]


def generate(
    directory: Directory,
    prompts: Annotated[
        list[str],
        typer.Argument(metavar="PROMPT...", help="Texts to continue; `-` for the standard input.", show_default=False),
    ],
    *,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", metavar="N", min=1, help="Tokens to generate, at most.")
    ] = 100,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            help="Draw each token, from logits divided by this. Without it, --top-k and --top-p: always the likeliest.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="K", help="Draw among the K likeliest.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="P",
            help="Draw among the fewest tokens that have this share of the probability.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            help="What the drawing begins with: the same, the same text. Else 0.",
            show_default=False,
        ),
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Prompts are token ids ('5 17 3'), and ids are printed.")] = False,
    python_5x: o.Python5x = None,
    as_json: o.Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a converted model continue a text, for a first look. Ends where the model ends it, or its context is full."""
    from ckpt2hf.api import Sampling, Speech, speaker
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_speech import say, show_note, show_stop, spoken_json

    drawn = any(value is not None for value in (temperature, top_k, top_p))
    if seed is not None and not drawn:
        raise UsageError(
            "--seed is for text that is drawn, and the likeliest token is no matter of chance",
            remedies=["--temperature 0.8", "leave out --seed"],
        )
    speech = Speech(
        directory=directory,
        prompts=_prompts(prompts),
        as_ids=ids,
        most=max_new_tokens,
        sampling=Sampling(temperature if temperature is not None else float(drawn), top_k, top_p, seed or 0),
        python_5x=python_5x,
    )
    with ExitStack() as open_model:
        with shown(quiet=quiet or as_json) as progress:
            ready = open_model.enter_context(speaker(speech, progress))
        done = []
        for k, prompt in enumerate(ready.prompts):
            if not quiet:
                show_note(prompt)
            if as_json:
                done.append(ready.speak(prompt))
                continue
            say(prompt.text if k == 0 else f"\n{prompt.text}")
            done.append(ready.speak(prompt, say))
            say("\n")
            if not quiet:
                show_stop(done[-1], ready.model.context)
    if as_json:
        show_json([spoken_json(spoken) for spoken in done])


def _prompts(words: list[str]) -> tuple[str, ...]:
    """The prompts, with the standard input in the place of `-`. Raises UsageError."""
    if words.count(STDIN) > 1:
        raise UsageError("the standard input is one prompt, and '-' stands there twice")
    return tuple(_read_input() if word == STDIN else word for word in words)


def _read_input() -> str:
    """The text of the standard input, without the end of its last line. Raises UsageError."""
    if sys.stdin.isatty():
        ERR.print("ckpt2hf: type the prompt, then Enter and Ctrl-D", markup=False)
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UsageError("the standard input is not text in UTF-8", details=[str(error)]) from error


def evaluate(
    directory: Directory,
    *,
    text: Annotated[
        Path | None,
        typer.Option(
            "--text",
            metavar="FILE",
            help="Held-out text in UTF-8, encoded in one piece by the tokenizer of the directory.",
            show_default=False,
            parser=path_or_url,
        ),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE",
            help="Held-out token ids in a .bin, .npy or .pt; rows of a matrix are separate stretches of text.",
            show_default=False,
            parser=path_or_url,
        ),
    ] = None,
    tokens_dtype: Annotated[
        str | None,
        typer.Option("--tokens-dtype", metavar="TYPE", help="What a .bin holds: uint16 or uint32.", show_default=False),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            metavar="N",
            help="Tokens that a window shows the model; else as many as it was trained on.",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            "--stride",
            metavar="N",
            help="How many tokens after the last one a window begins; else the context, so that none overlap. A "
            "shorter one shows each token more of what came before it, for more time.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", help="Predict N tokens at most, from the beginning.", show_default=False
        ),
    ] = None,
    python_5x: o.Python5x = None,
    as_json: o.Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how well a converted model predicts held-out text: loss in nats per token, perplexity, bits per byte.

    The text is cut into windows of the trained context; the tokens of a window predict the one after each of them. So
    every token but the first of a stretch is predicted exactly once, from those before it in its window. Nothing is put
    before a text. Numbers can be compared where text, tokenizer, context and stride are the same.
    """
    from ckpt2hf.api import Evaluation, evaluate
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_evaluation import show_evaluation

    asked = Evaluation(
        directory=directory,
        text=text,
        tokens=tokens,
        tokens_dtype=tokens_dtype,
        context=context,
        stride=stride,
        max_tokens=max_tokens,
        python_5x=python_5x,
    )
    with shown(quiet=quiet or as_json, tokens=True) as progress:
        found = evaluate(asked, progress)
    if as_json:
        show_json(found.as_json())
    else:
        show_evaluation(found)
