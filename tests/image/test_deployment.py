"""What docker/ offers to schedulers says every restriction; the array script and the engine script do what they say."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SLURM = ROOT / "docker" / "slurm-array.sh"
ENGINE = ROOT / "scripts" / "docker-engine.sh"
BASH = shutil.which("bash") or "/bin/bash"
SCRIPTS = [SLURM, ENGINE, *(ROOT / "scripts" / name for name in ("image.sh", "lock.sh"))]

# Stands in for ckpt2hf: it writes down its words and what it is told about threads.
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$@" >"$RECORD"
echo "threads ${OMP_NUM_THREADS:-}" >>"$RECORD"
exit "${STUB_CODE:-0}"
"""
# Works until it is told to stop, cleans up for a moment, and says how it ended.
SLOW_STUB = """#!/usr/bin/env bash
trap 'sleep 0.3; echo cleaned >"$RECORD"; exit 143' TERM
echo begun >"$RECORD"
while :; do sleep 0.05; done
"""


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts the array script as one task, with programs of our own first on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "in").mkdir()

    def start(*words: str, stub: str = STUB, name: str = "ckpt2hf", **variables: str) -> subprocess.Popen[bytes]:
        program(tmp_path / "bin", name, stub)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "CKPT2HF_", "OMP_"))}
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**kept, "PATH": path, "RECORD": str(tmp_path / "record"), **variables}
        with (tmp_path / "said").open("w", encoding="utf-8") as said:
            return subprocess.Popen([BASH, str(SLURM), *words], cwd=tmp_path, env=environment, stderr=said)

    return start


