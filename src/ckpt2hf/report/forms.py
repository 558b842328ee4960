"""What is known of the forms in a directory that something else has written: `forms.json`, where there is no report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.report.report import plain_tree
from ckpt2hf.report.stages import StageReport  # noqa: TC001 - a field's type, read by pydantic
from ckpt2hf.stages import BY_ID

if TYPE_CHECKING:
    from pathlib import Path

FORMS = "forms.json"
"""Its name in the directory."""
FORMS_SCHEMA = 1
"""Version of the tree; it grows with every change that a reader could trip over."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of a model, and their files."""

    stages: tuple[StageReport, ...]
    sha256: dict[str, str]
    """Of each file, by its name."""


def forms_tree(forms: Forms) -> dict[str, Any]:
    """The file as JSON."""
    return {"schema": FORMS_SCHEMA, **plain_tree(forms)}


def read_forms(path: Path) -> Forms:
    """What the file says. Raises NotFoundError, and UsageError for what is no such file of this version."""
    try:
        return _forms(json.loads(path.read_bytes()))
    except OSError as error:
        raise NotFoundError(f"cannot read {path.name}", details=[str(error)], where=str(path)) from error
    except (ValueError, RecursionError) as error:  # pydantic's are among them
        raise UsageError(
            f"{path.name} is not what ckpt2hf writes of forms",
            details=str(error).splitlines()[:_SHOWN],
            where=str(path),
            remedies=["move the file away   (forms that were made before are made again)"],
        ) from error


def _forms(tree: Any) -> Forms:  # noqa: ANN401 - a JSON value
    """The forms. Raises ValueError."""
    if not isinstance(tree, dict) or tree.get("schema") != FORMS_SCHEMA:
        raise ValueError(f"its schema is not {FORMS_SCHEMA}")
    forms: Forms = TypeAdapter(Forms).validate_python({**tree, "schema": None})
    for each in forms.stages:
        if each.id not in BY_ID or not each.files or not BY_ID[each.id].is_path(each.files[0].name):
            raise ValueError(f"no form that this version makes: {each.id}")
    return forms
