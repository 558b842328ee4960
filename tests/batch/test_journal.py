"""Whatever happens to a journal, reading it never fails, and nothing is read that was not written exactly so."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt2hf.batch import journal
from ckpt2hf.errors import OutputError
from ckpt2hf.report import JobReport, ReasonReport, Status

HARD_NAMES = ["plain", 'quotes " and \\', "two\nlines", "undecodable \udcff", "模型/best", "check", "\x00", "}"]


def report(name: str, status: Status = Status.PROVED, **words: Any) -> JobReport:
    reason = ReasonReport("checkpoint", "why", ("a", "b"), "there", "that", ("help",))
    given: dict[str, Any] = {"reason": None if status is Status.PROVED else reason, "warnings": ("w",), **words}
    return JobReport(name=name, source=f"{name}.pt", source_bytes=3, status=status, seconds=0.1, **given)


def write(path: Path, names: list[str]) -> dict[str, journal.Done]:
    """A journal in which each job was begun twice and finished once; what it says."""
    made = {}
    with journal.written(path) as record:
        for k, name in enumerate(names):
            status = list(Status)[k % 3]
            record.started(name, f"key {k}", ours=True)
            record.started(name, f"key {k}", ours=True)
            record.finished(f"key {k}", report(name, status), {"config.json": k, "ünï": 2})
            made[name] = journal.Done(f"key {k}", report(name, status), {"config.json": k, "ünï": 2}, "")
    return made


def same(found: journal.Done, made: journal.Done) -> bool:
    return (found.key, found.job, found.files) == (made.key, made.job, made.files)


def reading(data: bytes) -> journal.Past:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal-1-of-1.jsonl"
        path.write_bytes(data)
        return journal.read([path])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, journal.Done]]:
    path = tmp_path_factory.mktemp("journal") / "journal-1-of-1.jsonl"
    made = write(path, HARD_NAMES)
    return path.read_bytes(), made


def test_what_was_written_is_read(written: tuple[bytes, dict[str, journal.Done]]) -> None:
    data, made = written
    past = reading(data)
    assert past.skipped == 0
    assert past.ours == set(HARD_NAMES)
    assert past.done.keys() == made.keys()
    assert all(same(past.done[name], made[name]) for name in made)
    assert past.attempts == {(name, f"key {k}"): 2 for k, name in enumerate(HARD_NAMES)}
    assert data.count(b"\n") == 3 * len(HARD_NAMES)


def test_cut_off_at_any_byte_the_whole_lines_count(written: tuple[bytes, dict[str, journal.Done]]) -> None:
    data, made = written
    for end in range(0, len(data), 7):
        past = reading(data[:end])
        whole = data[: end + 1].count(b"\n")  # a line that lacks nothing but its end is whole
        assert past.skipped == (0 if data[end - 1 : end + 1].count(b"\n") or not end else 1)
        assert len(past.done) == whole // 3
        assert sum(past.attempts.values()) == whole - whole // 3
        assert all(same(done, made[name]) for name, done in past.done.items())


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_loses_lines_and_invents_none(
    written: tuple[bytes, dict[str, journal.Done]], place: float, bit: int
) -> None:
    data, made = written
    changed = bytearray(data)
    at = int(place * len(data))
    changed[at] ^= 1 << bit
    past = reading(bytes(changed))
    assert all(same(done, made[name]) for name, done in past.done.items())
    assert len(made) - len(past.done) <= 1
    line = data[:at].count(b"\n")
    owner = HARD_NAMES[line // 3]
    if line % 3 == 2 and data[at : at + 1] != b"\n" and past.skipped:
        assert owner not in past.done  # what was spoiled is done again
        assert owner in past.ours  # and may replace what it left


@settings(max_examples=100, deadline=None)
@given(garbage=st.lists(st.tuples(st.integers(0, 24), st.binary(max_size=60)), max_size=6))
def test_garbage_between_lines_changes_nothing(
    written: tuple[bytes, dict[str, journal.Done]], garbage: list[tuple[int, bytes]]
) -> None:
    data, made = written
    lines = data.splitlines(keepends=True)
    for at, junk in garbage:
        lines.insert(at, junk + b"\n")
    past = reading(b"".join(lines))
    assert past.done.keys() == made.keys()
    assert all(same(done, made[name]) for name, done in past.done.items())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = ("event", "name", "key", "ours", "job", "files", "time", "version")


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(WORDS), JUNK, min_size=1), drop=st.sampled_from([*WORDS, ""]))
def test_lines_in_the_words_of_another_version_are_passed_over(
    written: tuple[bytes, dict[str, journal.Done]], changes: dict[str, Any], drop: str
) -> None:
    data, made = written
    lines = data.splitlines()
    for line in lines[:3]:
        record = {name: value for name, value in json.loads(line).items() if name != "check"}
        strange = {name: value for name, value in (record | changes).items() if name != drop}
        past = reading(data + journal._signed(strange) + b"\n")
        assert set(made) - set(past.done) <= {record["name"]}
        assert all(same(past.done[name], made[name]) for name in list(made)[1:] if name != changes.get("name"))


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"null",
        b"3",
        b"{}",
        b'"text"',
        b'{"check": "0000000000000000"}',
        b"[" * 100_000,
        b"9" * 10_000,
        b'{"check": 1, "check": 2}',
        b"\xff\xfe",
        b"NaN",
    ],
    ids=lambda line: line[:16].decode("latin-1"),
)
def test_a_line_that_is_no_record_is_counted(line: bytes) -> None:
    past = reading(line + b"\n")
    assert past.skipped == 1
    assert not past.done


@pytest.mark.parametrize(
    "words",
    [
        {"event": "paused"},
        {"job": {"name": "a", "status": "excellent"}},
        {"job": None},
        {"job": "text"},
        {"job": {}},
        {"name": ["a"]},
        {"time": None},
    ],
)
def test_a_signed_line_of_a_version_to_come_is_no_result(words: dict[str, Any]) -> None:
    record = {"event": "finished", "name": "a", "key": "k", "files": {}, "version": "99", "time": "2099"}
    past = reading(journal._signed(record | words) + b"\n")
    assert not past.done


def test_lines_that_are_there_twice_say_nothing_new(written: tuple[bytes, dict[str, journal.Done]]) -> None:
    data, made = written
    past = reading(b"".join(line * 2 for line in data.splitlines(keepends=True)))
    assert past.done.keys() == made.keys()
    assert all(same(done, made[name]) for name, done in past.done.items())


def lines_at(times: list[str], kinds: list[tuple[str, str]]) -> bytes:
    """Lines of one job, `(event, key)` each."""
    made = b""
    for time, (event, key) in zip(times, kinds, strict=True):
        said: dict[str, Any] = {"event": event, "name": "m", "key": key, "time": time, "version": "1"}
        if event == "started":
            said |= {"ours": True}
        else:
            said |= {"job": json.loads(json.dumps(report_tree())), "files": {}}
        made += journal._signed(said) + b"\n"
    return made


def report_tree() -> dict[str, Any]:
    return {
        "name": "m",
        "source": "m.pt",
        "source_bytes": 1,
        "status": "proved",
        "reason": None,
        "warnings": [],
    }


def test_the_journals_of_parts_are_read_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    one, two = tmp_path / "journal-1-of-2.jsonl", tmp_path / "journal-2-of-2.jsonl"
    one.write_bytes(lines_at(["2026-01-01T10", "2026-01-01T13"], [("started", "old"), ("finished", "old")]))
    two.write_bytes(lines_at(["2026-01-01T11", "2026-01-01T12"], [("started", "new"), ("finished", "new")]))
    assert journal.read([one, two]).done["m"].key == "old"
    assert journal.read([two, one]).done["m"].key == "old"
    two.write_bytes(lines_at(["2026-01-01T11", "2026-01-01T14"], [("started", "new"), ("finished", "new")]))
    assert journal.read([one, two]).done["m"].key == "new"
    two.write_bytes(lines_at(["2026-01-01T14"], [("started", "new")]))
    assert not journal.read([two, one]).done  # it was being replaced


def test_a_clock_that_was_set_back_does_not_bring_an_old_result_back(tmp_path: Path) -> None:
    path = tmp_path / "journal-1-of-1.jsonl"
    path.write_bytes(
        lines_at(
            ["2026-01-01T12", "2026-01-01T13", "2026-01-01T09"],
            [("started", "old"), ("finished", "old"), ("started", "new")],
        )
    )
    assert not journal.read([path]).done


class Nearly:
    """`os.write` on a disk that takes `room` more bytes."""

    def __init__(self, room: int) -> None:
        self.room, self.real = room, os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        taken = min(self.room, len(data), 40)  # a little at a time
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= taken
        return self.real(descriptor, data[:taken])


@pytest.mark.parametrize("room", [0, 1, 39, 40, 41, 100])
def test_a_disk_that_is_full_in_the_middle_of_a_line(tmp_path: Path, room: int) -> None:
    path = tmp_path / "journal-1-of-1.jsonl"
    with journal.written(path) as record:
        record.started("a", "k", ours=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", Nearly(room))
            with pytest.raises(OutputError, match="No space left") as caught:
                record.finished("k", report("a"), {})
        assert "free some space" in str(caught.value)
        assert not journal.read([path]).done
        record.finished("k", report("a"), {})
    assert journal.read([path]).done["a"].job == report("a")


def test_a_system_that_takes_little_at_a_time_gets_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", Nearly(1 << 20))
    write(tmp_path / "journal-1-of-1.jsonl", ["a", "b"])
    past = journal.read([tmp_path / "journal-1-of-1.jsonl"])
    assert (past.skipped, set(past.done)) == (0, {"a", "b"})


def test_a_line_that_may_not_have_reached_the_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal-1-of-1.jsonl"
    with journal.written(path) as record:

        def refuse(_descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(OutputError, match="Input/output error"):
                record.started("a", "k", ours=True)
        record.started("b", "k", ours=True)
    assert "b" in journal.read([path]).ours


def test_every_line_is_on_the_disk_before_anything_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal-1-of-1.jsonl"
    synced: list[int] = []
    real = os.fsync

    def counting(descriptor: int) -> None:
        real(descriptor)
        synced.append(path.stat().st_size)

    monkeypatch.setattr(os, "fsync", counting)
    with journal.written(path) as record:
        for name in "abc":
            record.started(name, "k", ours=True)
            assert synced[-1] == path.stat().st_size


def test_after_a_line_that_a_crash_cut_short_the_next_one_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal-1-of-1.jsonl"
    write(path, ["a"])
    whole = path.read_bytes()
    for lost in (1, 2, 30):
        path.write_bytes(whole[:-lost])
        made = write(path, ["b"])
        past = journal.read([path])
        assert same(past.done["b"], made["b"])
        assert past.skipped == (0 if lost == 1 else 1)


@pytest.mark.parametrize("place", ["missing/journal-1-of-1.jsonl", "folder"])
def test_a_journal_that_cannot_be_opened(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"), journal.written(tmp_path / place):
        pass
    with pytest.raises(OutputError):
        journal.read([tmp_path / place])


def test_a_result_stands_only_as_long_as_everything_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    proved = journal.Done("k", report("m"), {"config.json": 2}, journal.__version__)
    assert proved.stands("k", tmp_path)
    assert not proved.stands("other", tmp_path)
    assert not proved.stands("", tmp_path)
    assert not proved.stands("k", tmp_path / "gone")
    refused = journal.Done("k", report("m", Status.REFUSED), {}, journal.__version__)
    assert refused.stands("k", tmp_path / "gone")
    assert not journal.Done("k", report("m", Status.REFUSED), {}, "0").stands("k", tmp_path)
    assert not journal.Done("k", report("m", Status.FAILED), {}, journal.__version__).stands("k", tmp_path)
