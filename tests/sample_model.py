"""Reports of a converted model without a conversion: with as many forms as a test wants, or with hostile words only."""

from __future__ import annotations

import dataclasses
import random
from itertools import count
from typing import Any

from ckpt2hf.ir import FIELDS, plain
from ckpt2hf.report import Report, StageReport, TokensReport, VerdictReport
from ckpt2hf.report.html import ModelFile
from ckpt2hf.report.parts import CheckReport, FileReport
from ckpt2hf.report.report import (
    SCHEMA,
    DialectReport,
    FactReport,
    FindingReport,
    LeftOutReport,
    RewriteReport,
    SourceReport,
    SpecialReport,
    TensorReport,
    TokenizerReport,
)
from ckpt2hf.report.stages import KeptReport, PriceReport
from sample_batch import HOSTILE
from support import SPEC

CHECKS = (
    CheckReport("config.json", passed=True, summary="24 settings as planned", numbers={"settings": 24}),
    CheckReport(
        "float32 logits",
        passed=True,
        summary="agree to 1.3e-05 (tolerance 1.9e-04) on 160 tokens",
        numbers={"max_abs": 1.33514404296875e-05, "tolerance": 0.000189241826, "tokens": 160, "last_position": 7},
    ),
    CheckReport(
        "greedy generation", passed=True, summary="16 tokens agree", numbers={"cache_agrees": True, "gap": 0.0}
    ),
)
TOKENS = TokensReport("ids", "heldout.npy", "7" * 64, 4160)
ORIGINS = {"attention_scale": "user", "norm_eps": "dialect", "layers": "tensors", "context": "metadata"}
"""Where some facts come from; the others are the family's."""


def model(stages: tuple[StageReport, ...] = (), **changes: Any) -> Report:
    """A report with something in each of its parts."""
    spec = {name: plain(getattr(SPEC, name)) for name in FIELDS}
    made = Report(
        schema=SCHEMA,
        created="",
        versions={"ckpt2hf": "0.1.0", "torch": "2.13.0"},
        source=SourceReport(
            path="runs/mini model.pt",
            container="torch zip file",
            weights_key="ema",
            prefixes=("_orig_mod.",),
            files=(FileReport("mini model.pt", 2_633_585, "6" * 64),),
            side_files=("params.json",),
        ),
        dialect=DialectReport("az-course", "GPTModel", "named by the user", "Owner/name@26d95c9: gun_13.md"),
        facts=tuple(
            FactReport(name, value, ORIGINS.get(name, "family"), f"where {name} is") for name, value in spec.items()
        ),
        evidence=None,
        spec=spec,
        target="GPT2LMHeadModel",
        rewrites=(RewriteReport("zero bias", "this model has none", "bitwise"),),
        exactness="algebraic",
        dtype=None,
        tensors=(TensorReport("transformer.wte.weight", (768, 96), "float32", ("wte.weight",), "as it is"),),
        left_out=tuple(LeftOutReport(f"blocks.{k}.tril", "a causal mask") for k in range(12)),
        notes=("a note",),
        tokenizer=TokenizerReport(
            format="BPE",
            files=(FileReport("tokenizer.json", 37_443, "4" * 64),),
            original="tokenizers 0.22.2",
            specials=(SpecialReport("pad", "[PAD]", 3, "its name"),),
            checks=(CheckReport("tokenizer loads", passed=False, summary="as planned", numbers={"tokens": 768}),),
            policy="warn",
            notes=("another note",),
        ),
        health=(FindingReport("warning", "untrained", "3 layers look as initialised", ("layers.0.q",)),),
        output="az-mini-hf",
        formats=("safetensors",),
        files=(FileReport("model.safetensors", 2_409_664),),
        verdict=VerdictReport("logits", proved=True, checks=CHECKS),
        stages=stages,
        options={},
        seconds={},
        peak_memory_bytes=0,
    )
    return dataclasses.replace(made, **changes)


def files(report: Report) -> list[ModelFile]:
    """The files of its directory, as the report says."""
    known = [*report.files, *(file for form in report.stages for file in form.files)]
    return [ModelFile(file.name, file.bytes, "a" * 64) for file in known]


def form(name: str, nbytes: int, kl: float | None, *, layers: int = 4, spread: float = 1.0) -> StageReport:
    """A form with this price; None for one that is exact. `spread` tells its layers from those of another one."""
    errors = tuple(spread * ((kl or 0.0) ** 0.5) * (1 + 0.3 * k) for k in range(layers))
    price = PriceReport(
        tokens=4095,
        mean_kl=kl or 0.0,
        p99_kl=(kl or 0.0) * 11,
        top1=0.9931623931623932,
        ppl_ratio=1.0002897662326604,
        cache_top1=0.9895833333333334,
        cache_kl=5.7e-05,
        key_errors=errors,
        value_errors=tuple(1.2 * error for error in errors),
        logit_error=1.5 * errors[-1],
    )
    return StageReport(
        id=name,
        title=f"what {name} is",
        made_from="model.safetensors",
        files=(FileReport(f"onnx/{name}.onnx", nbytes),),
        settings={"block_size": 32, "symmetric": True, "rest": "float16"},
        versions={"onnx": "1.23.2"},
        tokens=TOKENS,
        checks=(CheckReport("finite logits", passed=True, summary="all are numbers", numbers={"positions": 4095}),),
        price=None if kl is None else price,
        bits_per_weight=8.4505491576029,
        matrix_bits=8.327380952380953,
        kept=(KeptReport("transformer.wpe.weight", "32 bits: looked up, not multiplied"),),
        notes=("measured on the processor",),
    )


def alike(number: int, seed: int, *, layers: int = 4) -> tuple[StageReport, ...]:
    """As many forms of nearly the same size and price, one of them exact."""
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret
    made = [
        form(
            f"{chance.choice(('onnx', 'gguf'))}-q{k % 8}_k_m{k}",
            100_000_000 + chance.randrange(2_000_000),
            10 ** chance.uniform(-4.0, -3.8),
            layers=layers,
            spread=chance.uniform(0.8, 1.2),
        )
        for k in range(number - 1)
    ]
    return (form("onnx", 101_000_000, None, layers=layers), *made)


def various(number: int, seed: int) -> tuple[StageReport, ...]:
    """As many forms from a fifth of a megabyte to gigabytes, with all prices there are."""
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret
    prices = [None, 0.0, *(10 ** chance.uniform(-9, 0.5) for _ in range(number - 2))]
    return tuple(form(f"form-{k}", int(10 ** chance.uniform(5.3, 9.5)), kl) for k, kl in enumerate(prices))


def hostile() -> Report:
    """A report in which every text that can come from anybody is one of the hostile ones."""
    texts = count()

    def spoilt(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return value if name in {"level", "sha256"} else HOSTILE[next(texts) % len(HOSTILE)]
        if isinstance(value, tuple):
            return tuple(spoilt(item, name) for item in value)
        if isinstance(value, dict):
            return value if name == "spec" else {spoilt(f"{key}"): spoilt(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed = {
                field.name: spoilt(getattr(value, field.name), field.name) for field in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **changed)
        return value

    made: Report = spoilt(model((*alike(12, 1), form("exact", 5, None))))
    return made
