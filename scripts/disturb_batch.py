"""Disturbs batches at random moments and looks whether anything is lost: the figures behind "it survives everything".

    python scripts/disturb_batch.py --count 50                     every kind of disturbance that needs no rights
    python scripts/disturb_batch.py --count 50 full read-only      these two mount file systems, as root

After each disturbance, and before anything is repaired, every directory under a final name has to be complete and every
result in the journal true. At the end every output has to be, byte for byte, what an undisturbed batch writes; nothing
unfinished may be left, neither files nor processes. The exit code is 1 if any of this fails once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import random
import runpy
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ckpt2hf.batch import journal
from ckpt2hf.batch.state import FOLDER as STATE
from ckpt2hf.report import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("ckpt2hf")
WORDS = ("--verify", "bytes", "--workers", "2", "--quiet")
MARK = "CKPT2HF_DISTURBED"
"""An environment variable by whose value the processes of one batch are found, whoever has adopted them."""
GONE_WITHIN = 10.0
"""Seconds after which no process of a killed batch may be left."""
LIMIT = 240.0
"""Seconds after which a batch hangs."""
DISK = 48 << 20
"""Bytes of a file system that is mounted."""

Tree = dict[str, str]


class _Hostile:
    """A pickle that would leave a file behind if anybody ran it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


