"""The words of the command line, shared by the commands."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ckpt2hf.errors import UsageError
from ckpt2hf.remote import path_or_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import AskedTokenizer, CardWords, DType, Request, WeightFormat

G = TypeVar("G")
T = TypeVar("T")


class LevelName(enum.StrEnum):
    """How much is proved."""

    STRUCTURE = "structure"
    BYTES = "bytes"
    LOGITS = "logits"


class AllowName(enum.StrEnum):
    """What is not done unless it is allowed."""

    NUMERICALLY_EQUAL = "numerically-equal"


Source = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="The checkpoint: a file, or a directory that holds one; also a URL such as s3://bucket/run/ckpt.pt. With "
        "--to-dialect, a Hugging Face directory.",
        show_default=False,
        parser=path_or_url,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="The directory to make; also a URL such as s3://bucket/models/mini. With --to-dialect, the file.",
        show_default=False,
        parser=path_or_url,
    ),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        metavar="DIR",
        help="Where to keep what is fetched from a URL or made for one; else where TMPDIR says.",
        show_default=False,
    ),
]
DialectName = Annotated[
    str | None,
    typer.Option(
        "--dialect",
        metavar="ID|FILE",
        help="Whose code saved it (see `ckpt2hf dialects`), or a dialect file of your own: ./mine.toml.",
        show_default=False,
    ),
]
ToDialect = Annotated[
    str | None,
    typer.Option(
        "--to-dialect",
        metavar="ID|FILE",
        help="The other way: a Hugging Face directory becomes a checkpoint that this codebase loads.",
        show_default=False,
    ),
]
ToLayout = Annotated[
    str | None,
    typer.Option(
        "--to-layout",
        metavar="TEXT",
        help="Which generation of that codebase, by part of its title, where several could load it.",
        show_default=False,
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="With --to-dialect: write the report there.", show_default=False),
]
Facts = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A fact the file does not show, e.g. heads=12. Repeatable."),
]
Draft = Annotated[
    Path | None,
    typer.Option(
        "--draft",
        metavar="FILE.toml",
        help="Write a first dialect file for names that no dialect knows.",
        show_default=False,
    ),
]
WeightsKey = Annotated[
    str | None,
    typer.Option(
        "--weights-key", metavar="KEY", help="Which entry of the file to convert, e.g. ema.", show_default=False
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="FILE.py:CLASS",
        help="Run your own model class and let its logits decide. Executes that file.",
        show_default=False,
    ),
]
ReferenceArgs = Annotated[
    list[str] | None,
    typer.Option("--reference-args", metavar="NAME=VALUE", help="What the class is built with. Repeatable."),
]
Sample = Annotated[
    Path | None,
    typer.Option(
        "--sample",
        metavar="FILE",
        help="Let text decide what the file does not say: UTF-8, or token ids as .bin, .npy or .pt.",
        show_default=False,
    ),
]
SampleDType = Annotated[
    str | None,
    typer.Option(
        "--sample-dtype", metavar="TYPE", help="What a .bin sample holds: uint16 or uint32.", show_default=False
    ),
]
DTypeName = Annotated[
    str | None,
    typer.Option("--dtype", metavar="TYPE", help="Round every weight: float32, bfloat16, float16.", show_default=False),
]
Python5x = Annotated[
    Path | None,
    typer.Option(
        "--python-5x",
        metavar="PATH",
        envvar="CKPT2HF_PYTHON_5X",
        help="An interpreter with transformers 5, for the classes that only it has.",
        show_default=False,
    ),
]
Allow = Annotated[
    list[AllowName] | None,
    typer.Option("--allow", help="What is not exact, but nearly: a final norm in a class that has none. Repeatable."),
]
License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="ID|NAME=LINK",
        help="For the model card: a license id of the Hugging Face Hub, or name and address of another one.",
        show_default=False,
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", metavar="CODE", help="For the model card: what it was trained on, e.g. az. Repeatable."),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model-name", metavar="NAME", help="For the model card: what it is called.", show_default=False),
]
LevelOption = Annotated[LevelName, typer.Option("--verify", help="How much is proved before anything is left behind.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="Threads that copy and compare; 0 means one per core, at most 4.")
]


def request(
    source: Path,
    dialect: str | None,
    facts: list[str] | None,
    weights_key: str | None,
    *,
    reference: tuple[str | None, list[str] | None] = (None, None),
    dtype: str | None = None,
    sample: tuple[Path | None, str | None] = (None, None),
    allow: list[AllowName] | None = None,
    tokenizer: AskedTokenizer | None = None,
) -> Request:
    """What the user asks for. Raises UsageError."""
    from ckpt2hf.api import AskedTokenizer, Request
    from ckpt2hf.run import units

    code, args = reference
    if args and not code:
        raise UsageError("--reference-args needs --reference")
    text, kind = sample
    if code and text:
        raise UsageError("--reference and --sample both decide what the file does not say", remedies=["one of them"])
    return Request(
        source=source,
        dialect=dialect,
        facts=tuple(facts or ()),
        weights_key=weights_key,
        dtype=_dtype(dtype),
        allow=units.allowed(allow or ()),
        reference=code,
        reference_args=tuple(args or ()),
        sample=text,
        sample_dtype=kind,
        tokenizer=tokenizer or AskedTokenizer(),
    )


def card(license_: str | None, languages: list[str] | None, model_name: str | None) -> CardWords:
    """What is said for the model card. Raises UsageError."""
    from ckpt2hf.report.card import CardWords, languages_of, license_of, model_name_of

    return CardWords(
        license=value("--license", license_of, license_),
        languages=value("--language", languages_of, languages or None),
        model_name=value("--model-name", model_name_of, model_name),
    )


def value(flag: str, parse: Callable[[G], T], given: G | None) -> T | None:
    """What follows a flag; None if nothing does. Raises UsageError."""
    if given is None:
        return None
    try:
        return parse(given)
    except ValueError as error:
        raise UsageError(f"{flag} does not know {given!r}", details=[str(error)]) from error


def _dtype(name: str | None) -> DType | None:
    from ckpt2hf.run import units

    if name is None:
        return None
    try:
        return units.number_type(name)
    except ValueError as error:
        known = ["float32, bfloat16, float16 or float64"]
        raise UsageError(f"--dtype does not know {name!r}", remedies=known) from error


def formats(text: str) -> tuple[WeightFormat, ...]:
    """The weight files of `safetensors,bin`. Raises UsageError."""
    from ckpt2hf.api import WeightFormat

    words = [word.strip() for word in text.split(",") if word.strip()]
    known = {kind.value: kind for kind in WeightFormat}
    if not words or any(word not in known for word in words) or len(set(words)) != len(words):
        raise UsageError(f"--formats does not know {text!r}", remedies=[f"--formats {','.join(known)}"])
    return tuple(kind for kind in WeightFormat if kind.value in words)


def workers(threads: int) -> int:
    """The number of threads; 0 for one per available core, at most 4."""
    return threads or min(len(os.sched_getaffinity(0)), 4)


def byte_count(text: str | None) -> int | None:
    """The bytes of `5GB`, `500MiB` or `1000`. Raises UsageError."""
    from ckpt2hf.run import units

    if text is None:
        return None
    try:
        return units.byte_count(text)
    except ValueError as error:
        raise UsageError(f"--max-shard-size does not know {text!r}", remedies=["--max-shard-size 5GB"]) from error
