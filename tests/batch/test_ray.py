"""A batch on a Ray cluster of two nodes: the same results as without one, whatever happens to nodes and workers."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from support import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
PATIENCE = 240.0
"""Seconds for anything that should not take nearly as long."""


class Nodes:
    """A cluster; each node is known by the process that is the node."""

    def __init__(self, folder: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "ray_nodes.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"},
        )
        found = self._answer()
        self.address: str = found["address"]
        self.client: str = found["client"]
        """The same, for a driver that is on no node."""
        self.raylets = [self.add(), self.add()]

    def add(self) -> int:
        assert self.process.stdin
        self.process.stdin.write("add\n")
        self.process.stdin.flush()
        return int(self._answer()["raylet"])

    def restore(self) -> None:
        """Two nodes again, whatever a test has done to them."""
        self.raylets = [pid for pid in self.raylets if alive(pid)]
        while len(self.raylets) < 2:
            self.raylets.append(self.add())

    def workers(self) -> list[int]:
        """The workers that are carrying out an order."""
        found = []
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
                if fields["Name"].startswith("ray::work") and int(fields["PPid"]) in self.raylets:
                    found.append(int(fields["Pid"]))
        return found

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        pytest.fail("there is no cluster")


class Driver:
    """A batch in a process of its own."""

    def __init__(self, nodes: Nodes | None, out: Path, jobs: list[dict[str, Any]], **words: Any) -> None:
        said = {"executor": "ray" if nodes else "local", "out": str(out), "jobs": jobs, **words}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "ray_batch.py"), json.dumps(said)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ({"RAY_ADDRESS": nodes.address} if nodes else {}) | words.get("environment", {}),
        )
        self.told: list[tuple[str, Any]] = []

    def until(self, enough: Callable[[list[tuple[str, Any]]], bool]) -> None:
        """Read on until what was told is enough."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.told.append(tuple(json.loads(line)))
            if enough(self.told):
                return
        assert self.process.stderr
        pytest.fail(f"the batch ended before: {self.told[-2:]} {self.process.stderr.read()}")

    def end(self) -> Any:
        """The report, or the error. Nothing else was printed, by anybody."""
        rest, errors = self.process.communicate(timeout=PATIENCE)
        self.told += [tuple(json.loads(line)) for line in rest.splitlines()]
        assert self.process.returncode == 0, errors
        assert not errors
        return self.told[-1][1]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def converting(told: list[tuple[str, Any]], phase: str) -> set[str]:
    """The jobs that were in a phase."""
    return {said[0] for name, said in told if name == "phase" and said[1] == phase}


