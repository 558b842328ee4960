"""The commands that add other forms of the model to converted directories."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ckpt2hf.cli import options as o  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.console import ERR, OUT, show_error, show_json
from ckpt2hf.cli.form_options import FormWords, with_forms
from ckpt2hf.errors import Ckpt2hfError, UsageError

if TYPE_CHECKING:
    from ckpt2hf.api import Command

Directories = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR...",
        help="Converted or other Hugging Face directories, or folders of converted ones.",
        show_default=False,
    ),
]


@with_forms
def export(
    directories: Directories,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="FORM,...", help="onnx, onnx-fp16, gguf-f32, gguf-f16, gguf-bf16.")
    ] = "onnx",
    words: FormWords,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Add ONNX and GGUF files to converted directories, each proved or measured first.

    float32 has to give PyTorch's logits; what it costs to have less is measured on the same tokens.
    """
    from ckpt2hf.api import Command

    _Work(directories, Command.EXPORT, to, words, as_json=as_json, quiet=quiet).do()


@with_forms
def quantize(
    directories: Directories,
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
    """Add quantized ONNX and GGUF files to converted directories, each with its measured price.

    They are made from the float32 file of their kind, which is exported and proved first where it is not there.
    """
    from ckpt2hf.api import Command

    _Work(directories, Command.QUANTIZE, to, words, as_json=as_json, quiet=quiet).do()


class _Work:
    """What is asked of each directory."""

    def __init__(
        self, places: list[Path], command: Command, to: str, words: FormWords, *, as_json: bool, quiet: bool
    ) -> None:
        self._places, self._command, self._to, self._words = places, command, to, words
        self._as_json, self._quiet = as_json, quiet

    def do(self) -> None:
        """Makes the forms and shows them. Exits with 1 where one was rejected, or, of several directories, refused."""
        from ckpt2hf.api import converted_in

        directories = list(dict.fromkeys(directory for place in self._places for directory in converted_in(place)))
        if len(directories) > 1:
            self._each(directories)
            return
        tree, whole = self._made(directories[0])
        if self._as_json:
            show_json(tree)
        if not whole:
            raise typer.Exit(1)

    def _made(self, directory: Path) -> tuple[Any, bool]:
        """What became of the forms of a directory, as JSON, and whether it has them all. Raises Ckpt2hfError."""
        from ckpt2hf.api import make_forms
        from ckpt2hf.cli.progress import shown
        from ckpt2hf.cli.show_forms import show_forms
        from ckpt2hf.report import plain_tree

        with shown(quiet=self._quiet or self._as_json) as progress:
            forms = make_forms(self._words.asked(directory, self._command, self._to), progress)
        if not self._as_json:
            show_forms(forms, directory, quiet=self._quiet)
        return plain_tree(forms), not any(form.problems for form in forms)

    def _each(self, directories: list[Path]) -> None:
        """Goes on where a directory is refused, and says at the end which were."""
        if self._words.given["log"] is not None:
            raise UsageError("--log names one file, and there are several directories")
        trees: list[dict[str, Any]] = []
        short: list[Path] = []
        for number, directory in enumerate(directories, 1):
            self._say(Text(f"{directory}  ({number} of {len(directories)})", "bold cyan"))
            tree, whole = self._tried(directory)
            trees.append({"directory": str(directory), **tree})
            short += [] if whole else [directory]
            self._say(Text())
        if self._as_json:
            show_json(trees)
        count = f"{len(directories) - len(short)} of {len(directories)}"
        self._say(Text(f"{count} directories have what was asked for", "bold"))
        if short:
            ERR.print(Text(f"not {', '.join(map(str, short))}", "bold red"))
            raise typer.Exit(1)

    def _tried(self, directory: Path) -> tuple[dict[str, Any], bool]:
        """The same of one among several, whose error is shown here."""
        from ckpt2hf.report import plain_tree, reason_of

        try:
            tree, whole = self._made(directory)
        except Ckpt2hfError as error:
            if not self._as_json:
                show_error(error, self._words_about(directory))
            return {"error": plain_tree(reason_of(error))}, False
        return {"forms": tree}, whole

    def _words_about(self, directory: Path) -> list[str]:
        """The command about one directory alone, as far as a remedy repeats it."""
        places = {str(place) for place in self._places}
        words = [word for word in sys.argv[1:] if word not in places]
        return [words[0], str(directory), *words[1:]]

    def _say(self, line: Text) -> None:
        if not (self._as_json or self._quiet):
            OUT.print(line)
