"""A directory that is about to get other forms of its model, and the new one that has them.

It is one that ckpt2hf has made, whose conversion.json knows of its forms, or a Hugging Face directory that something
else has written, such as training that went on with transformers: then a file of its own, forms.json, knows of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError, UsageError, VerificationError
from ckpt2hf.ir import ModelSpec, parse_field
from ckpt2hf.output import SUMS, alone_in, explained, fill_from, is_partial, sums_text, write_json
from ckpt2hf.plan import open_directory, understood, weights_in
from ckpt2hf.report import (
    FORMS,
    MODELFILE,
    CardWords,
    Forms,
    forms_tree,
    model_card,
    modelfile,
    read_forms,
    read_report,
)
from ckpt2hf.run.card import said_in, sums_of
from ckpt2hf.run.convert import CARD, REPORT
from ckpt2hf.sources import sha256_of
from ckpt2hf.stages import GGUF, STAGES
from ckpt2hf.stages.gguf.naming import VERSION, base_name, size_label
from ckpt2hf.stages.gguf.vocabulary_source import read as read_tokenizer
from ckpt2hf.tokenizers import TOKENIZER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt2hf.report import Report, StageReport
    from ckpt2hf.stages import Stage

_CONFIG = "config.json"
_ENDS = ("eos", "pad")
"""Roles of tokens after which there is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A directory as it was when we came."""

    place: Path
    spec: ModelSpec
    weights: str
    """The file they are in, of two the one that transformers takes, or the index of its parts."""
    shapes: tuple[tuple[int, ...], ...]
    """Of its tensors."""
    words: CardWords
    """What a person has said about the model."""
    ends: tuple[str, ...]
    """The tokens after which there is no text."""
    tokenizer: bool
    """Whether it has one."""
    stages: tuple[StageReport, ...]
    """The forms that are there."""
    report: Report | None
    """Of its conversion; None where something else has written it."""
    sums: dict[str, str] | None
    """The digest of each file that was summed up."""
    digest: str | None
    """Of the file that knows of the forms; None where it is not there."""

    @property
    def record(self) -> str:
        """The file that knows of the forms."""
        return REPORT if self.report else FORMS

    @property
    def title(self) -> str:
        """What the model is called."""
        return self.words.model_name or self.place.name

    @property
    def name(self) -> str:
        """The same with its size, in the names of files that have one."""
        return f"{base_name(self.title)}-{size_label(sum(map(prod, self.shapes)))}-{VERSION}"

    def made(self, stage: Stage, *, tokenizer: bool) -> Path | None:
        """The file of an earlier run, if it is still the one that was proved; the first of its parts.

        A GGUF file is no base for another that has to have a tokenizer where it has none, or the reverse.
        """
        before = next((each for each in self.stages if each.id == stage.id), None)
        if before is None or not all(self._unchanged(file.name) for file in before.files):
            return None
        if stage.family == GGUF.family and (before.settings["tokenizer"] != "none") != (tokenizer and self.tokenizer):
            return None
        return (self.place / before.files[0].name).resolve()

    def is_ours(self, name: str) -> bool:
        """Whether a file may be replaced: in a directory that something else has written, only what we made there."""
        return self.report is not None or name in (self.sums or {}) or not (self.place / name).exists()

    def require_ours(self, names: Iterable[str]) -> None:
        """Refuse forms in whose place there is a file of somebody else. Raises UsageError."""
        if strange := [name for name in names if not self.is_ours(name)]:
            raise UsageError(
                f"{strange[0]} is there, and ckpt2hf did not make it",
                details=strange[1:],
                where=str(self.place),
                remedies=["move it away"],
            )

    def _unchanged(self, name: str) -> bool:
        path = self.place / name
        return self.sums is not None and path.is_file() and self.sums.get(name) == sha256_of(path)


def finished(place: Path) -> Finished:
    """A directory of ours whose weights are still those of its sums, or a Hugging Face directory that can be read.

    Raises NotFoundError, UsageError, VerificationError, and what reading a directory does.
    """
    return _ours(place) if (place / REPORT).exists() else _foreign(place)


def _ours(place: Path) -> Finished:
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
                    f"delete {REPORT}, {SUMS} and {CARD} there   (if training went on, they speak of another model)",
                ],
            )
    specials = report.tokenizer.specials if report.tokenizer else ()
    return Finished(
        place=place,
        spec=ModelSpec(**{name: parse_field(name, value) for name, value in report.spec.items()}),
        weights=weights_in(place),
        shapes=tuple(tensor.shape for tensor in report.tensors),
        words=words,
        ends=tuple(dict.fromkeys(each.token for each in specials if each.role in _ENDS)),
        tokenizer=report.tokenizer is not None,
        stages=report.stages,
        report=report,
        sums=sums,
        digest=sha256_of(place / REPORT),
    )


def _foreign(place: Path) -> Finished:
    checkpoint, weights = open_directory(place)
    model = understood(checkpoint, {})
    record = place / FORMS
    now = {name: sha256_of(place / name) for name in (_CONFIG, *(path.name for path in checkpoint.files))}
    forms = read_forms(record) if record.exists() else Forms((), now)
    if changed := [name for name, digest in now.items() if forms.sha256.get(name) != digest]:
        raise UsageError(
            "the model has changed since its forms were made",
            details=[f"{name} is not the file that {FORMS} names" for name in changed],
            where=str(place),
            remedies=[f"delete {FORMS}, onnx and gguf there   (they are of the model as it was)"],
        )
    return Finished(
        place=place,
        spec=model.spec,
        weights=weights,
        shapes=tuple(each.meta.shape for each in model.sources.values()),
        words=CardWords(),
        ends=_ends(place),
        tokenizer=(place / TOKENIZER).is_file(),
        stages=forms.stages,
        report=None,
        sums=forms.sha256,
        digest=sha256_of(record) if record.exists() else None,
    )


def _ends(place: Path) -> tuple[str, ...]:
    """The tokens after which there is no text, as the files of a tokenizer name them."""
    try:
        tokenizer = read_tokenizer(place)
    except TokenizerError:  # refuses every file that would have it; the others can do without
        return ()
    roles = tokenizer.roles if tokenizer else {}
    return tuple(dict.fromkeys(roles[role] for role in _ENDS if role in roles))


def converted_in(folder: Path) -> tuple[Path, ...]:
    """The converted directories below a folder, as a batch leaves them; the folder itself if it is one or has none."""
    if (folder / _CONFIG).is_file():
        return (folder,)
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
    before = {each.id: each for each in found.stages}
    old = {file.name for name in new if name in before for file in before[name].files}
    files = [file.name for each in added for file in each.files]
    forms = {**before, **new}
    stages = tuple(forms[stage.id] for stage in STAGES if stage.id in forms)
    record = found.place / found.record
    with alone_in(found.place):
        if (sha256_of(record) if record.exists() else None) != found.digest:
            raise UsageError(
                "the directory has changed since the work began", where=str(found.place), remedies=["run it again"]
            )
        kit = {MODELFILE} if found.is_ours(MODELFILE) else set()
        written = {found.record, *kit, *((CARD, SUMS) if found.report else ())}
        fill_from(found.place, partial, {*old, *files, *written})
    with explained(partial):
        for name in files:
            (partial / name).parent.mkdir(exist_ok=True)
            (work / name).replace(partial / name)
        for_ollama = modelfile(found.spec.context, found.ends, stages) if kit else None
        if for_ollama is not None:
            (partial / MODELFILE).write_text(for_ollama, encoding="utf-8")
            files.append(MODELFILE)
    kept = {name: digest for name, digest in (found.sums or {}).items() if name not in {*old, MODELFILE}}
    if found.report is None:
        write_json(partial / FORMS, forms_tree(Forms(stages, _summed(kept, partial, files))))
        return
    report = replace(found.report, stages=stages)
    with explained(partial):
        (partial / CARD).write_text(model_card(report, found.words), encoding="utf-8")
    write_json(partial / REPORT, report.lasting())
    if found.sums is not None:
        text = sums_text(_summed(kept, partial, [REPORT, CARD, *files]))
        with explained(partial / SUMS):
            (partial / SUMS).write_text(text, encoding="utf-8")


def _summed(kept: dict[str, str], partial: Path, new: Sequence[str]) -> dict[str, str]:
    """The digests of the new directory, of which only the new files are read."""
    return {**kept, **{name: sha256_of(partial / name) for name in new}}
