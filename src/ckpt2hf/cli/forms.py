"""The commands that add other forms of the model to a converted directory."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt2hf.cli import options as o  # noqa: TC001 - typer reads the annotations
from ckpt2hf.cli.console import show_json
from ckpt2hf.cli.directories import Directory  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from ckpt2hf.api import Command


class PresetName(enum.StrEnum):
    """The processors that int8 can be made for."""

    AVX2 = "avx2"
    AVX512_VNNI = "avx512_vnni"
    ARM64 = "arm64"


Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="Measure on this: text in UTF-8, or token ids as .bin, .npy or .pt; else on ids that are drawn.",
        show_default=False,
    ),
]
CalibrationDType = Annotated[
    str | None,
    typer.Option(
        "--calibration-dtype", metavar="TYPE", help="What a .bin holds: uint16 or uint32.", show_default=False
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", metavar="N", help="Measure on N tokens at most, from the beginning; 4096.", show_default=False
    ),
]
MaxKl = Annotated[
    float | None,
    typer.Option(
        "--max-kl",
        metavar="NATS",
        help="Reject a form whose mean KL divergence from float32 is larger.",
        show_default=False,
    ),
]
MinTop1 = Annotated[
    float | None,
    typer.Option(
        "--min-top1",
        metavar="SHARE",
        help="Reject a form that has float32's most likely token at a smaller share of positions, such as 0.98.",
        show_default=False,
    ),
]
MaxPplRatio = Annotated[
    float | None,
    typer.Option(
        "--max-ppl-ratio",
        metavar="RATIO",
        help="Reject a form whose perplexity is more than RATIO times float32's, such as 1.05.",
        show_default=False,
    ),
]
KeepRejected = Annotated[bool, typer.Option("--keep-rejected", help="Keep a rejected form in DIR.rejected.")]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Where to keep what the libraries say; else DIR.export.log or DIR.quantize.log.",
        show_default=False,
    ),
]


def export(
    directory: Directory,
    *,
    to: Annotated[str, typer.Option("--to", metavar="FORM,...", help="onnx, onnx-fp16.")] = "onnx",
    calibration: Calibration = None,
    calibration_dtype: CalibrationDType = None,
    max_tokens: MaxTokens = None,
    max_kl: MaxKl = None,
    min_top1: MinTop1 = None,
    max_ppl_ratio: MaxPplRatio = None,
    keep_rejected: KeepRejected = False,
    log: Log = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Add ONNX files to a converted directory, each proved or measured first.

    float32 has to give PyTorch's logits, also with past key values and in batches with padding, and its greedy text.
    """
    from ckpt2hf.api import Command

    gates = (max_kl, min_top1, max_ppl_ratio)
    sample = (calibration, calibration_dtype, max_tokens)
    _make(Command.EXPORT, directory, to, sample, gates, None, log, keep=keep_rejected, as_json=as_json, quiet=quiet)


def quantize(
    directory: Directory,
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORM,...", help="onnx-q8, onnx-int8, onnx-uint8, onnx-q4, onnx-q4f16.", show_default=False
        ),
    ],
    cpu: Annotated[
        PresetName | None,
        typer.Option(
            "--cpu",
            metavar="avx2|avx512_vnni|arm64",
            help="The processor that int8 is for; this one.",
            show_default=False,
        ),
    ] = None,
    calibration: Calibration = None,
    calibration_dtype: CalibrationDType = None,
    max_tokens: MaxTokens = None,
    max_kl: MaxKl = None,
    min_top1: MinTop1 = None,
    max_ppl_ratio: MaxPplRatio = None,
    keep_rejected: KeepRejected = False,
    log: Log = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Add int8 and int4 ONNX files to a converted directory, each with its measured price.

    They are made from the float32 ONNX file, which is exported and proved first where it is not there.
    """
    from ckpt2hf.api import Command

    gates = (max_kl, min_top1, max_ppl_ratio)
    sample = (calibration, calibration_dtype, max_tokens)
    preset = cpu.value if cpu else None
    _make(Command.QUANTIZE, directory, to, sample, gates, preset, log, keep=keep_rejected, as_json=as_json, quiet=quiet)


def _make(
    command: Command,
    directory: Path,
    to: str,
    sample: tuple[Path | None, str | None, int | None],
    gates: tuple[float | None, float | None, float | None],
    preset: str | None,
    log: Path | None,
    *,
    keep: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from ckpt2hf.api import FormsRequest, Gates, make_forms
    from ckpt2hf.cli.progress import shown
    from ckpt2hf.cli.show_forms import show_forms
    from ckpt2hf.report import plain_tree

    calibration, dtype, max_tokens = sample
    max_kl, min_top1, max_ppl_ratio = gates
    asked = FormsRequest(
        directory=directory,
        command=command,
        forms=tuple(part for part in to.split(",") if part.strip()),
        calibration=calibration,
        calibration_dtype=dtype,
        max_tokens=max_tokens,
        preset=preset,
        gates=Gates(max_kl=max_kl, min_top1=min_top1, max_ppl_ratio=max_ppl_ratio),
        keep_rejected=keep,
        log=log,
    )
    with shown(quiet=quiet or as_json) as progress:
        forms = make_forms(asked, progress)
    if as_json:
        show_json(plain_tree(forms))
    else:
        show_forms(forms, directory, quiet=quiet)
    if any(form.problems for form in forms):
        raise typer.Exit(1)