def jobs_of(report: Any) -> dict[str, Any]:
    return {job["name"]: job for job in report["jobs"]}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def golden_jobs() -> list[dict[str, Any]]:
    jobs = []
    for name, flags in FLAGS.items():
        case = json.loads((GOLDEN / name / "case.json").read_text(encoding="utf-8"))
        jobs.append({"name": name, "source": str(GOLDEN / name / case["checkpoint_file"]), **flags})
    return jobs


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose conversion takes seconds."""
    width, layers, vocab, context = 512, 8, 999, 128
    torch.manual_seed(0)
    shapes = {"ln_1.weight": (width,), "attn.c_attn.weight": (3 * width, width), "attn.c_proj.weight": (width, width)}
    shapes |= {"ln_2.weight": (width,), "mlp.c_fc.weight": (4 * width, width), "mlp.c_proj.weight": (width, 4 * width)}
    model = {"transformer.wte.weight": torch.randn(vocab, width) * 0.02}
    model["transformer.wpe.weight"] = torch.randn(context, width) * 0.02
    for k in range(layers):
        model |= {f"transformer.h.{k}.{name}": torch.randn(shape) * 0.02 for name, shape in shapes.items()}
    model |= {"transformer.ln_f.weight": torch.ones(width), "lm_head.weight": model["transformer.wte.weight"]}
    arguments = {"n_layer": layers, "n_head": 8, "n_embd": width, "block_size": context, "bias": False}
    path = tmp_path_factory.mktemp("large") / "ckpt.pt"
    torch.save({"model": model, "model_args": arguments | {"vocab_size": vocab, "dropout": 0.0}}, path)
    return path


def large_jobs(path: Path, count: int) -> list[dict[str, Any]]:
    return [{"name": f"large-{k}", "source": str(path), "facts": ["activation=gelu"]} for k in range(count)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    # Its sockets have names that must not be long.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        nodes = Nodes(folder)
        yield nodes
        nodes.close()


@pytest.fixture
def nodes(cluster: Nodes) -> Nodes:
    cluster.restore()
    return cluster


@pytest.mark.slow
def test_results_are_those_of_this_machine_alone(nodes: Nodes, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.system, (f"touch {tmp_path / 'owned'}",))

    (tmp_path / "hostile.pt").write_bytes(pickle.dumps({"model": Hostile()}))
    whole = (GOLDEN / "nanogpt_bias" / "checkpoint.pt").read_bytes()
    (tmp_path / "corrupt.pt").write_bytes(whole[: len(whole) // 2])
    bad = [{"name": name, "source": str(tmp_path / f"{name}.pt")} for name in ("hostile", "corrupt", "missing")]
    jobs, out = [*golden_jobs(), *bad], tmp_path / "out"
    driver = Driver(nodes, out, jobs)
    by_ray = driver.end()
    assert (by_ray["executor"], by_ray["workers"]) == ("ray", 2)
    out.rename(tmp_path / "by-ray")
    by_local = Driver(None, out, jobs).end()
    differs = {"seconds", "finished", "peak_memory_bytes"}
    for name, job in jobs_of(by_local).items():
        theirs = jobs_of(by_ray)[name]
        assert {k: v for k, v in job.items() if k not in differs} == {
            k: v for k, v in theirs.items() if k not in differs
        }
    assert by_ray["counts"] == {"proved": len(FLAGS), "refused": 3, "failed": 0, "pending": 0}
    for name in FLAGS:
        assert tree(tmp_path / "by-ray" / name) == tree(out / name)
    assert not (tmp_path / "owned").exists()
    # A job that is done before anybody looks has nothing to show of its way.
    assert converting(driver.told, "read") & set(FLAGS)


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = Driver(nodes, out, large_jobs(large, 4))
    driver.until(lambda told: len(converting(told, "write")) == 2)
    os.kill(nodes.raylets[0], signal.SIGKILL)
    report = driver.end()
    assert report["counts"]["proved"] == 4
    assert sorted(job["attempts"] for job in report["jobs"]) == [1, 1, 1, 2]
    assert [said[1] for name, said in driver.told if name == "again"]
    assert not list(out.glob("*.partial-*"))
    journal = [json.loads(line) for line in (out / ".ckpt2hf" / "journal-1-of-1.jsonl").read_text().splitlines()]
    assert len(journal) >= 5 + 4  # attempts that began, and results
    again = Driver(None, out, large_jobs(large, 4)).end()
    assert all(job["earlier"] for job in again["jobs"])


@pytest.mark.slow
def test_a_node_that_falls_silent_loses_nothing(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    """Its connections stay open, as when a machine is switched off: only the cluster says that it is gone."""
    out = tmp_path / "out"
    driver = Driver(nodes, out, large_jobs(large, 3))
    driver.until(lambda told: len(converting(told, "write")) == 2)
    silent = [nodes.raylets[0], *below(nodes.raylets[0])]
    for pid in silent:
        os.kill(pid, signal.SIGSTOP)
    driver.until(lambda told: told[-1][0] == "again")
    for pid in silent:  # what comes back finds that it was given up
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    report = driver.end()
    assert report["counts"]["proved"] == 3
    assert sorted(job["attempts"] for job in report["jobs"]) == [1, 1, 2]
    wait_for(lambda: not alive(nodes.raylets[0]))
    assert not list(out.glob("*.partial-*"))


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = Driver(nodes, out, large_jobs(large, 2))
    driver.until(lambda told: len(converting(told, "write")) == 2)
    victim = nodes.workers()[0]
    jobs = below(victim)
    os.kill(victim, signal.SIGKILL)
    report = driver.end()
    assert report["counts"]["proved"] == 2
    assert sorted(job["attempts"] for job in report["jobs"]) == [1, 2]
    assert "killed, crashed" in next(said[1] for name, said in driver.told if name == "again")
    assert not list(out.glob("*.partial-*"))
    assert jobs
    assert not any(alive(pid) for pid in jobs)


@pytest.mark.slow
def test_a_batch_that_is_stopped_leaves_nothing_half_done(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = Driver(nodes, out, large_jobs(large, 4), grace=5.0)
    driver.until(lambda told: len(converting(told, "write")) == 2)
    began = time.monotonic()
    driver.process.send_signal(signal.SIGTERM)
    driver.process.send_signal(signal.SIGTERM)  # the second time without grace
    report = driver.end()
    assert time.monotonic() - began < 20
    assert report["interrupted"]
    assert report["counts"]["pending"] >= 2
    assert not list(out.glob("*.partial-*"))
    assert not nodes.workers()
    assert Driver(nodes, out, large_jobs(large, 4)).end()["counts"]["proved"] == 4


@pytest.mark.slow
def test_a_batch_that_is_killed_takes_its_jobs_with_it(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = Driver(nodes, out, large_jobs(large, 2))
    driver.until(lambda told: len(converting(told, "write")) == 2)
    jobs = [pid for worker in nodes.workers() for pid in below(worker)]
    driver.process.kill()
    driver.process.communicate()
    assert jobs
    wait_for(lambda: not any(alive(pid) for pid in jobs))
    assert Driver(nodes, out, large_jobs(large, 2)).end()["counts"]["proved"] == 2
    assert not list(out.glob("*.partial-*"))


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_ended(nodes: Nodes, large: Path, tmp_path: Path) -> None:
    jobs = [{**large_jobs(large, 1)[0], "timeout": 0.5}]
    report = Driver(nodes, tmp_path / "out", jobs).end()
    assert report["jobs"][0]["reason"]["code"] == "timeout"
    assert not list((tmp_path / "out").glob("large*"))


@pytest.mark.slow
def test_a_job_too_large_for_every_node_is_refused_in_words(nodes: Nodes, tmp_path: Path) -> None:
    source = tmp_path / "huge.safetensors"
    width, layers, vocab = 8192, 4, 500
    shapes = {"transformer.wte.weight": (vocab, width), "transformer.wpe.weight": (64, width)}
    for k in range(layers):
        block = {"ln_1.weight": (width,), "attn.c_attn.weight": (3 * width, width), "ln_2.weight": (width,)}
        block |= {"attn.c_proj.weight": (width, width), "mlp.c_fc.weight": (4 * width, width)}
        block |= {"mlp.c_proj.weight": (width, 4 * width)}
        shapes |= {f"transformer.h.{k}.{name}": shape for name, shape in block.items()}
    shapes |= {"transformer.ln_f.weight": (width,), "lm_head.weight": (vocab, width)}
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    source.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(source, 8 + len(text) + at)  # all zero, and takes no space
    job = {"name": "huge", "source": str(source), "dialect": "nanogpt", "facts": ["heads=16", "activation=gelu"]}
    report = Driver(nodes, tmp_path / "out", [job]).end()
    reason = report["jobs"][0]["reason"]
    assert reason["code"] == "resources", reason
    assert "the cluster's largest node offers 2048 MiB" in reason["what"]
    assert any("--verify bytes" in remedy for remedy in reason["remedies"])


@pytest.mark.slow
def test_a_cluster_elsewhere_is_used_through_its_client_server(nodes: Nodes, tmp_path: Path) -> None:
    jobs = [job | {"level": "bytes"} for job in golden_jobs()]
    report = Driver(None, tmp_path / "out", jobs, executor=nodes.client).end()
    assert (report["executor"], report["workers"]) == ("ray", 2)
    assert report["counts"]["proved"] == len(FLAGS)


@pytest.mark.slow
def test_without_a_cluster_one_is_started_and_ended(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        jobs = [job | {"level": "bytes"} for job in golden_jobs()]
        driver = Driver(None, tmp_path / "out", jobs, executor="ray", workers=1, environment={"RAY_TMPDIR": folder})
        driver.until(lambda told: told[-1][0] == "finished")
        raylets = [pid for pid in below(driver.process.pid) if "raylet" in name_of(pid)]
        report = driver.end()
        assert report["workers"] == 1
        assert report["counts"]["proved"] == len(FLAGS)
        assert raylets
        wait_for(lambda: not any(alive(pid) for pid in raylets))


@pytest.mark.slow
def test_another_version_on_the_nodes_is_refused(nodes: Nodes, tmp_path: Path) -> None:
    driver = Driver(nodes, tmp_path / "out", golden_jobs()[:1], version="99.0")
    error = driver.end()
    assert driver.told[-1][0] == "error"
    assert "the cluster does not have this ckpt2hf, 99.0" in error
    assert "pip install 'ckpt2hf==99.0'" in error


@pytest.mark.slow
def test_an_address_without_a_cluster_is_an_error_in_words(tmp_path: Path) -> None:
    error = Driver(None, tmp_path / "out", golden_jobs()[:1], executor="ray://127.0.0.1:1").end()
    assert error.startswith("error[unreachable]: the Ray cluster cannot be reached")


def test_a_node_that_does_not_see_the_output_directory_is_named(tmp_path: Path) -> None:
    """In a process of its own: Ray is imported."""
    code = """
