"""Other forms of a finished directory's model: made and measured beside it, then added to it in one step, or not.

The directory is made anew from links to its own files and the new ones, and takes the place of the old one as a
conversion's does: so a run that is killed leaves the directory as it was, and what it had begun is deleted by the next.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.output import locked_partial, new_directory, require_space
from ckpt2hf.run.finished import add, finished
from ckpt2hf.run.form_jobs import FormJobs
from ckpt2hf.run.forms_request import require_expressible, require_possible, require_ratio, shown_to, size_of
from ckpt2hf.run.importance_tokens import importance_tokens
from ckpt2hf.run.request import Silence
from ckpt2hf.stages import bases_of, require_room
from ckpt2hf.verify.language_model import class_of

if TYPE_CHECKING:
    from ckpt2hf.run.finished import Finished
    from ckpt2hf.run.forms_request import Form, FormsRequest
    from ckpt2hf.run.request import Progress


class _NothingToAddError(Exception):
    """Takes the directory that was begun away again."""


def make_forms(asked: FormsRequest, progress: Progress | None = None) -> tuple[Form, ...]:
    """What became of each form that was asked for, in the order they were made in.

    Raises NotFoundError, UsageError, TokenizerError, ResourceError for what cannot begin, VerificationError where a
    process gives no answer, OutputError; then the directory is as it was.
    """
    require_possible(asked, class_of(asked.directory))
    require_ratio(asked)
    require_expressible(asked)
    place = asked.directory.resolve()
    _require_replaceable(place)
    told = progress or Silence()
    told.phase("read", 0)
    found = finished(place)
    found.require_ours(stage.path(found.name) for stage in asked.stages)
    size, window = size_of(found.spec, found.shapes), shown_to(found.spec).window
    tokens = asked.sample.tokens(asked.directory, found.spec.vocab, window)
    importance = importance_tokens(asked, found.spec.vocab, window, tokens.ids)
    bases = {
        stage.id: file for stage in bases_of(asked.stages) if (file := found.made(stage, tokenizer=asked.tokenizer))
    }
    made = [stage for stage in asked.needed if stage.id not in bases]
    require_room(made, size)
    require_space(place.parent, sum(map(size.written, made)))
    log = asked.log or place.with_name(f"{place.name}.{asked.command.value}.log")
    forms: list[Form] = []
    try:
        with new_directory(place, force=True) as partial, locked_partial(place) as work:
            forms = FormJobs(asked, found, size, tokens, importance, log, work, told).make(bases)
            told.phase("add to the directory", 0)
            _add(found, forms, partial, work)
    except _NothingToAddError:
        pass
    return tuple(forms)


def _add(found: Finished, forms: list[Form], partial: Path, work: Path) -> None:
    """Fills the new directory. Raises _NothingToAddError where every form was rejected."""
    added = [form.report for form in forms if not form.problems]
    if not added:
        raise _NothingToAddError
    add(found, added, partial, work)


def _require_replaceable(place: Path) -> None:
    """Raises UsageError for a directory that cannot give way to the one that has the new forms."""
    if Path.cwd().is_relative_to(place):
        remedies = [f"cd ..   (and then: {place.name})"]
        raise UsageError(
            "the directory is replaced in one step, and you are in it", where=str(place), remedies=remedies
        )
    if os.path.ismount(place):
        remedies = ["mount the directory that holds it"]
        raise UsageError(
            "a mount point cannot be replaced by what has the new forms", where=str(place), remedies=remedies
        )
