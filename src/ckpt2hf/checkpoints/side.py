"""Settings beside a checkpoint: small files that people and training scripts write.

Source: meta-llama/llama 689c7f2 llama/generation.py (`params.json`); Lightning-AI/litgpt 2685705 litgpt/utils.py
(`model_config.yaml`, `hyperparameters.yaml`); karpathy/nanochat 849d95a nanochat/checkpoint_manager.py
(`model_000010.pt` and `meta_000010.json`); facebookresearch/lingua 437d680 lingua/checkpoint.py (`params.json`);
allenai/OLMo 59a53e3 olmo/checkpoint.py (`config.yaml`); huggingface/nanotron 2411b02 src/nanotron/trainer.py
(`model_config.json`, `config.yaml`).

All of them write these files beside the weights, or inside a checkpoint that is a directory; but where litgpt's FSDP
makes a directory of `lit_model.pth`, `model_config.yaml` stays beside that.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.inert import settle_all
from ckpt2hf.checkpoints.survey import survey
from ckpt2hf.errors import CheckpointError, Ckpt2hfError, NotFoundError, UsageError
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert

MAX_BYTES = 1 << 20
OWN_SETTINGS = "ckpt2hf.toml"
OF_THE_CODE = (
    "config.json",
    "params.json",
    "model_config.json",
    "model_config.yaml",
    "hyperparameters.yaml",
    "config.yaml",
)
"""What a training code writes beside a checkpoint."""
NUMBERED = "meta.json"
"""What the settings of one of several numbered checkpoints are called, whatever the number."""
_MODEL = re.compile(r"model_(\d+)\.pt")
_META = re.compile(r"meta_\d+\.json")
_YAML = (".yaml", ".yml")


ABOVE = "../"
"""What stands before the name of settings that lie beside a directory that is a checkpoint."""


def read(checkpoint: Path, *, inside: bool = False) -> dict[str, dict[str, Inert]]:
    """The settings beside a checkpoint, or inside one that is a directory, by file name.

    Where there are none inside, those beside the directory count, with `../` before their names.
    Raises CheckpointError (those of the training code), UsageError (ckpt2hf.toml).
    """
    folder = checkpoint if inside else checkpoint.parent
    wanted = {name: (folder / name, CheckpointError) for name in OF_THE_CODE}
    if not inside and (match := _MODEL.fullmatch(checkpoint.name)):
        wanted[NUMBERED] = folder / f"meta_{match[1]}.json", CheckpointError
    if inside:
        wanted |= {f"{ABOVE}{path.name}": (path, CheckpointError) for path in above(checkpoint)}
    found: dict[str, dict[str, Inert]] = {
        name: settle_all(table(path, error)) for name, (path, error) in wanted.items() if path.is_file()
    }
    if (own := own_settings(folder)) is not None:
        found[OWN_SETTINGS] = own
    return found


def above(folder: Path) -> list[Path]:
    """The settings beside a directory that is a checkpoint, if there are none in it and nothing else they could be of.

    Other steps of the same run may lie there: directories whose names differ in digits alone.
    """
    if any((folder / name).is_file() for name in OF_THE_CODE):
        return []
    try:
        place = folder.parent if is_remote(folder) else folder.resolve().parent
        found = [place / name for name in OF_THE_CODE if (place / name).is_file()]
        return found if found and next(_strangers(place, folder), None) is None else []
    except (OSError, Ckpt2hfError):  # a place that cannot be looked into says nothing
        return []


def _strangers(place: Path, mine: Path) -> Iterator[Path]:
    """Checkpoints in a directory that are no steps of the same run as this one."""
    name = mine.name if is_remote(mine) else mine.resolve().name
    form = re.compile(re.sub(r"\d+", r"\\d+", re.escape(name)))
    inside = list(place.iterdir())
    files = [entry.name for entry in inside if entry.is_file()]
    yield from (place / found.files[0] for found in survey(place, files).found if found.files)
    for folder in inside:
        if folder.is_dir() and not form.fullmatch(folder.name):
            entries = list(folder.iterdir())
            kinds = [[e.name for e in entries if e.is_file()], [e.name for e in entries if e.is_dir()]]
            if survey(folder, *kinds).found:
                yield folder


def belonging(source: str | None, names: Iterable[str]) -> list[str]:
    """Which of the files in a directory are settings of the training code for the checkpoint `source` in it.

    None stands for a checkpoint that is the directory itself.
    """
    match = _MODEL.fullmatch(source or "")
    wanted = {*OF_THE_CODE, f"meta_{match[1]}.json"} if match else {*OF_THE_CODE}
    return [name for name in names if name in wanted]


def is_settings(name: str) -> bool:
    """Whether a file of this name beside a checkpoint may be settings of the training code."""
    return name in OF_THE_CODE or _META.fullmatch(name) is not None


def own_settings(folder: Path) -> dict[str, Inert] | None:
    """What `ckpt2hf.toml` in a folder holds; None if there is none. Raises UsageError, NotFoundError."""
    path = folder / OWN_SETTINGS
    try:
        return table(path, UsageError) if path.is_file() else None
    except (OSError, ValueError):  # a folder that cannot be looked into, or no path at all: opening it says so
        return None


def table(path: Path, error: type[Ckpt2hfError]) -> dict[str, Inert]:
    """The table in a JSON, YAML or TOML file. Raises `error` for one that is damaged, NotFoundError."""
    remedies = [f"correct {path.name}, or move it away"]
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise NotFoundError(f"cannot open {path}", details=[str(problem)], where=str(path)) from problem
    if len(data) > MAX_BYTES:
        raise error(f"{path.name} is larger than {MAX_BYTES} bytes", where=str(path), remedies=remedies)
    try:
        values = _parsed(path.suffix, data.decode("utf-8-sig"))
    except json.JSONDecodeError as problem:
        where = f"{path}, line {problem.lineno}, column {problem.colno}"
        raise error(f"{path.name} is not JSON: {problem.msg}", where=where, remedies=remedies) from problem
    except (ValueError, RecursionError) as problem:  # TOMLDecodeError, which names the line, is a ValueError
        raise error(f"{path.name} cannot be read: {problem}", where=str(path), remedies=remedies) from problem
    if not isinstance(values, dict):
        raise error(f"{path.name} is no table of settings", where=str(path), remedies=remedies)
    return values


def _parsed(suffix: str, text: str) -> Inert | Mapping[str, Inert]:
    if suffix == ".json":
        return json.loads(text)  # type: ignore[no-any-return]
    if suffix in _YAML:
        from ckpt2hf.checkpoints import yaml_text  # noqa: PLC0415 - few checkpoints have any, and it takes time to load

        return yaml_text.parsed(text)
    return tomllib.loads(text)
