"""From a stage and what came of it to its report."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ckpt2hf import __version__
from ckpt2hf.report.parts import CheckReport, FileReport
from ckpt2hf.report.stages import KeptReport, PriceReport, StageReport, TokensReport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckpt2hf.stages import Made, Stage


def stage_report(
    stage: Stage, made: Made, tokens: TokensReport, folder: Path, made_from: str, notes: Iterable[str]
) -> StageReport:
    """The report of a form whose files are in this folder."""
    return StageReport(
        id=stage.id,
        title=stage.title,
        made_from=made_from,
        files=tuple(FileReport(f"{stage.family}/{name}", (folder / name).stat().st_size) for name in made.files),
        settings=dict(made.settings),
        versions={"ckpt2hf": __version__, **made.versions},
        tokens=tokens,
        checks=tuple(CheckReport(each.name, each.passed, each.summary, dict(each.numbers)) for each in made.checks),
        price=PriceReport(**asdict(made.price)) if made.price else None,
        bits_per_weight=made.use.bits_per_weight,
        matrix_bits=made.use.matrix_bits,
        kept=tuple(KeptReport(name, why) for name, why in made.use.kept),
        notes=(*stage.notes, *made.notes, *notes),
    )