@dataclass(frozen=True)
class Sample:
    """The inputs, and what an undisturbed batch made of them."""

    inputs: Path
    words: tuple[str, ...] = WORDS
    tree: Tree = field(default_factory=dict)
    """SHA-256 of every file, by its path in the output directory."""
    verdicts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def begin(self, out: Path, within: Sequence[str] = ()) -> Running:
        """A batch that has begun. Results say where they were written, so `out` has the same name for all of them."""
        mark = uuid.uuid4().hex
        words = [*within, str(COMMAND), "batch", str(self.inputs), "-o", out.name, *self.words]
        environment = {**os.environ, MARK: mark, "OMP_NUM_THREADS": "1"}
        out.parent.mkdir(exist_ok=True)
        process = subprocess.Popen(
            words, cwd=out.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return Running(process, mark)

    def directories(self) -> set[str]:
        """The names of all results."""
        return {str(Path(path).parent) for path in self.tree if Path(path).name == "config.json"}


@dataclass(frozen=True)
class Running:
    """A batch, and how to find its processes."""

    process: subprocess.Popen[str]
    mark: str

    def everybody(self) -> list[int]:
        """All processes that descend from it, and itself."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _holds(path / "environ", self.mark)]

    def forkserver(self) -> int | None:
        """The process that jobs are copied from."""
        mine = [pid for pid in _children(self.process.pid) if _holds(Path(f"/proc/{pid}/cmdline"), "forkserver")]
        return mine[0] if mine else None

    def jobs(self) -> list[int]:
        """The processes of jobs."""
        server = self.forkserver()
        return _children(server) if server else []

    def end(self) -> tuple[int, str]:
        """Exit code and everything that was said."""
        said, _ = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, said

    def gone(self) -> float | None:
        """Seconds until its last process is gone; None if they stay."""
        began = time.monotonic()
        while self.everybody():
            if time.monotonic() - began > GONE_WITHIN:
                return None
            time.sleep(0.01)
        return time.monotonic() - began


@dataclass
class Tally:
    """What came of the disturbances of one kind."""

    pace: float
    """Seconds a batch takes, as the last ones did: a busy machine changes it."""
    moments: int = 0
    met: int = 0
    """How many found the batch at work."""
    met_last: bool = False
    """Whether the last one did."""
    gone: list[float] = field(default_factory=list)
    """Seconds the processes of a killed batch stayed."""
    complaints: list[str] = field(default_factory=list)

    def wait(self, run: Running, moments: random.Random) -> float:
        """Lets a batch work until some moment, and gives that moment; one that ends before tells the pace."""
        moment, began = moments.uniform(0, self.pace), time.monotonic()
        while run.process.poll() is None and time.monotonic() - began < moment:
            time.sleep(0.001)
        met = run.process.poll() is None
        self.met, self.met_last = self.met + met, met
        self.pace = self.pace * 1.03 if met else time.monotonic() - began
        return moment


def _holds(path: Path, word: str) -> bool:
    try:
        return word.encode() in path.read_bytes()
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def tree_of(out: Path) -> Tree:
    """The digests of all results of a batch; its own report and its own directory left out."""
    files = (path for path in out.rglob("*") if path.is_file() and STATE not in path.parts)
    own = {"batch.json", "batch.html"}
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if str(path.relative_to(out)) not in own
    }


def verdicts_of(out: Path) -> dict[str, str]:
    """What the report says of each checkpoint."""
    return {job["name"]: job["status"] for job in json.loads((out / "batch.json").read_text(encoding="utf-8"))["jobs"]}


def make_inputs(folder: Path, count: int) -> None:
    """The golden checkpoints, each with what its owner knows beside it, a damaged one, and one that would do harm."""
    flags = runpy.run_path(str(ROOT / "tests" / "support.py"))["FLAGS"]
    cases = [name for name in flags if (ROOT / "tests" / "golden" / name / "checkpoint.pt").exists()]
    for name in cases[:count]:
        (folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "golden" / name / "checkpoint.pt", folder / name)
        said = flags[name]
        lines = [f'dialect = "{said["dialect"]}"'] if "dialect" in said else []
        lines += ["[set]", *('{} = "{}"'.format(*fact.split("=", 1)) for fact in said.get("facts", ()))]
        assert tomllib.loads("\n".join(lines))  # noqa: S101 - a mistake of ours
        (folder / name / "ckpt2hf.toml").write_text("\n".join(lines), encoding="utf-8")
    whole = (ROOT / "tests" / "golden" / "mingpt" / "checkpoint.pt").read_bytes()
    (folder / "damaged.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "hostile.pt").write_bytes(pickle.dumps(_Hostile(folder / "canary")))


def undisturbed(inputs: Path, out: Path, words: tuple[str, ...] = WORDS) -> Sample:
    """What a batch makes of the inputs when nobody disturbs it."""
    began = time.monotonic()
    code, said = Sample(inputs, words).begin(out).end()
    seconds = time.monotonic() - began
    verdicts = verdicts_of(out) if (out / "batch.json").exists() else {}
    assert code == 1, said  # noqa: S101 - two of the checkpoints are none
    assert sorted(verdicts.values()).count("proved") == len(verdicts) - 2, verdicts  # noqa: S101
    return Sample(inputs, words, tree_of(out), verdicts, seconds)


def lies(out: Path, *versions: Sample) -> list[str]:
    """What is untrue: directories under a final name that are not complete, and results that the journal invented.

    `versions` are what directories may hold: that of this batch, and that of one before it with other options.
    """
    found = []
    for name in versions[0].directories():
        if (out / name).exists() and any((out / name).iterdir()):
            now = {f"{name}/{path}": digest for path, digest in tree_of(out / name).items()}
            if not any(now == {p: d for p, d in made.tree.items() if p.startswith(f"{name}/")} for made in versions):
                found.append(f"{name} is not complete")
    past = journal.read(sorted((out / STATE).glob(journal.PATTERN)))
    for name, done in past.done.items():
        if done.job.status is Status.PROVED and not done.stands(done.key, out / name):
            found.append(f"the journal says {name} is proved")
        if done.job.status is Status.PROVED and versions[0].verdicts.get(name) != "proved":
            found.append(f"the journal proves {name}")
    return found


def faults(out: Path, sample: Sample) -> list[str]:
    """In what a batch that has ended differs from an undisturbed one."""
    found = [f"{path} is left" for path in out.rglob("*") if ".partial-" in path.name or ".replaced-" in path.name]
    now = tree_of(out)
    found += [f"{path} differs" for path in sorted({*now, *sample.tree}) if now.get(path) != sample.tree.get(path)]
    verdicts = verdicts_of(out) if (out / "batch.json").exists() else {}
    if verdicts != sample.verdicts:
        found.append(f"the verdicts are {verdicts}")
    if (sample.inputs / "canary").exists():
        found.append("the hostile pickle was run")
    return found + lies(out, sample)


def finish(out: Path, sample: Sample, tally: Tally, label: str) -> None:
    """Runs the batch again, and complains of everything that is not as it should be."""
    run = sample.begin(out)
    code, said = run.end()
    found = faults(out, sample)
    if code != 1 or found:
        found.append(f"the rerun ended with {code}: {said}")
    if run.gone() is None:
        found.append("the rerun left processes")
    tally.complaints += [f"{label}: {each}" for each in found]


def kill_batch(out: Path, sample: Sample, moments: random.Random, tally: Tally, before: Sample | None = None) -> None:
    """Kill -9 of the batch itself; the next one begins at once, or when the last process is gone."""
    run = sample.begin(out)
    moment = tally.wait(run, moments)
    run.process.kill()
    run.process.wait()
    versions = (sample, before) if before else (sample,)
    found = lies(out, *versions)
    if moments.random() < 0.5:  # noqa: PLR2004 - half of them
        stayed = run.gone()
        if stayed is None:
            found.append("processes of the killed batch stay")
        else:
            tally.gone.append(stayed)
        found += lies(out, *versions)
    run.end()
    tally.complaints += [f"killed after {moment:.3f} s: {each}" for each in found]
    finish(out, sample, tally, f"killed after {moment:.3f} s")


def kill_while_replacing(out: Path, sample: Sample, moments: random.Random, tally: Tally, before: Sample) -> None:
    """The same, where other results of an earlier batch are being replaced."""
    shutil.copytree(before.inputs.parent / "before" / "out", out)
    kill_batch(out, sample, moments, tally, before)


def kill_part(out: Path, sample: Sample, moments: random.Random, tally: Tally, kind: str) -> None:
    """Kill -9 of the forkserver or of a job: the batch itself goes on and makes it good."""
    run = sample.begin(out)
    moment = tally.wait(run, moments)
    killed = False
    while run.process.poll() is None and not killed:
        server = run.forkserver()
        chosen = run.jobs() if kind == "job" else [server] if server else []
        with suppress(ProcessLookupError, IndexError):  # it ended just now; none is there yet
            os.kill(moments.choice(chosen), signal.SIGKILL)
            killed = True
    tally.met += killed - tally.met_last
    code, said = run.end()
    found = faults(out, sample)
    if code != 1:
        found.append(f"the batch ended with {code}: {said}")
    if run.gone() is None:
        found.append("processes stay")
    tally.complaints += [f"killed after {moment:.3f} s: {each}" for each in found]


def terminate(out: Path, sample: Sample, moments: random.Random, tally: Tally) -> None:
    """SIGTERM to the batch: it ends within the grace period, what is done is kept, the next one does the rest."""
    run = sample.begin(out)
    moment = tally.wait(run, moments)
    run.process.terminate()
    told = time.monotonic()
    code, said = run.end()
    took = time.monotonic() - told
    # Before it listens to signals, the shell's way of dying is the right one; after the last job, its own result.
    found = [] if code in {143, -signal.SIGTERM, 1} else [f"it ended with {code}: {said}"]
    if took > 8.0:  # noqa: PLR2004 - the grace period
        found.append(f"it took {took:.1f} s to end")
    if code == 143:  # noqa: PLR2004 - as a shell would say it
        report = json.loads((out / "batch.json").read_bytes()) if (out / "batch.json").exists() else None
        if report and report["counts"]["pending"] and not report["interrupted"]:  # a signal may come when all is done
            found.append("the report does not say that it was interrupted")
        found += [f"{path} is left" for path in out.rglob("*.partial-*")]
    found += lies(out, sample) if out.exists() else []
    tally.complaints += [f"told to stop after {moment:.3f} s: {each}" for each in found]
    finish(out, sample, tally, f"told to stop after {moment:.3f} s")


def clear(code: int, said: str) -> list[str]:
    """What is wrong with how a batch says that the disk is at fault."""
    if code not in {0, 1} or "Traceback" in said or "error[bug]" in said:
        return [f"it ended with {code}: {said}"]
    return []


def fill(out: Path, sample: Sample, moments: random.Random, tally: Tally) -> None:
    """The disk is full from some moment on, but for some bytes."""
    disk = out.parent
    with mounted(disk, ["-t", "tmpfs", "-o", f"size={DISK}", "none"]):
        run = sample.begin(out)
        moment = tally.wait(run, moments)
        spare = moments.choice([0, moments.randrange(1 << 14), moments.randrange(6 << 20)])
        with (disk / "ballast").open("wb") as ballast:
            while shutil.disk_usage(disk).free > spare:
                with suppress(OSError):  # the batch may have been quicker
                    os.posix_fallocate(ballast.fileno(), 0, _size(ballast) + shutil.disk_usage(disk).free - spare)
        found = clear(*run.end())
        found += lies(out, sample) if out.exists() else []
        (disk / "ballast").unlink()
        tally.complaints += [f"full after {moment:.3f} s: {each}" for each in found]
        finish(out, sample, tally, f"full after {moment:.3f} s")


def freeze(out: Path, sample: Sample, moments: random.Random, tally: Tally) -> None:
    """The file system becomes read-only at some moment, as it does after a fault, and loses what was not synced."""
    disk = out.parent
    with device(disk.with_suffix(".image")) as name:
        subprocess.run(["mkfs.ext4", "-q", "-F", name], check=True)  # noqa: S607 - beside mount
        with mounted(disk, [name]):
            run = sample.begin(out)
            moment = tally.wait(run, moments)
            subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=True)  # noqa: S607 - as above
            found = clear(*run.end())
            found += lies(out, sample) if out.exists() else []
        mended = subprocess.run(["e2fsck", "-p", name], check=False, stdout=subprocess.DEVNULL)  # noqa: S607 - as above
        if mended.returncode > 1:
            found.append(f"e2fsck ended with {mended.returncode}")
        with mounted(disk, [name]):
            found += [f"after the repair, {each}" for each in lies(out, sample)] if out.exists() else []
            tally.complaints += [f"read-only after {moment:.3f} s: {each}" for each in found]
            finish(out, sample, tally, f"read-only after {moment:.3f} s")


@contextmanager
def device(image: Path) -> Iterator[str]:
    """A block device over a file, while the body runs: the same for everybody who looks, unlike the file."""
    with image.open("wb") as file:
        file.truncate(DISK)
    words = ["losetup", "--find", "--show", str(image)]
    name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield name
    finally:
        subprocess.run(["losetup", "--detach", name], check=True)  # noqa: S607 - as above
        image.unlink()


@contextmanager
def mounted(folder: Path, words: Sequence[str]) -> Iterator[None]:
    """A file system, mounted while the body runs."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *words, str(folder)], check=True)  # noqa: S607 - the one of this system
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - as above


def squeeze(out: Path, sample: Sample, _moments: random.Random, tally: Tally) -> None:
    """A container with little memory: bytes fit into 400 MB, logits into 200 MB do not, and that is known before."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    out.parent.mkdir()
    for level, megabytes in (("bytes", 400), ("logits", 200)):
        group = (old if old.exists() else new) / f"ckpt2hf-{uuid.uuid4().hex[:8]}"
        group.mkdir()
        try:
            limit = "memory.limit_in_bytes" if old.exists() else "memory.max"
            (group / limit).write_text(str(megabytes * 10**6), encoding="ascii")
            words = (*WORDS, "--workers", "4", "--verify", level)
            enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
            made = out.parent / level / "out"
            run = Sample(sample.inputs, words).begin(made, enter)
            code, said = run.end()
            run.gone()
            events = (group / ("memory.oom_control" if old.exists() else "memory.events")).read_text(encoding="ascii")
        finally:
            group.rmdir()
        tally.met += 1
        if "oom_kill 0" not in events:
            tally.complaints.append(f"{level} in {megabytes} MB: {events}")
        if level == "bytes":
            tally.complaints += faults(made, sample)
        else:
            jobs = json.loads((made / "batch.json").read_bytes())["jobs"]
            reasons = [job["reason"] for job in jobs if sample.verdicts[job["name"]] == "proved"]
            if not all(r and r["code"] == "resources" and "--verify bytes" in str(r["remedies"]) for r in reasons):
                tally.complaints.append(f"{level} in {megabytes} MB: {code} {said} {reasons}")


KINDS: dict[str, Callable[[Path, Sample, random.Random, Tally, Sample], None]] = {
    "batch": lambda out, sample, moments, tally, _before: kill_batch(out, sample, moments, tally),
    "replacing": kill_while_replacing,
    "forkserver": lambda out, sample, moments, tally, _before: kill_part(out, sample, moments, tally, "forkserver"),
    "job": lambda out, sample, moments, tally, _before: kill_part(out, sample, moments, tally, "job"),
    "term": lambda out, sample, moments, tally, _before: terminate(out, sample, moments, tally),
    "full": lambda out, sample, moments, tally, _before: fill(out, sample, moments, tally),
    "read-only": lambda out, sample, moments, tally, _before: freeze(out, sample, moments, tally),
    "memory": lambda out, sample, moments, tally, _before: squeeze(out, sample, moments, tally),
}
FREE = ("batch", "replacing", "forkserver", "job", "term")
"""What needs no rights."""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--count", type=int, default=50, help="disturbances of each kind that find a batch at work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--work", type=Path, help="a directory for everything that is made; a temporary one")
    said = parser.parse_args()
    bad = False
    with tempfile.TemporaryDirectory(dir=said.work, ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        (work / "in").mkdir()
        make_inputs(work / "in", said.checkpoints)
        sample = undisturbed(work / "in", work / "undisturbed" / "out")
        before = sample
        if "replacing" in (said.kinds or FREE):
            before = undisturbed(work / "in", work / "before" / "out", (*WORDS, "--formats", "safetensors"))
        print(f"{len(sample.verdicts)} checkpoints, {sample.seconds:.2f} s undisturbed, {len(sample.tree)} files")
        print(f"{'disturbed':<12}{'moments':>8}{'met':>6}{'complaints':>12}   processes gone after, median and most")
        for kind in said.kinds or FREE:
            tally, moments = Tally(sample.seconds), random.Random(f"{said.seed} {kind}")  # noqa: S311 - no secret
            while tally.met < said.count and tally.moments < 3 * said.count:
                tally.moments += 1
                its = work / f"{kind}-{tally.moments}"
                KINDS[kind](its / "out", sample, moments, tally, before)
                if not tally.complaints:
                    shutil.rmtree(its, ignore_errors=True)
            gone = f"{statistics.median(tally.gone):.2f} s, {max(tally.gone):.2f} s" if tally.gone else ""
            print(f"{kind:<12}{tally.moments:>8}{tally.met:>6}{len(tally.complaints):>12}   {gone}", flush=True)
            for complaint in tally.complaints:
                print(f"  {complaint}")
            bad = bad or bool(tally.complaints)
    sys.exit(bad)


if __name__ == "__main__":
    main()