def test_compose_says_every_restriction() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {name: service["image"] for name, service in services.items()} == {
        "ckpt2hf": "ckpt2hf:cpu",
        "ckpt2hf-gpu": "ckpt2hf:cuda",
    }
    for service in services.values():
        assert service["network_mode"] == "none"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"].startswith("${CKPT2HF_USER:?")
        assert service["mem_limit"] == service["memswap_limit"]
        assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - in the container
        assert {mount["target"]: mount.get("read_only", False) for mount in service["volumes"]} == {
            "/in": True,
            "/out": False,
        }
        assert not {"privileged", "cap_add", "ports", "devices", "command"} & set(service)
    gpu = services["ckpt2hf-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


@pytest.fixture
def job() -> dict[str, Any]:
    documents = list(yaml.safe_load_all((ROOT / "docker" / "kubernetes-job.yaml").read_text(encoding="utf-8")))
    assert [(found["apiVersion"], found["kind"]) for found in documents] == [
        ("batch/v1", "Job"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    ]
    assert documents[1]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(documents[1]["spec"])
    labels = documents[0]["spec"]["template"]["metadata"]["labels"]
    assert documents[1]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    found: dict[str, Any] = documents[0]
    return found


def test_the_job_is_split_into_as_many_parts_as_are_told(job: dict[str, Any]) -> None:
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"] == ["batch", "/in", "-o", "/out", "--shard", "auto"]
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {"CKPT2HF_SHARDS": str(spec["completions"])}
    assert spec["parallelism"] <= spec["completions"]


def test_the_job_says_every_restriction(job: dict[str, Any]) -> None:
    pod = job["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {"/in", "/out", "/tmp"}  # noqa: S108 - in the container
    assert mounts["/in"]["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert "emptyDir" in volumes["tmp"]


def test_the_job_tries_again_only_what_can_go_otherwise(job: dict[str, Any]) -> None:
    spec = job["spec"]
    assert spec["backoffLimitPerIndex"] >= 1
    ignored, failed = spec["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])
    assert failed["action"] == "FailIndex"
    assert failed["onExitCodes"]["operator"] == "In"
    assert failed["onExitCodes"]["values"] == [1, 2, 70]
    assert failed["onExitCodes"]["containerName"] == spec["template"]["spec"]["containers"][0]["name"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_strict_and_can_be_read(path: Path) -> None:
    subprocess.run([BASH, "-n", str(path)], check=True)
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variables", "share"),
    [
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MAX": "4"}, "3/4"),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MAX": "7", "CKPT2HF_SHARDS": "16"}, "7/16"),
    ],
)
def test_an_array_task_takes_its_share(task: Callable, tmp_path: Path, variables: dict[str, str], share: str) -> None:
    process = task("in", "out", "--verify", "bytes", SLURM_CPUS_PER_TASK="4", **variables)
    assert process.wait() == 0
    words = (tmp_path / "record").read_text(encoding="utf-8").splitlines()
    folders = [str(tmp_path / name) for name in ("in", "out")]
    assert words == ["batch", folders[0], "-o", folders[1], "--shard", share, "--verify", "bytes", "threads 4"]


def test_an_array_task_runs_an_image_without_network(task: Callable, tmp_path: Path) -> None:
    variables = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MAX": "2", "CKPT2HF_SIF": "ckpt2hf.sif"}
    process = task("in", "out", name="apptainer", **variables)
    assert process.wait() == 0
    words = (tmp_path / "record").read_text(encoding="utf-8").split()
    assert words[0] == "run"
    assert {"--containall", "--no-home", "--no-privs", f"{tmp_path / 'in'}:/in:ro"} <= set(words)
    assert words[words.index("--network") + 1] == "none"
    assert " ".join(words).endswith("ckpt2hf.sif batch /in -o /out --shard 1/2 threads 1")


def test_an_array_task_passes_the_exit_code_on(task: Callable) -> None:
    assert task("in", "out", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_MAX="1", STUB_CODE="70").wait() == 70


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("in", "out"), {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MAX": "3"}),
        (("in", "out"), {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MAX": "5", "CKPT2HF_SHARDS": "4"}),
        (("in", "out"), {}),
        (("in",), {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MAX": "1"}),
    ],
    ids=["from zero", "beyond the last", "no array", "no output"],
)
def test_an_array_task_without_a_share_does_nothing(
    task: Callable, tmp_path: Path, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    process = task(*words, **variables)
    assert process.wait(20)
    assert "array" in (tmp_path / "said").read_text(encoding="utf-8")
    assert not (tmp_path / "record").exists()


def test_an_array_task_that_is_told_to_end_lets_its_program_clean_up(task: Callable, tmp_path: Path) -> None:
    process = task("in", "out", stub=SLOW_STUB, SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_MAX="1")
    record, deadline = tmp_path / "record", time.monotonic() + 20
    while not record.exists() or record.read_text(encoding="utf-8") != "begun\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert record.read_text(encoding="utf-8") == "cleaned\n"


@pytest.mark.parametrize("uid", ["0", "1000"])
def test_a_running_engine_is_left_alone(tmp_path: Path, uid: str) -> None:
    """Nothing is installed, started or made: the programs for that are not even there."""
    done = engine_up(tmp_path, uid, runs=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "export DOCKER_BUILDKIT=1\n", "")
    assert not (tmp_path / "engine").exists()


def test_without_an_engine_only_root_gets_one(tmp_path: Path) -> None:
    done = engine_up(tmp_path, "1000", runs=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "start Docker, or run this as root" in done.stderr
    assert not (tmp_path / "engine").exists()


def engine_up(folder: Path, uid: str, *, runs: bool) -> subprocess.CompletedProcess[str]:
    """`docker-engine.sh up` where a `docker` that answers or does not is all there is."""
    (folder / "bin").mkdir()
    program(folder / "bin", "docker", f"#!/bin/sh\nexit {int(not runs)}\n")
    program(folder / "bin", "id", f"#!/bin/sh\necho {uid}\n")
    for name in ("apt-get", "dockerd", "mmdebstrap"):
        program(folder / "bin", name, "#!/bin/sh\nexit 9\n")
    kept = {key: value for key, value in os.environ.items() if key not in {"DOCKER", "DOCKER_HOST", "BASE_IMAGE"}}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, "PATH": path, "CKPT2HF_ENGINE_DIR": str(folder / "engine")}
    return subprocess.run([BASH, ENGINE, "up"], env=environment, capture_output=True, text=True, check=False)
