"""A folder as people have it: thirty checkpoints, good, broken, hostile and strange, and what has to become of each."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
MINI = ROOT / "examples" / "az-mini" / "az_llm_mini_final.pt"
CANARY = "canary"
"""What hostile files would make beside the results, if anything in them ran."""


@dataclass(frozen=True)
class Expected:
    """What has to become of one file."""

    status: str
    code: str | None = None
    """Of the error it is refused with."""
    same_as: str | None = None
    """The file whose bytes it repeats; not known of what is refused before it is read."""


PROVED = Expected("proved")
NO_CHECKPOINT = Expected("refused", "checkpoint")


def settings(dialect: str | None = None, facts: tuple[str, ...] = ()) -> str:
    """The text of a ckpt2hf.toml that says what a person knows."""
    pairs = (fact.split("=", 1) for fact in facts)
    table = "".join(f"{name} = {value if value.isdecimal() else json.dumps(value)}\n" for name, value in pairs)
    return (f'dialect = "{dialect}"\n' if dialect else "") + (f"[set]\n{table}" if table else "")


class _Folder:
    """The folder that is being filled, and what is expected of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.expected: dict[str, Expected] = {}

    def add(self, name: str, expected: Expected, make: Callable[[Path], object], said: str = "") -> None:
        """One checkpoint in a directory of its own, with what is said about it beside it."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        if said:
            (path.parent / "ckpt2hf.toml").write_text(said, encoding="utf-8")
        self.expected[name] = expected


def fill(root: Path) -> dict[str, Expected]:
    """Makes the folder, the same each time; what has to become of each file, by its path below the folder."""
    folder = _Folder(root)
    _add_good(folder)
    _add_again(folder)
    _add_broken(folder)
    _add_hostile(folder)
    _add_strange(folder)
    # Not a checkpoint of its own: another name of a file that is there already.
    os.link(root / "good/mingpt/checkpoint.pt", root / "good/mingpt/latest.pt")
    (root / "notes.txt").write_text("run 7 diverged\n", encoding="utf-8")
    return folder.expected


def _add_good(folder: _Folder) -> None:
    for name, flags in FLAGS.items():
        said = settings(flags.get("dialect"), flags.get("facts", ()))
        case = GOLDEN / name
        if (case / "best_model").is_dir():
            file = "best_model/model.safetensors"
            folder.add(f"good/{name}/{file}", PROVED, lambda path, case=case: _copy_all(case, path), said)
        else:
            folder.add(f"good/{name}/checkpoint.pt", PROVED, lambda path, case=case: _copy(case, path), said)
    mini = settings("az-course", ("attention_scale=head_dim**-0.5",))
    folder.add("good/mini/az_llm_mini_final.pt", PROVED, lambda path: shutil.copy(MINI, path), mini)


def _add_again(folder: _Folder) -> None:
    """The same once more: under another name, and with other or fewer words about it."""
    case, said = GOLDEN / "nanogpt_bias", settings(None, FLAGS["nanogpt_bias"]["facts"])
    again = Expected("proved", same_as="good/nanogpt_bias/checkpoint.pt")
    folder.add("later/again/checkpoint.pt", again, lambda path: _copy(case, path), said)
    asked = Expected("refused", "facts")
    folder.add("later/unsaid/checkpoint.pt", asked, lambda path: _copy(GOLDEN / "az50_v2", path))
    wrong = Expected("refused", "facts")
    folder.add(
        "later/wrong/checkpoint.pt",
        wrong,
        lambda path: _copy(GOLDEN / "mingpt", path),
        settings("mingpt", ("heads=5",)),
    )


def _add_broken(folder: _Folder) -> None:
    whole = (GOLDEN / "nanogpt_bias" / "checkpoint.pt").read_bytes()
    end = whole.rindex(b"PK\x01\x02")
    broken = {
        "truncated.pt": whole[: len(whole) // 2],
        "torn.pt": whole[:end] + b"\0\0\0\0" + whole[end + 4 :],
        "noise.pt": random.Random(0).randbytes(5000),  # noqa: S311 - noise, not secrets
        "log.pt": b"step 2000: loss 1.37\n" * 50,
        "login.pt": b"<!DOCTYPE html><html><body>Please sign in</body></html>",
        "empty.pt": b"",
    }
    for name, data in broken.items():
        folder.add(f"broken/{name}", NO_CHECKPOINT, lambda path, data=data: path.write_bytes(data))
    spoilt = settings(None, FLAGS["nanogpt_bias"]["facts"])
    folder.add("nan/checkpoint.pt", Expected("refused", "health"), _save_with_nan, spoilt)


def _add_hostile(folder: _Folder) -> None:
    command = f"touch /out/{CANARY} /tmp/{CANARY}".encode()
    body = b"cos\nsystem\n(X" + struct.pack("<I", len(command)) + command + b"tR."
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(zipfile.ZipInfo("model/data.pkl"), body)
    hostile = {
        "plain.pkl": body,
        "archive.pt": archive.getvalue(),
        "legacy.pt": b"".join(head) + body + pickle.dumps([], 2),
        "nested.pkl": b"]" * 1_000_000 + b"a" * 999_999 + b".",
    }
    for name, data in hostile.items():
        folder.add(f"hostile/{name}", NO_CHECKPOINT, lambda path, data=data: path.write_bytes(data))
    said = settings(None, FLAGS["nanogpt_bias"]["facts"])
    folder.add("passenger/checkpoint.pt", PROVED, lambda path: _save_with_passenger(path, command.decode()), said)


def _add_strange(folder: _Folder) -> None:
    made = torch.Generator().manual_seed(0)

    def state(*shapes: tuple[str, tuple[int, ...]]) -> OrderedDict[str, torch.Tensor]:
        return OrderedDict((name, torch.randn(*size, generator=made)) for name, size in shapes)

    picture = state(("conv1.weight", (8, 3, 7, 7)), ("bn1.weight", (8,)), ("bn1.bias", (8,)), ("fc.weight", (10, 8)))
    speech = state(("rnn.weight_ih_l0", (32, 8)), ("rnn.weight_hh_l0", (32, 8)), ("rnn.bias_ih_l0", (32,)))
    unknown = Expected("refused", "mapping")
    folder.add("strange/picture.pt", unknown, lambda path: torch.save(picture, path))
    folder.add("strange/speech.pt", unknown, lambda path: torch.save(speech, path))
    folder.add("strange/scripted.pt", NO_CHECKPOINT, _save_script)
    folder.add("strange/settings.pt", NO_CHECKPOINT, lambda path: torch.save({"lr": 1e-3, "step": 7}, path))


def _copy(case: Path, path: Path) -> None:
    shutil.copy(case / "checkpoint.pt", path)


def _copy_all(case: Path, path: Path) -> None:
    shutil.copytree(case / "best_model", path.parent, dirs_exist_ok=True)


def _golden_tree() -> dict[str, Any]:
    tree: dict[str, Any] = torch.load(GOLDEN / "nanogpt_bias" / "checkpoint.pt", weights_only=False)
    return tree


def _save_with_nan(path: Path) -> None:
    tree = _golden_tree()
    tree["model"]["transformer.h.0.mlp.c_fc.weight"][3, 5] = float("nan")
    torch.save(tree, path)


def _save_with_passenger(path: Path, command: str) -> None:
    """Good weights, and beside them something that would run if anybody let it."""

    class Passenger:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (command,)

    torch.save({**_golden_tree(), "extra": Passenger()}, path)


def _save_script(path: Path) -> None:
    """A program, which is no checkpoint."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("model/data.pkl", "model/constants.pkl", "model/code/__torch__.py"):
            archive.writestr(zipfile.ZipInfo(name), pickle.dumps({}, 2))