import sys
from pathlib import Path
import ckpt2hf
from ckpt2hf.batch import ray_cluster
from ckpt2hf.errors import UsageError
nodes = [ray_cluster.Node(str(k), f"10.0.0.{k}", 1, 1) for k in range(3)]
ray_cluster.nodes = lambda: nodes
def asked(found, token):
    assert Path(token).exists()
    return [(node, (ckpt2hf.__version__, node.id != "1")) for node in found]
ray_cluster._asked = asked
try:
    ray_cluster.require_equal_nodes(Path(sys.argv[1]))
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "1 of 3 nodes of the cluster do not see the output directory\n  10.0.0.1\n" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_only_this_machine_sees_is_said_so(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from ckpt2hf.batch import Job
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.ray_executor import RayExecutor
from ckpt2hf.batch.ray_worker import Answer
from ckpt2hf.errors import NotFoundError
from ckpt2hf.run import Request, Writing
executor = RayExecutor(lambda: None)
for path in (Path(sys.argv[1]), Path("/nowhere")):
    job = Job(name="a", request=Request(source=path), writing=Writing(out=Path("/out/a")), nbytes=1)
    said = executor._judged(Answer("node-7", judged(NotFoundError("there is no such file"))), job)
    print(said.lasting, said.reason.what)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    seen_here, seen_nowhere = done.stdout.splitlines()
    assert seen_here == "False the node node-7 does not see the checkpoint, and this machine does"
    assert seen_nowhere == "True there is no such file"


def test_what_ray_says_of_a_lost_task_is_said_in_our_words() -> None:
    code = """
from ray import exceptions
from ckpt2hf.batch.ray_words import why_lost
print(why_lost(exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.")))
print(why_lost(exceptions.WorkerCrashedError()))
print(why_lost(exceptions.RaySystemError("something new")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    memory, crashed, new = done.stdout.splitlines()
    assert memory == "its node ran out of memory, and Ray ended it"
    assert "killed, crashed" in crashed
    assert new.startswith("Ray lost it: ")


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    """All processes that a process has made, and those they have made."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, rest = [], [pid]
    while rest:
        rest = [child for parent in rest for child in children.get(parent, ())]
        found += rest
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
