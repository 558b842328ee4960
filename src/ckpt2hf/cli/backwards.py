"""`convert` and `plan` with `--to-dialect`: a Hugging Face directory becomes a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.cli.console import show_json
from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.api import BackRequest, BackWriting


def request(
    source: Path,
    dialect: str | None,
    layout: str | None,
    facts: list[str] | None,
    others: Mapping[str, object],
) -> BackRequest | None:
    """What is asked for, if it is this direction. `others` are options of the other one. Raises UsageError."""
    from ckpt2hf.api import BackRequest  # noqa: PLC0415 - `--help` must not pay for it

    if dialect is None:
        if layout is not None:
            raise UsageError("--to-layout needs --to-dialect")
        return None
    if given := [option for option, value in others.items() if value]:
        raise UsageError(
            f"{given[0]} is about reading a checkpoint, and --to-dialect makes one",
            remedies=[f"leave out {' and '.join(given)}"],
        )
    return BackRequest(source=source, dialect=dialect, layout=layout, facts=tuple(facts or ()))


def convert(asked: BackRequest, writing: BackWriting, *, as_json: bool, quiet: bool) -> bool:
    """Converts, shows the outcome, and says whether it is proved."""
    from ckpt2hf.api import convert_back  # noqa: PLC0415
    from ckpt2hf.cli.progress import shown  # noqa: PLC0415
    from ckpt2hf.cli.show_backwards import show_back_report  # noqa: PLC0415

    with shown(quiet=quiet or as_json) as progress:
        report = convert_back(asked, writing, progress)
    if as_json:
        show_json(report.as_json())
    else:
        show_back_report(report, quiet=quiet)
    return report.verdict.proved


def plan(asked: BackRequest, *, as_json: bool) -> None:
    """Shows what would be written."""
    from ckpt2hf.api import plan_back  # noqa: PLC0415
    from ckpt2hf.cli.show_backwards import back_plan_json, show_back_plan  # noqa: PLC0415

    made = plan_back(asked)
    if as_json:
        show_json(back_plan_json(made))
    else:
        show_back_plan(made)
