"""A finished directory that is about to get other forms of its model, and the new one that has them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError, VerificationError
from ckpt2hf.output import SUMS, alone_in, explained, fill_from, is_partial, sums_text, write_json
from ckpt2hf.report import MODELFILE, model_card, modelfile, read_report
from ckpt2hf.run.card import said_in, sums_of
from ckpt2hf.run.convert import CARD, REPORT
from ckpt2hf.sources import sha256_of
from ckpt2hf.stages import GGUF, STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report import CardWords, Report, StageReport
    from ckpt2hf.stages import Stage


_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """A directory as it was when we came."""

    place: Path
    report: Report
    words: CardWords
    sums: dict[str, str] | None
    digest: str
    """Of its report."""

    def made(self, stage: Stage, *, tokenizer: bool) -> Path | None:
        """The file of an earlier run, if it is still the one that was proved; the first of its parts.

        A GGUF file is no base for another that has to have a tokenizer where it has none, or the reverse.
        """
        before = next((each for each in self.report.stages if each.id == stage.id), None)
        if before is None or not all(self._unchanged(file.name) for file in before.files):
            return None
        wanted = tokenizer and self.report.tokenizer is not None
        if stage.family == GGUF.family and (before.settings["tokenizer"] != "none") != wanted:
            return None
        return (self.place / before.files[0].name).resolve()

    def _unchanged(self, name: str) -> bool:
        path = self.place / name
        return self.sums is not None and path.is_file() and self.sums.get(name) == sha256_of(path)


def finished(place: Path) -> Finished:
    """A directory whose weights are still those of its sums. Raises NotFoundError, UsageError, VerificationError."""
    report = read_report(place / REPORT)
    sums = sums_of(place)
    words = said_in(place, report, sums, force=False)
    for name in (_CONFIG, *(file.name for file in report.files)):
        if sums is not None and not ((place / name).is_file() and sums.get(name) == sha256_of(place / name)):
            raise VerificationError(
                f"{name} is not the file that {SUMS} names",
                where=str(place),
                remedies=[
                    "ckpt2hf verify DIR   (compares all of them)",
                    "ckpt2hf convert   (makes the directory again)",
                ],
            )
    return Finished(place, report, words, sums, sha256_of(place / REPORT))


def converted_in(folder: Path) -> tuple[Path, ...]:
    """The converted directories below a folder, such as a batch leaves; the folder itself if it is one or has none."""
    found = []
    for place, names, files in os.walk(folder):
        if REPORT in files and _CONFIG in files:
            found.append(Path(place))
            names.clear()  # what is below are its forms
        names[:] = sorted(name for name in names if not name.startswith(".") and not is_partial(name))
    return tuple(found) or (folder,)


def add(found: Finished, added: Sequence[StageReport], partial: Path, work: Path) -> None:
    """Fills a new directory: what was there, forms from `work`, and a report, a card and sums that know of them.

    Raises OutputError, and UsageError where another run has changed the directory meanwhile.
    """
    new = {each.id: each for each in added}
    before = {each.id: each for each in found.report.stages}
    old = [file.name for name in new if name in before for file in before[name].files]
    forms = {**before, **new}
    report = replace(found.report, stages=tuple(forms[stage.id] for stage in STAGES if stage.id in forms))
    files = [file.name for each in added for file in each.files]
    with alone_in(found.place):
        if sha256_of(found.place / REPORT) != found.digest:
            raise UsageError(
                "the directory has changed since the work began", where=str(found.place), remedies=["run it again"]
            )
        fill_from(found.place, partial, {*old, *files, REPORT, CARD, MODELFILE, SUMS})
    with explained(partial):
        for name in files:
            (partial / name).parent.mkdir(exist_ok=True)
            (work / name).replace(partial / name)
        (partial / CARD).write_text(model_card(report, found.words), encoding="utf-8")
        for_ollama = modelfile(report, report.stages)
        if for_ollama is not None:
            (partial / MODELFILE).write_text(for_ollama, encoding="utf-8")
    write_json(partial / REPORT, report.lasting())
    if found.sums is None:
        return
    kept = {name: digest for name, digest in found.sums.items() if name not in {*old, MODELFILE}}
    new_files = (REPORT, CARD, *files, *((MODELFILE,) if for_ollama is not None else ()))
    text = sums_text({**kept, **{name: sha256_of(partial / name) for name in new_files}})
    with explained(partial / SUMS):
        (partial / SUMS).write_text(text, encoding="utf-8")
