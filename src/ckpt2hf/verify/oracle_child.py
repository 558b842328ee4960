"""Runs somebody's model file and writes down its logits. A script of its own: it imports nothing of ckpt2hf.

    python -P oracle_child.py FOLDER

FOLDER holds `job.json` (the file, the class, its arguments, which `.npy` holds which tensor) and `tokens.npy`; what
comes back is `logits.npy`, or `error.json` with what went wrong.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import torch


class Trouble(Exception):  # noqa: N818 - a message on its way to error.json
    """Something the user has to know, with what to do about it."""

    def __init__(self, what: str, details: list[str], remedies: list[str]) -> None:
        super().__init__(what)
        self.what, self.details, self.remedies = what, details, remedies


class Settings(dict[str, Any]):
    """A configuration that answers both `config.n_head` and `config["n_head"]`."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the user gave
        if name not in self:
            raise AttributeError(f"the configuration has no {name}; give it with --reference-args {name}=…")
        return self[name]


def main(folder: Path) -> None:
    """Do the job of `folder`; leave `logits.npy` or `error.json`."""
    try:
        logits(folder)
    except Trouble as trouble:
        report(folder, trouble.what, trouble.details, trouble.remedies)
    except BaseException as error:  # noqa: BLE001 - the process edge: SystemExit of a training script included
        lines = "".join(traceback.format_exception(error)).splitlines()
        what = "its code called exit" if isinstance(error, SystemExit) else f"its code raised {type(error).__name__}"
        remedies = [
            "run the class by hand in a new Python process",
            "--reference-args for what the class is built with",
        ]
        report(folder, what, lines, remedies)


def report(folder: Path, what: str, details: list[str], remedies: list[str]) -> None:
    """Leave a message for the parent process."""
    told = {"what": what, "details": details, "remedies": remedies}
    (folder / "error.json").write_text(json.dumps(told), encoding="utf-8")


def logits(folder: Path) -> None:
    """Import, build, load, run, write."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    module = import_file(Path(job["file"]))
    import numpy as np  # noqa: PLC0415 - after the user's file, so that it sees a fresh process
    import torch  # noqa: PLC0415

    model = build(module, job["name"], job["args"])
    load(model, {name: torch.from_numpy(np.load(folder / file)) for name, file in job["tensors"].items()})
    model = model.cpu().eval()
    tokens = torch.from_numpy(np.load(folder / "tokens.npy"))
    with torch.no_grad():
        try:
            found = every_position(model.double(), tokens)
        except RuntimeError:  # code that makes float32 tensors of its own cannot be run in float64
            found = every_position(model.float(), tokens)
    np.save(folder / "logits.npy", found.numpy())


def import_file(path: Path) -> ModuleType:
    """The user's file as a module, with its own folder first on the path, as if it were imported beside its script."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Trouble(f"{path.name} is no Python file", [], [])
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def build(module: ModuleType, name: str, args: dict[str, Any]) -> torch.nn.Module:
    """The model: an instance as it is, anything else called with `args`."""
    from torch import nn  # noqa: PLC0415 - the user's file decides what is imported first

    made = getattr(module, name, None)
    if made is None:
        known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)]
        raise Trouble(
            f"the file has no {name}", [f"models in it: {', '.join(known) or 'none'}"], ["--reference FILE:CLASS"]
        )
    model = made if isinstance(made, nn.Module) else call(module, made, args)
    if not isinstance(model, nn.Module):
        raise Trouble(f"{name} gives a {type(model).__name__}, not a torch.nn.Module", [], ["--reference FILE:CLASS"])
    return model


def call(module: ModuleType, make: Callable[..., object], args: dict[str, Any]) -> object:
    """`make` called with `args`; those it has no parameter for become its one configuration object."""
    parameters = inspect.signature(make).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    direct = {key: value for key, value in args.items() if key in parameters or open_ended}
    rest = {key: value for key, value in args.items() if key not in direct}
    needed = [key for key, p in parameters.items() if p.kind in _NAMED and key not in direct]
    if rest and not needed:
        raise Trouble(
            f"{make.__name__} takes no {', '.join(rest)}",
            [f"its parameters: {', '.join(parameters) or 'none'}"],
            ["leave these out of --reference-args"],
        )
    if rest:
        direct[needed[0]] = rest
    return make(
        **{
            key: configuration(module, parameters.get(key), value) if isinstance(value, dict) else value
            for key, value in direct.items()
        }
    )


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def configuration(module: ModuleType, parameter: inspect.Parameter | None, values: dict[str, Any]) -> object:
    """`values` as the configuration class the file defines for them, else as attributes and keys in one."""
    wanted = parameter.annotation if parameter else None
    wanted = getattr(module, wanted, None) if isinstance(wanted, str) else wanted
    named = [
        value for key, value in vars(module).items() if isinstance(value, type) and key.endswith(("Config", "Args"))
    ]
    for kind in [wanted, *named]:
        if dataclasses.is_dataclass(kind) and set(values) <= {field.name for field in dataclasses.fields(kind)}:
            return kind(**values) if isinstance(kind, type) else kind
    return Settings(values)


