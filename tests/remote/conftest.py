"""An S3 server in a process of its own, the proxy before it, and checkpoints in a bucket."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import fsspec.config
import pytest
import torch

from ckpt2hf.remote import faults, open_store, path_or_url
from remote.proxy import Plan, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

SILENT = 1.0
"""Seconds of silence after which the tests' client gives up a request: the proxy stalls for longer."""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "loopback-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
PATIENCE = {"config_kwargs": {"connect_timeout": 5, "read_timeout": SILENT}}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server that lives as long as the tests."""
    port, log = free_port(), tmp_path_factory.mktemp("s3") / "server.log"
    words = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, **CREDENTIALS})
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the S3 server does not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


@dataclass
class S3:
    """A bucket of one test, the client that looks at it directly, and the proxy that ckpt2hf goes through."""

    bucket: str
    client: Any
    proxy: Proxy

    def url(self, key: str) -> Path:
        return path_or_url(f"s3://{self.bucket}/{key}")

    def upload(self, local: Path, key: str) -> Path:
        """A file or a folder in the bucket."""
        files = [local] if local.is_file() else [path for path in sorted(local.rglob("*")) if path.is_file()]
        for path in files:
            name = key if local.is_file() else f"{key}/{path.relative_to(local)}"
            self.client.put_object(Bucket=self.bucket, Key=name, Body=path.read_bytes())
        return self.url(key)

    def keys(self, prefix: str = "") -> dict[str, int]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
        return {each["Key"]: each["Size"] for each in found}

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def unfinished(self) -> list[str]:
        """Uploads in parts that were begun and neither completed nor aborted."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]

    def plan(self, **words: Any) -> Plan:
        """From now on the proxy does this, and counts from nothing."""
        self.proxy.plan = Plan(**words)
        return self.proxy.plan


@pytest.fixture
def s3(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    proxy = Proxy(server)
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": proxy.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setitem(fsspec.config.conf, "s3", PATIENCE)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server}")
    bucket = f"tests-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=bucket)
    yield S3(bucket, client, proxy)
    client.close()
    proxy.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short pauses, and stores that know nothing of the test before."""
    monkeypatch.setattr(faults, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(faults, "LONGEST_PAUSE", 0.05)
    open_store._store.cache_clear()
    yield
    open_store._store.cache_clear()


ARGS = {"n_layer": 4, "n_head": 4, "n_embd": 192, "block_size": 64, "bias": True, "vocab_size": 256, "dropout": 0.0}


def state_dict(seed: int) -> dict[str, torch.Tensor]:
    """The weights of a nanoGPT of some size, at random."""
    torch.manual_seed(seed)
    d, shapes = ARGS["n_embd"], {}
    for k in range(ARGS["n_layer"]):
        at = f"transformer.h.{k}"
        shapes |= {
            f"{at}.ln_1.weight": (d,),
            f"{at}.ln_1.bias": (d,),
            f"{at}.ln_2.weight": (d,),
            f"{at}.ln_2.bias": (d,),
        }
        for name, rows, columns in (
            ("attn.c_attn", 3 * d, d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", 4 * d, d),
            ("mlp.c_proj", d, 4 * d),
        ):
            shapes |= {f"{at}.{name}.weight": (rows, columns), f"{at}.{name}.bias": (rows,)}
    made = {
        "transformer.wte.weight": torch.randn(ARGS["vocab_size"], d) * 0.05,
        "transformer.wpe.weight": torch.randn(ARGS["block_size"], d) * 0.05,
        **{name: torch.randn(*shape) * 0.05 for name, shape in shapes.items()},
        "transformer.ln_f.weight": torch.randn(d),
        "transformer.ln_f.bias": torch.randn(d),
    }
    return {**made, "lm_head.weight": made["transformer.wte.weight"]}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A nanoGPT checkpoint in the middle of training: weights, and twice as much optimizer state."""
    folder = tmp_path_factory.mktemp("trained")

    def make(seed: int = 0, **options: Any) -> Path:
        path = folder / f"{seed}-{'-'.join(options)}" / "ckpt.pt"
        if not path.exists():
            path.parent.mkdir()
            model = state_dict(seed)
            moments = {
                k: {"step": torch.tensor(100.0), "exp_avg": torch.randn_like(w), "exp_avg_sq": torch.rand_like(w)}
                for k, w in enumerate(list(model.values())[:-1])
            }
            optimizer = {"state": moments, "param_groups": [{"lr": 1e-3, "params": list(moments)}]}
            saved = {"model": model, "optimizer": optimizer, "model_args": ARGS, "iter_num": 100, "config": {}}
            torch.save(saved, path, **options)
        return path

    return make
