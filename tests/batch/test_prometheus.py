"""The metrics of a batch, read by the parser of Prometheus itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ckpt2hf.report import BatchReport, Status
from ckpt2hf.report.prometheus import render
from sample_batch import HOSTILE, batch, hostile, report


def samples(about: BatchReport) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(render(about)):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = sample.name.removeprefix("ckpt2hf_batch_"), frozenset(sample.labels.items())
            assert sample.name.startswith("ckpt2hf_batch_")
            assert key not in found
            found[key] = sample.value
    return found


def value(about: BatchReport, name: str, **labels: Any) -> float | None:
    return samples(about).get((name, frozenset({"output": about.output, **labels}.items())))


def test_the_numbers_are_those_of_the_report() -> None:
    about = batch(400, skipped=7)
    for status in Status:
        assert value(about, "jobs", status=status.value) == sum(job.status is status for job in about.jobs)
    facts = [job for job in about.jobs if job.reason and job.reason.code == "facts"]
    assert value(about, "reasons", status="refused", code="facts") == len(facts)
    assert value(about, "skipped_files") == 7
    assert value(about, "seconds") == about.seconds
    assert value(about, "source_bytes") == sum(job.source_bytes for job in about.jobs)
    assert value(about, "written_bytes") == sum(job.output_bytes for job in about.jobs if not job.earlier)
    assert value(about, "jobs_earlier") == sum(job.earlier for job in about.jobs)
    assert value(about, "last_run_timestamp_seconds") == datetime.fromisoformat(about.created).timestamp()


def test_a_success_has_a_time_and_anything_else_has_none() -> None:
    proved = report(tuple(job for job in batch(50).jobs if job.status is Status.PROVED))
    assert value(proved, "last_success_timestamp_seconds") == value(proved, "last_run_timestamp_seconds")
    assert value(replace(proved, interrupted=True), "last_success_timestamp_seconds") is None
    assert value(batch(400), "last_success_timestamp_seconds") is None


def test_an_empty_batch_has_metrics() -> None:
    assert value(report(()), "jobs", status="proved") == 0
    assert value(report(()), "job_seconds_max") == 0


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_output_directory_is_one_label(name: str) -> None:
    about = replace(report(hostile()), output=name, shard="1/4")
    labels = {dict(key[1])["output"] for key in samples(about)}
    assert labels == {name.replace("\udcff", "?")}
    assert {dict(key[1])["shard"] for key in samples(about)} == {"1/4"}
    codes = {dict(key[1]).get("code") for key in samples(about)} - {None}
    assert codes == {job.reason.code.replace("\udcff", "?") for job in about.jobs if job.reason}


def test_help_and_type_stand_once_before_their_samples() -> None:
    lines = render(batch(100)).splitlines()
    names: list[str] = []
    for first, second in pairwise(lines):
        if first.startswith("# HELP "):
            names.append(first.split()[2])
            assert second == f"# TYPE {names[-1]} gauge"
    assert len(names) == len(set(names)) > 10
    assert render(batch(100)).endswith("\n")
