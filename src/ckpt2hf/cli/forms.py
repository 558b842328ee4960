"""The commands that add other forms of the model to a converted directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ckpt2hf.cli import options as o  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.console import show_json
from ckpt2hf.cli.directories import Directory  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.form_options import FormWords, with_forms

if TYPE_CHECKING:
    from ckpt2hf.api import FormsRequest


@with_forms
def export(
    directory: Directory,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="FORM,...", help="onnx, onnx-fp16, gguf-f32, gguf-f16, gguf-bf16.")
    ] = "onnx",
    words: FormWords,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Add ONNX and GGUF files to a converted directory, each proved or measured first.

    float32 has to give PyTorch's logits; what it costs to have less is measured on the same tokens.
    """
    from ckpt2hf.api import Command

    _make(words.asked(directory, Command.EXPORT, to), as_json=as_json, quiet=quiet)


@with_forms
def quantize(
    directory: Directory,
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORM,...",
            help="onnx-q8, onnx-int8, onnx-uint8, onnx-q4, onnx-q4f16, gguf-q8_0, gguf-q6_k, gguf-q5_k_m, gguf-q4_k_m, "
            "gguf-q4_0.",
            show_default=False,
        ),
    ],
    words: FormWords,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Add quantized ONNX and GGUF files to a converted directory, each with its measured price.

    They are made from the float32 file of their kind, which is exported and proved first where it is not there.
    """
    from ckpt2hf.api import Command

    _make(words.asked(directory, Command.QUANTIZE, to), as_json=as_json, quiet=quiet)


def _make(asked: FormsRequest, *, as_json: bool, quiet: bool) -> None:
    """Makes the forms and shows them. Exits with 1 where any was rejected."""
    from ckpt2hf.api import make_forms
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_forms import show_forms
    from ckpt2hf.report import plain_tree

    with shown(quiet=quiet or as_json) as progress:
        forms = make_forms(asked, progress)
    if as_json:
        show_json(plain_tree(forms))
    else:
        show_forms(forms, asked.directory, quiet=quiet)
    if any(form.problems for form in forms):
        raise typer.Exit(1)
