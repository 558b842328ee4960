"""How much each column of a matrix matters to a quantizer: the mean square of what it is multiplied with.

That is what llama.cpp calls an importance matrix. Here PyTorch computes it, from the directory's own model.

Source: llama.cpp tools/imatrix/README.md; src/llama-quant.cpp for the order of columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.plan import modules_of_gguf
from ckpt2hf.stages.gguf.once import once
from ckpt2hf.verify import Windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.stages.job import Job
    from ckpt2hf.tensors import Array

_FILE = "importance.npz"


def importance(job: Job) -> Mapping[str, Array]:
    """The mean squares by the tensor's name in the file, `[columns]` or `[experts x columns]`; computed once."""
    assert job.importance is not None  # noqa: S101 - asked for only where there are tokens for it
    kept = Path(job.tokens).with_name(_FILE)
    tokens = np.load(job.importance)

    def make(begun: Path) -> None:
        computed: dict[str, Any] = _computed(job, tokens)
        np.savez(begun, **computed)

    once(kept, make)
    with np.load(kept) as found:
        return {name: found[name] for name in found.files}


def _computed(job: Job, tokens: Array) -> dict[str, Array]:
    """All of them, from one run over the tokens."""
    import torch  # noqa: PLC0415

    from ckpt2hf.verify.huggingface import load  # noqa: PLC0415

    directory = Path(job.directory)
    model: Any = load(directory, "safetensors" if list(directory.glob("*.safetensors*")) else "bin").model
    modules = dict(model.named_modules())
    names = modules_of_gguf(directory)
    squares: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Any:  # noqa: ANN401 - a hook of torch
        def seen(_module: Any, given: tuple[Any, ...]) -> None:  # noqa: ANN401
            flat = given[0].detach().reshape(-1, given[0].shape[-1]).double()
            squares[name] = squares.get(name, 0) + flat.square().sum(0)
            counts[name] = counts.get(name, 0) + len(flat)

        return seen

    wanted = {name for parts in names.values() for name in parts}
    hooks = [modules[name].register_forward_pre_hook(watch(name)) for name in wanted]
    with torch.inference_mode():
        for ids, _ in Windows(tokens, job.window, job.window).batches(job.at_once):
            model(torch.from_numpy(np.ascontiguousarray(ids[:, :-1])))
    for hook in hooks:
        hook.remove()
    found = {}
    for name, parts in names.items():
        # An expert that no token has chosen is quantized as if every column mattered alike.
        columns = next((len(squares[part]) for part in parts if part in squares), 0)
        if columns:
            means = [(squares[part] / counts[part]).numpy() if part in squares else np.ones(columns) for part in parts]
            found[name] = np.concatenate(means).astype(np.float32)
    return found
