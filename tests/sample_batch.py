"""A batch as somebody with many checkpoints might have it, made up from a seed; and names chosen to do harm."""

from __future__ import annotations

import random
from collections import Counter

from ckpt2hf.report import BATCH_SCHEMA, BatchReport, JobReport, ReasonReport, SkippedReport, Status

SKIPPED = ("optimizer state", "empty", "a tokenizer", "a directory of logs", "not a PyTorch file")
DIALECTS = ("az-course", "build-nanogpt", "mingpt", "nanogpt")
CHECKS = {
    "config.json": "23 settings as planned",
    "safetensors equals bin": "53 tensors identical in both files, every bit",
    "back to the source": "78 source tensors came back from the output, every bit",
    "float32 logits": "agree to 1.5e-05 (tolerance 1.9e-04) on 160 tokens",
}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(2)>",
    "quotes \"double\" 'single' `back` &amp; ${alert(3)}",
    "line\u2028separator\u2029paragraph",
    "gpt\u202efp.txe",
    "two\nlines\tand a tab",
    "\x1b[31mred\x1b]0;title\x07",
    "javascript:alert(4)",
    "undecodable \udcff byte",
    "a" * 300,
    "ŵëïrd Ünïcode 模型 \U0001f9ea",
    "../../etc/passwd",
    "#q=x&status=proved",
    'C:\\new\\table "quoted"',
)


def reason(kind: str, source: str) -> ReasonReport:
    """One of the reasons people meet, in the words of the errors."""
    if kind == "heads":
        return ReasonReport(
            "facts",
            "the file does not say which function these weights are",
            ("mingpt  (GPT since July 2022: all names fit)", "  heads?  How many attention heads?"),
            source,
            None,
            ("--dialect mingpt --set heads=6", "--reference model.py:YourModelClass   (your own code decides)"),
        )
    if kind == "scale":
        return ReasonReport(
            "facts",
            "the file does not say which function these weights are",
            ("az-course  (GPTModel: all names fit)", "  attention_scale?  Which day's Head did you copy?"),
            source,
            None,
            (
                "--dialect az-course --set 'attention_scale=head_dim**-0.5'|--set 'attention_scale=d_model**-0.5'",
                "--reference model.py:YourModelClass   (your own code decides)",
            ),
        )
    if kind == "damaged":
        name = source.rpartition("/")[2]
        return ReasonReport(
            "checkpoint", f"{name} is truncated", ("the central directory is missing",), source, "torch zip file"
        )
    if kind == "health":
        return ReasonReport(
            "health", "the weights hold 12 NaN", ("block.3.attn.q",), source, None, ("--allow-nonfinite",)
        )
    return ReasonReport("output", "no space left on the device", (), None, "writing model.safetensors")


def job(k: int, chance: random.Random) -> JobReport:
    """The job number `k`: most are proved, the others for a handful of reasons."""
    name = f"{chance.choice(('sweep', 'ablation', 'final'))}/run-{k}"
    source = f"/data/runs/{name}/ckpt.pt"
    nbytes = int(10 ** chance.uniform(6, 9.6))
    draw = chance.random()
    if draw < 0.86:
        return JobReport(
            name=name,
            source=source,
            source_bytes=nbytes,
            status=Status.PROVED,
            attempts=chance.choice((1, 1, 1, 2)),
            seconds=round(10 ** chance.uniform(0, 3.8), 3),
            peak_memory_bytes=nbytes * 2,
            finished=f"2025-11-23T0{chance.randrange(10)}:12:44+00:00",
            earlier=chance.random() < 0.1,
            output_bytes=2 * nbytes + chance.randrange(4096),
            report=f"{name}/conversion.json",
            dialect=chance.choice(DIALECTS),
            target="GPT2LMHeadModel",
            parameters=nbytes // 4,
            level=chance.choice(("bytes", "logits", "logits", "logits")),
            exactness=chance.choice(("bitwise", "bitwise", "algebraic", "rounded")),
            checks=CHECKS,
            warnings=("[untrained] 3 layers look as initialised",) if chance.random() < 0.02 else (),
            sha256=f"{chance.getrandbits(256):064x}",
        )
    kinds = {0.90: "heads", 0.93: "scale", 0.95: "damaged", 0.965: "health", 0.98: "space"}
    kind = next((word for limit, word in kinds.items() if draw < limit), None)
    status = {None: Status.PENDING, "space": Status.FAILED}.get(kind, Status.REFUSED)
    return JobReport(
        name=name,
        source=source,
        source_bytes=nbytes,
        status=status,
        reason=reason(kind, source) if kind else None,
        attempts=0 if kind is None else 3 if kind == "space" else 1,
        seconds=0.0 if kind is None else round(chance.uniform(0.1, 4), 3),
        finished=None if kind is None else "2025-11-23T07:12:44+00:00",
        dialect={"heads": "mingpt", "scale": "az-course", "health": "nanogpt"}.get(kind or ""),
    )


def batch(jobs: int, seed: int = 1, *, skipped: int = 0, extra: tuple[JobReport, ...] = ()) -> BatchReport:
    """A batch of so many jobs, with some of the same bytes."""
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret
    made = [job(k, chance) for k in range(jobs)]
    return report(
        (*made, *extra),
        tuple(SkippedReport(f"/data/runs/optim-{k}.pt", chance.choice(SKIPPED)) for k in range(skipped)),
    )


def hostile() -> tuple[JobReport, ...]:
    """Jobs in which every text is one of the harmful names."""
    return tuple(
        JobReport(
            name=f"{k} {text}",
            source=text,
            source_bytes=1000 + k,
            status=Status.REFUSED if k % 2 else Status.PROVED,
            reason=ReasonReport(text, text, (text, text), text, text, (text, f"{text}  ({text})")) if k % 2 else None,
            attempts=1,
            dialect=text,
            target=text,
            level=text,
            exactness=text,
            finished=text,
            report=f"{text}/conversion.json",
            checks={text: text},
            warnings=(text,),
            sha256=text,
            same_as=f"0 {HOSTILE[0]}",
        )
        for k, text in enumerate(HOSTILE)
    )


def report(jobs: tuple[JobReport, ...], skipped: tuple[SkippedReport, ...] = ()) -> BatchReport:
    """The report of these jobs."""
    jobs = tuple(sorted(jobs, key=lambda each: each.name))
    found = Counter(each.status.value for each in jobs)
    return BatchReport(
        schema=BATCH_SCHEMA,
        created="2025-11-23T08:01:30+00:00",
        versions={"ckpt2hf": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0"},
        inputs=("/data/runs",),
        output="converted",
        shard=None,
        executor="local",
        workers=4,
        seconds=4321.5,
        interrupted=False,
        counts={status.value: found[status.value] for status in Status},
        jobs=jobs,
        skipped=skipped,
    )