def load(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Give every parameter its tensor; a buffer that has none keeps what the constructor gave it."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    given = {id(parameters[name]) for name in tensors if name in parameters}
    own = model.state_dict()
    unknown = [name for name, tensor in tensors.items() if name not in own and not is_constant(tensor)]
    missing = [name for name, parameter in parameters.items() if id(parameter) not in given]
    shapes = [
        f"{name}: the class has {list(value.shape)}, the checkpoint {list(tensors[name].shape)}"
        for name, value in own.items()
        if name in tensors and value.shape != tensors[name].shape
    ]
    if unknown or missing or shapes:
        details = [f"not in the class: {name}" for name in unknown] + [f"not in the checkpoint: {n}" for n in missing]
        refuse = "the checkpoint does not fit the class"
        raise Trouble(
            refuse, details + shapes, ["--reference-args with the sizes of the training run", "another class"]
        )
    model.load_state_dict(tensors, strict=False)


_TARGETS = ("targets", "target", "labels", "y")
"""What codebases call the second argument of forward when it is the tokens to predict."""


def is_constant(tensor: torch.Tensor) -> bool:
    """Whether it is a causal mask or a single number: buffers that come and go between versions of a class."""
    if tensor.ndim < 2 or tensor.shape[-1] != tensor.shape[-2] or tensor.numel() != tensor.shape[-1] ** 2:  # noqa: PLR2004
        return tensor.ndim == 0
    square, size = tensor.reshape(tensor.shape[-2:]), tensor.shape[-1]
    past = square.new_ones(size, size).tril().bool()
    return all(len(part) == 0 or bool((part == part[0]).all()) for part in (square[past], square[~past]))


def every_position(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Logits `[batch, time, vocab]`, also of models that give only the last position unless they have targets."""
    batch, time = tokens.shape
    parameters = list(inspect.signature(model.forward).parameters.values())
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    insists = sum(p.default is p.empty for p in places) > 1
    first = shaped(model(tokens, tokens) if insists else model(tokens), batch, time)
    if first.shape[1] == time:
        return first
    if len(places) > 1 and places[1].name in _TARGETS:
        told = shaped(model(tokens, tokens), batch, time)
        if told.shape[1] == time:
            return told
    import torch  # noqa: PLC0415 - the user's file decides what is imported first

    return torch.cat([shaped(model(tokens[:, : t + 1]), batch, t + 1)[:, -1:] for t in range(time)], dim=1)


def shaped(output: object, batch: int, time: int) -> torch.Tensor:
    """The logits in `output` as `[batch, time or 1, vocab]`."""
    found = pick(output)
    if found.ndim == 2 and found.shape[0] == batch * time:  # noqa: PLR2004 - rows of logits
        return found.reshape(batch, time, -1)
    if found.ndim == 2 and found.shape[0] == batch:  # noqa: PLR2004
        return found[:, None]
    if found.ndim == 3 and found.shape[0] == batch and found.shape[1] in (1, time):  # noqa: PLR2004
        return found
    raise no_logits(f"its forward gives a tensor {list(found.shape)} for tokens [{batch}, {time}]")


def pick(output: object) -> torch.Tensor:
    """The tensor of logits in what a forward pass returned: itself, the first matrix of a tuple, or `logits`."""
    import torch  # noqa: PLC0415 - the user's file decides what is imported first

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, dict) and "logits" in output:
        return pick(output["logits"])
    if hasattr(output, "logits"):
        return pick(output.logits)
    for part in output if isinstance(output, tuple | list) else ():
        if isinstance(part, torch.Tensor) and part.ndim > 1:
            return part
    raise no_logits(f"its forward gives a {type(output).__name__} without logits")


def no_logits(what: str) -> Trouble:
    """The error about an output that cannot be logits."""
    return Trouble(what, ["wanted: a tensor [batch, time, vocab], alone, first in a tuple, or named logits"], [])


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported: the comparison is made on the CPU
    main(Path(sys.argv[1]))
