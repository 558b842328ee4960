"""Benches of correct conversions, the verification a mutant has to get past, and the count of those it stopped."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ckpt2hf.api import Request, WeightFormat, plan
from ckpt2hf.output import WeightOptions, write_weights
from ckpt2hf.tensors import DType, Meta
from ckpt2hf.verify import logits
from ckpt2hf.verify.bytes import check_bytes
from ckpt2hf.verify.function import check_function
from ckpt2hf.verify.probes import make_probes
from ckpt2hf.verify.structure import check_structure
from ckpt2hf.verify.weights import load_slots, tensor
from support import EVERY_FLAGS, SOURCES, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.api import Plan
    from ckpt2hf.tensors import Array, Box
    from ckpt2hf.verify import Check

State = dict[str, torch.Tensor]
Config = dict[str, Any]

BENCHES = ("az50_v1", "az50_v2", "mingpt", "nanogpt_bias", "nanogpt_nobias_raw", "ng_video")
D_MODEL_SCALE = {"dialect": "az-course", "facts": ("attention_scale=d_model**-0.5",)}
EXTRA: dict[str, tuple[str, dict[str, Any]]] = {
    # The reference follows the facts, so a fact no codebase has still makes a correct conversion to mutate.
    "scaled, 3 heads": ("az50_v2", D_MODEL_SCALE),
    "scaled, 4 heads": ("az50_v2_ddp_prefix", D_MODEL_SCALE),
    "eps 1e-6": ("nanogpt_bias", {"dialect": "nanogpt", "facts": ("activation=gelu", "norm_eps=1e-6")}),
}


@dataclass(frozen=True)
class Held:
    """A torch tensor as the writers want it."""

    array: Array
    meta: Meta

    @classmethod
    def of(cls, value: torch.Tensor) -> Held:
        dtype = DType.from_torch(str(value.dtype).removeprefix("torch."))
        array = value.contiguous().view(torch.uint8).numpy().view(dtype.numpy).reshape(value.shape)
        return cls(array, Meta(tuple(value.shape), dtype))

    def read(self, box: Box) -> Array:
        return self.array[box]


@dataclass(frozen=True, eq=False)
class Bench:
    """A correct conversion: its plan, what it writes, and the checks run on something else in its place."""

    name: str
    plan: Plan
    state: State
    config: Config
    source: Any
    promise: Any

    def copy(self) -> tuple[State, Config]:
        return {name: value.clone() for name, value in self.state.items()}, dict(self.config)

    def changed(self, state: State, config: Config) -> bool:
        same = state.keys() == self.state.keys() and all(torch.equal(state[n], self.state[n]) for n in state)
        return config != self.config or not same

    @cache  # noqa: B019 - a bench lives as long as the session
    def model(self) -> GPT2LMHeadModel:
        return GPT2LMHeadModel(GPT2Config.from_dict(dict(self.config))).eval()

    def first_failure(self, state: State) -> Check | None:
        """Level `logits` alone, in memory: strict loading, then the same checks in the same order as on disk."""
        model = self.model()
        tied = {"lm_head.weight": state["transformer.wte.weight"]} if self.plan.final_spec.tied else {}
        model.load_state_dict({**state, **tied}, strict=True)
        seen = logits._Seen("mutant", logits.logits(model, self.source.probes.short), {})
        checks = logits._against_source(model, self.source, seen, self.promise)
        return next((check for check in checks if not check.passed), None)

    def write(self, below: Path, state: State, config: Config) -> Path:
        """A new directory by the real writers."""
        directory = Path(tempfile.mkdtemp(dir=below))
        held = {name: Held.of(value) for name, value in state.items()}
        options = WeightOptions(formats=(WeightFormat.SAFETENSORS,), max_shard_bytes=None, threads=1)
        write_weights(held, directory, options, lambda _nbytes: None)
        self.write_config(directory, config)
        (directory / "generation_config.json").write_text(json.dumps(dict(self.plan.generation_config)), "utf-8")
        return directory

    def write_config(self, directory: Path, config: Config) -> None:
        (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def loaded_failures(self, directory: Path) -> list[Check]:
        """Level `logits` alone, on disk, through `from_pretrained`."""
        formats = (WeightFormat.SAFETENSORS,)
        return _failed(check_function(directory, self.plan, formats, progress=lambda _line: None))

    def byte_failures(self, directory: Path) -> list[Check]:
        """Level `bytes` alone."""
        return _failed(check_bytes(directory, self.plan, (WeightFormat.SAFETENSORS,), threads=1))

    def structure_failures(self, directory: Path) -> list[Check]:
        """Level `structure` alone."""
        return _failed(check_structure(directory, self.plan, (WeightFormat.SAFETENSORS,)))


def _failed(checks: tuple[Check, ...]) -> list[Check]:
    return [check for check in checks if not check.passed]


@pytest.fixture(scope="session")
def flags() -> Mapping[str, dict[str, Any]]:
    """What the user says about each golden checkpoint."""
    return EVERY_FLAGS


@pytest.fixture(scope="session")
def bench(repository: Path) -> Callable[[str], Bench]:
    """A correct conversion by name, made once."""

    @cache
    def make(name: str) -> Bench:
        golden, said = EXTRA.get(name, (name, EVERY_FLAGS.get(name, {})))
        made = plan(
            Request(source=repository / "tests" / "golden" / golden / SOURCES.get(golden, "checkpoint.pt"), **said)
        )
        state = {name: tensor(t).clone().contiguous() for name, t in made.tensors.items()}
        trained = logits._Source(made.spec, load_slots(made.slots, torch.float32), make_probes(made.spec, 0))
        modules = logits.expand(made.target.modules, made.spec.layers)
        promise = logits._Promise(modules, made.exactness, logits._expand_names(made.activations, made.spec.layers))
        return Bench(name, made, state, dict(made.config), trained, promise)

    return make


@pytest.fixture(scope="session")
def benches(bench: Callable[[str], Bench]) -> list[Bench]:
    """Every ordinary conversion: fused and per-head sources, tied and untied, with and without biases, both GELUs."""
    return [bench(name) for name in BENCHES]


@pytest.fixture
def survivors(benches: list[Bench], tally: Tally) -> Callable[[Callable[..., None]], list[str]]:
    """The conversions that a mutation of weights changes without the logits showing it; it changes at least one."""

    def left(mutate: Callable[..., None]) -> list[str]:
        found, made = [], 0
        for bench in benches:
            state, config = bench.copy()
            mutate(state, bench.plan.final_spec)
            if bench.changed(state, config):
                made += 1
                if tally("of the weights", killed=bench.first_failure(state) is not None):
                    found.append(bench.name)
        assert made
        return found

    return left
