"""A float32 model run in float64, one module's weights widened at a time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from ckpt2hf.errors import BrokenPromiseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Hook: TypeAlias = Any
"""A handle that removes a forward hook."""


@contextlib.contextmanager
def widened(model: nn.Module) -> Iterator[None]:
    """Run `model` in float64 inside: same weights, twice the width, no second copy of the model in memory.

    Each module that owns parameters gets them widened just before it runs and gets the very same float32 storage back
    just after. A plain embedding stays as it is and its rows are widened instead, which is the same numbers. Modules
    that insist on float32 inside (RMSNorm, softmax, RoPE) get float64 as well.
    """
    owners = [module for module in model.modules() if module._parameters]  # noqa: SLF001 - torch has no public form
    handles: list[_Hook] = []
    try:
        for module in owners:
            if type(module) is nn.Embedding:  # a subclass may multiply, and has to do so in float64
                handles.append(module.register_forward_hook(_widen_output))
            else:
                narrow: dict[str, Tensor] = {}
                handles.append(module.register_forward_pre_hook(_widen_weights(narrow)))
                handles.append(module.register_forward_hook(_restore_weights(narrow), always_call=True))
        with _NothingNarrow(), _wide_frequencies(model):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _NothingNarrow(TorchFunctionMode):
    """Whoever asks torch for float32 inside gets float64."""

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - any function of torch
        types: Any,  # noqa: ANN401 - torch's own protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever it returns
        wide = {name: _wide(value) for name, value in (kwargs or {}).items()}
        same: Any = torch.Tensor.double if func is torch.Tensor.float else func
        return same(*map(_wide, args), **wide)


def _wide(value: Any) -> Any:  # noqa: ANN401 - any argument
    return torch.float64 if value is torch.float32 else value


@contextlib.contextmanager
def _wide_frequencies(model: nn.Module) -> Iterator[None]:
    """RoPE's frequencies computed again, in float64, by the model's own function from its own configuration.

    They are buffers, made in float32 when the model was; at high positions their rounding would be all that is seen.
    """
    kept: list[tuple[Any, Tensor]] = []
    try:
        for module in model.modules():
            its: Any = module
            compute = _frequencies_of(its)
            if compute is not None:
                kept.append((its, its.inv_freq))
                its.inv_freq, _ = compute(its.config, device=its.inv_freq.device)
        yield
    finally:
        for its, narrow in kept:
            its.inv_freq = narrow


def _frequencies_of(module: Any) -> Any:  # noqa: ANN401 - a function of transformers
    """What computes the frequencies of a module that turns; None for any other module.

    Source: models/llama/modeling_llama.py of transformers 4.57.6, where the module holds it, and of 5.24, where it
    either has a function for the plain kind or looks it up by the kind of scaling.
    """
    if hasattr(module, "rope_init_fn"):
        return module.rope_init_fn
    plain = getattr(module, "compute_default_rope_parameters", None)
    if plain is None or not hasattr(module, "inv_freq"):
        return None
    return plain if module.rope_type == "default" else ROPE_INIT_FUNCTIONS[module.rope_type]


def _widen_output(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return output.double()


def _widen_weights(narrow: dict[str, Tensor]) -> Any:  # noqa: ANN401 - a hook
    def hook(module: nn.Module, _inputs: tuple[Any, ...]) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            narrow[name] = parameter.data
            parameter.data = parameter.data.double()

    return hook


def _restore_weights(narrow: dict[str, Tensor]) -> Any:  # noqa: ANN401 - a hook
    def hook(module: nn.Module, _inputs: tuple[Any, ...], _output: object) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            parameter.data = narrow.pop(name)

    return hook


@contextlib.contextmanager
def recorded(model: nn.Module, modules: Mapping[str, str], into: dict[str, Tensor]) -> Iterator[None]:
    """Keep the output of each of `modules` (trace name -> module path) that runs inside, under its trace name.

    Raises BrokenPromiseError for a path the model does not have.
    """
    handles: list[_Hook] = []
    try:
        for name, path in modules.items():
            handles.append(_module(model, path).register_forward_hook(_keep(into, name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _module(model: nn.Module, path: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise BrokenPromiseError(f"{type(model).__name__} has no module {path}") from error


def _keep(into: dict[str, Tensor], name: str) -> Any:  # noqa: ANN401 - a hook
    def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: object) -> None:
        first = output[0] if isinstance(output, tuple | list) else output
        if isinstance(first, torch.Tensor):
            into[name] = first.detach().clone()

    return hook
