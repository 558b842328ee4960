"""Kills the container of a batch with SIGKILL at random moments, and looks whether anything is lost.

    python scripts/disturb_container.py --count 50 --image ckpt2hf:cpu

The same questions as those of disturb_batch.py: after each kill every directory under a final name is complete and the
journal is true; after another run of the same container every output is, byte for byte, what an undisturbed one writes.
Needs a Docker engine (DOCKER_HOST and DOCKER as `scripts/docker-engine.sh up` prints them).
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from disturb_batch import Sample, Tally, faults, lies, make_inputs, tree_of, verdicts_of

DOCKER = os.environ.get("DOCKER", "docker")
HARDENED = (
    *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp"),  # noqa: S108 - the container's own
)


@dataclass(frozen=True)
class Boxed:
    """A container that converts `inputs` into `out`."""

    image: str
    inputs: Path
    out: Path
    name: str

    @classmethod
    def begun(cls, image: str, inputs: Path, out: Path) -> tuple[Boxed, subprocess.Popen[bytes]]:
        """The container, started, and the client that waits for it."""
        out.mkdir(parents=True, exist_ok=True)
        box = cls(image, inputs, out, f"ckpt2hf-{uuid.uuid4().hex[:12]}")
        user = f"{os.getuid()}:{os.getgid()}"
        mounts = ("-v", f"{inputs}:/in:ro", "-v", f"{out}:/out")
        words = ("batch", "/in", "-o", "/out", "--verify", "bytes", "--workers", "2", "--quiet")
        command = [DOCKER, "run", "--rm", "--name", box.name, "--user", user, *HARDENED, *mounts, image, *words]
        return box, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def kill(self) -> bool:
        """Whether it was there to be killed."""
        killed = subprocess.run([DOCKER, "kill", "--signal", "KILL", self.name], capture_output=True, check=False)
        while subprocess.run([DOCKER, "inspect", self.name], capture_output=True, check=False).returncode == 0:
            time.sleep(0.01)
        return killed.returncode == 0


def main() -> None:
    """Kill, look, finish, compare; as often as asked for."""
    parser = argparse.ArgumentParser(description="Kill the container of a batch at random moments.")
    parser.add_argument("--count", type=int, default=50, help="kills that find it at work")
    parser.add_argument("--image", default="ckpt2hf:cpu")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    moments = random.Random(given.seed)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in"
        make_inputs(inputs, 8)
        began = time.monotonic()
        _, client = Boxed.begun(given.image, inputs, Path(folder) / "whole")
        client.communicate()
        whole = Path(folder) / "whole"
        sample = replace(Sample(inputs), tree=tree_of(whole), verdicts=verdicts_of(whole))
        tally = Tally(time.monotonic() - began)
        while tally.met < given.count and tally.moments < 4 * given.count:
            tally.moments += 1
            disturb(given.image, sample, Path(folder) / f"{tally.moments}", moments, tally)
    print(f"container: {tally.moments} moments, {tally.met} met it at work, {len(tally.complaints)} complaints")
    for complaint in tally.complaints:
        print(f"  {complaint}")
    raise SystemExit(bool(tally.complaints))


def disturb(image: str, sample: Sample, out: Path, moments: random.Random, tally: Tally) -> None:
    """One kill, and the run that makes it good."""
    moment = moments.uniform(0, tally.pace)
    box, client = Boxed.begun(image, sample.inputs, out)
    time.sleep(moment)
    tally.met += box.kill()
    client.communicate()
    found = lies(out, sample)
    _, client = Boxed.begun(image, sample.inputs, out)
    _, said = client.communicate()
    if client.returncode != 1:  # two of the checkpoints are none
        found.append(f"the rerun ended with {client.returncode}: {said.decode()}")
    found += faults(out, sample)
    tally.complaints += [f"killed after {moment:.3f} s: {each}" for each in found]


if __name__ == "__main__":
    main()
