"""The words of the command line about other forms of a model: how they are made, measured and judged."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ckpt2hf.cli.bundles import bundled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.api import Command, FormsRequest


class PresetName(enum.StrEnum):
    """The processors that int8 can be made for."""

    AVX2 = "avx2"
    AVX512_VNNI = "avx512_vnni"
    ARM64 = "arm64"


class TokenizerName(enum.StrEnum):
    """What tokenizer a GGUF file can have."""

    AUTO = "auto"
    NONE = "none"


class _Given:
    """What the options take. The texts are the help of the command line."""

    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            help="Measure forms on this: text in UTF-8, or token ids as .bin, .npy or .pt; else on ids that are drawn.",
            show_default=False,
        ),
    ]
    calibration_dtype: Annotated[
        str | None,
        typer.Option(
            "--calibration-dtype", metavar="TYPE", help="What a .bin holds: uint16 or uint32.", show_default=False
        ),
    ]
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            help="Measure on N tokens at most, from the beginning; 4096.",
            show_default=False,
        ),
    ]
    cpu: Annotated[
        PresetName | None,
        typer.Option(
            "--cpu",
            metavar="avx2|avx512_vnni|arm64",
            help="The processor that int8 is for; this one.",
            show_default=False,
        ),
    ]
    max_kl: Annotated[
        float | None,
        typer.Option(
            "--max-kl",
            metavar="NATS",
            help="Reject a form whose mean KL divergence from float32 is larger.",
            show_default=False,
        ),
    ]
    min_top1: Annotated[
        float | None,
        typer.Option(
            "--min-top1",
            metavar="SHARE",
            help="Reject a form that has float32's most likely token at a smaller share of positions, such as 0.98.",
            show_default=False,
        ),
    ]
    max_ppl_ratio: Annotated[
        float | None,
        typer.Option(
            "--max-ppl-ratio",
            metavar="RATIO",
            help="Reject a form whose perplexity is more than RATIO times float32's, such as 1.05.",
            show_default=False,
        ),
    ]
    gguf_tokenizer: Annotated[
        TokenizerName | None,
        typer.Option(
            "--gguf-tokenizer",
            metavar="auto|none",
            help="What tokenizer GGUF files get: the directory's, or none, so that they take and give ids only.",
            show_default=False,
        ),
    ]
    imatrix: Annotated[
        str | None,
        typer.Option(
            "--imatrix",
            metavar="FILE|auto",
            help="Let this text, or these ids, say which columns matter to GGUF's quantizer; auto: what follows the "
            "measured tokens of --calibration.",
            show_default=False,
        ),
    ]
    no_fallback: Annotated[
        bool,
        typer.Option("--no-fallback", help="Refuse a GGUF type that does not fit the rows of every matrix."),
    ] = False
    keep_rejected: Annotated[bool, typer.Option("--keep-rejected", help="Keep a rejected form in DIR.rejected.")] = (
        False
    )
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="Keep what the libraries say; DIR.COMMAND.log, after the command.",
            show_default=False,
        ),
    ]


@dataclass(frozen=True, slots=True)
class FormWords:
    """What was given, as it was given: making sense of it imports what takes time."""

    given: Mapping[str, Any]

    def by_option(self) -> dict[str, bool]:
        """Whether each option was given, by its name on the command line."""
        return {
            f"--{name.replace('_', '-')}": value is not None and value is not False
            for name, value in self.given.items()
        }

    def __bool__(self) -> bool:
        return any(self.by_option().values())

    def asked(self, directory: Path, command: Command, to: str) -> FormsRequest:
        """The forms after `--to`, as the options say."""
        from ckpt2hf.api import FormsRequest, Gates

        given = self.given
        return FormsRequest(
            directory=directory,
            command=command,
            forms=tuple(part for part in to.split(",") if part.strip()),
            calibration=given["calibration"],
            calibration_dtype=given["calibration_dtype"],
            max_tokens=given["max_tokens"],
            preset=given["cpu"].value if given["cpu"] else None,
            gates=Gates(**{gate: given[gate] for gate in ("max_kl", "min_top1", "max_ppl_ratio")}),
            tokenizer=given["gguf_tokenizer"] is not TokenizerName.NONE,
            imatrix=given["imatrix"],
            fallback=not given["no_fallback"],
            keep_rejected=given["keep_rejected"],
            log=given["log"],
        )


with_forms = bundled("words", _Given, FormWords)
"""The command with the options about forms; it gets them as `words`."""
