"""What is found below a directory, and why everything else is not a checkpoint."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

from ckpt2hf.batch import discovery, listing
from ckpt2hf.batch.gather import gather
from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.batch.job import Gathered


SURVEY = importlib.import_module("ckpt2hf.checkpoints.survey")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "converted"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    made.mkdir()
    return made


def put(root: Path, *paths: str, content: bytes = b"x") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def jobs(root: Path, out: Path) -> dict[str, str]:
    """The path below the root of what each job opens, by its name."""
    return {job.name: os.path.relpath(job.request.source, root) for job in gather([str(root)], out).jobs}


def why(root: Path, gathered: Gathered) -> dict[str, str]:
    return {os.path.relpath(each.path, root): each.why for each in gathered.skipped}


def torch_zip() -> bytes:
    """The beginning of what torch.save writes."""
    import io  # noqa: PLC0415

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return file.getvalue()


REAL = {
    "nanogpt/ckpt.pt": None,
    "nanogpt/train.bin": "token data",
    "nanogpt/val.bin": "token data",
    "nanogpt/meta.pkl": "metadata of a data set",
    "llama2c/out/ckpt.pt": None,
    "llama2c/tok4096.bin": "tokenizer",
    "llama2c/tok4096.model": "tokenizer",
    "llama2c/tok4096.vocab": "tokenizer",
    "llama2c/tokenizer.bin": "tokenizer",
    "lightning/epoch=9-step=1000.ckpt": None,
    "lightning/events.out.tfevents.1700.host": "training log",
    "lightning/metrics.csv": "table or text data",
    "imagenet/model_best.pth.tar": None,
    "litgpt/lit_model.pth": None,
    "litgpt/iter-0001-ckpt.pth": None,
    "litgpt/model_config.yaml": "configuration",
    "megatron/iter_0000010/mp_rank_00/model_optim_rng.pt": None,
    "megatron/iter_0000010/mp_rank_00/distrib_optim.pt": "optimizer state",
    "deepspeed/global_step5/mp_rank_00_model_states.pt": None,
    "deepspeed/global_step5/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt": "optimizer state",
    "deepspeed/global_step5/zero_pp_rank_1_mp_rank_00_optim_states.pt": "optimizer state",
    "trainer/checkpoint-500/model.safetensors": None,
    "trainer/checkpoint-500/optimizer.pt": "optimizer state",
    "trainer/checkpoint-500/scheduler.pt": "learning rate schedule",
    "trainer/checkpoint-500/scaler.pt": "gradient scaler state",
    "trainer/checkpoint-500/rng_state_0.pth": "random number generator state",
    "trainer/checkpoint-500/training_args.bin": "training arguments",
    "trainer/checkpoint-500/trainer_state.json": "training log",
    "trainer/checkpoint-500/tokenizer.json": "tokenizer",
    "trainer/checkpoint-500/vocab.json": "tokenizer",
    "trainer/checkpoint-500/merges.txt": "tokenizer",
    "trainer/checkpoint-500/special_tokens_map.json": "tokenizer",
    "accelerate/best/pytorch_model.bin": None,
    "accelerate/best/optimizer.bin": "optimizer state",
    "accelerate/best/scheduler.bin": "learning rate schedule",
    "accelerate/best/sampler.bin": "data loader state",
    "accelerate/best/random_states_0.pkl": "random number generator state",
    "accelerate/best/custom_checkpoint_0.pkl": "state of another object of the training script",
    "torchtune/meta_model_0.pt": None,
    "torchtune/recipe_state.pt": "training state",
    "nanochat/d3/model_000010.pt": None,
    "nanochat/d3/optim_000010_rank0.pt": "optimizer state",
    "nanochat/d3/meta_000010.json": "configuration",
    "nanochat/tokenizer/tokenizer.pkl": "tokenizer",
    "nanochat/tokenizer/token_bytes.pt": "tokenizer",
    "olmo/step5-unsharded/model.pt": None,
    "olmo/step5-unsharded/optim.pt": "optimizer state",
    "olmo/step5-unsharded/train.pt": "token data or training state",
    "llama/consolidated.00.pth": None,
    "llama/tokenizer.model": "tokenizer",
    "build/model_19072.pt": None,
    "build/log.txt": "training log",
    "build/edufineweb_train_000001.npy": "token data or another NumPy array",
    "rasbt/model_and_optimizer.pth": None,
    "doubt/train_gpt2.pt": None,
    "doubt/val_loss_2.31.pt": None,
    "doubt/test.pt": None,
    "doubt/custom_checkpoint.pt": None,
    "doubt/meta_llama_finetuned.pt": None,
    "doubt/UPPER.PT": None,
    "doubt/.best.pt": None,
    "other/train.py": "code",
    "other/notes.md": "text",
    "other/README": "text",
    "other/loss.png": "image",
    "other/run.log": "training log",
    "other/all.tar.gz": "archive: unpack it",
    "other/all.zip": "archive: unpack it",
    "other/ckpt.pt.gz": "archive: unpack it",
    "other/ckpt.pt.tmp": "unfinished or temporary file",
    "other/._ckpt.pt": "file of a desktop system",
    "other/.gitignore": "hidden file",
    "other/model.onnx": "ONNX model, not a PyTorch file",
    "other/model.gguf": "GGUF or GGML model: convert the checkpoint it was made from",
    "other/model.ckpt-9.data-00000-of-00001": "TensorFlow model, not a PyTorch file",
    "other/model.ckpt-9.index": "TensorFlow model, not a PyTorch file",
}
"""What real codebases leave behind, and what is said of it; None for a checkpoint."""


def test_what_real_codebases_save_is_told_apart(runs: Path, out: Path) -> None:
    put(runs, *REAL)
    gathered = gather([str(runs)], out)
    opened = {os.path.relpath(job.request.source, runs) for job in gathered.jobs}
    assert opened == {path for path, reason in REAL.items() if reason is None}
    assert why(runs, gathered) == {path: reason for path, reason in REAL.items() if reason}


def test_names_decide_without_opening_anything(runs: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(runs, *REAL)
    opened: list[str] = []

    def noting(path: Path, *_: str) -> None:
        opened.append(path.name)
        raise CheckpointError("not to be opened")

    monkeypatch.setattr(SURVEY, "MappedFile", noting)
    monkeypatch.setattr(Path, "open", noting)
    gather([str(runs)], out)
    assert opened == ["model_best.pth.tar"]  # the only ending above that also means an archive


UNSURE: dict[str, tuple[bytes, str | None]] = {
    "zip.bin": (torch_zip(), None),
    "pickle.pkl": (pickle.dumps({"a": 1}), None),
    "old.bin": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", None),
    "safe.bin": ((60).to_bytes(8, "little") + b'{"a":1}'.ljust(60), None),
    "empty.bin": (b"", None),
    "lfs.bin": (b"version https://git-lfs.github.com/spec/v1\n", None),
    "stories15M.bin": ((288).to_bytes(4, "little") * 100, "no PyTorch file: no format"),
    "gpt2_124M.bin": ((20240326).to_bytes(4, "little") * 100, None),
    "text.bin": (b"hello world", "no PyTorch file: a text file"),
    "model.bin": (b"ggml" * 9, "no PyTorch file: a GGML model"),
    "archive.tar": (b"\0" * 257 + b"ustar" + b"\0" * 300, "no PyTorch file: a tar archive"),
    "ckpt.pth.tar": (b"\0" * 257 + b"ustar" + b"\0" * 300, None),
    "step-1000": (torch_zip(), None),
    "ckpt.pt.bak": (torch_zip(), None),
    "sheet.odt": (b"PK\x03\x04 something else", "nothing that PyTorch saved"),
    "cache.dat": (pickle.dumps({"a": 1}), "nothing that PyTorch saved"),
    "nothing": (b"", "nothing that PyTorch saved"),
}


def test_first_bytes_decide_where_names_do_not(runs: Path, out: Path) -> None:
    for name, (content, _) in UNSURE.items():
        put(runs, name, content=content)
    gathered = gather([str(runs)], out)
    assert {job.request.source.name for job in gathered.jobs} == {n for n, (_, reason) in UNSURE.items() if not reason}
    said = why(runs, gathered)
    assert said.keys() == {name for name, (_, reason) in UNSURE.items() if reason}
    assert all(said[name].startswith(reason) for name, (_, reason) in UNSURE.items() if reason)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"<html>"])
def test_a_checkpoint_that_did_not_arrive_is_a_job_and_refused(content: bytes, runs: Path, out: Path) -> None:
    put(runs, "ckpt.pt", content=content)
    (job,) = gather([str(runs)], out).jobs
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(job.request.source)
    assert error.value.remedies


def index(root: Path, name: str, *shards: str) -> None:
    put(root, name, content=json.dumps({"weight_map": {f"t{k}": shard for k, shard in enumerate(shards)}}).encode())


def test_an_index_and_its_shards_are_one_job(runs: Path, out: Path) -> None:
    shards = [f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)]
    put(runs / "big", *shards, "other.safetensors", "config.json", content=b"1234567")
    index(runs / "big", "model.safetensors.index.json", *shards)
    gathered = gather([str(runs)], out)
    assert [job.name for job in gathered.jobs] == ["big/model", "big/other"]
    first = gathered.jobs[0]
    assert first.request.source == runs / "big" / "model.safetensors.index.json"
    assert first.nbytes == 21 + first.request.source.stat().st_size
    assert {path.name for path in first.files} == {*shards, "model.safetensors.index.json", "config.json"}


def test_shards_belong_to_the_index_that_names_them_whatever_they_are_called(runs: Path, out: Path) -> None:
    put(runs, "head.safetensors", "body.safetensors")
    index(runs, "model.safetensors.index.json", "head.safetensors", "body.safetensors")
    assert jobs(runs, out) == {"runs": "model.safetensors.index.json"}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"weight_map": 3}', b"[" * 100_000, b'{"weight_map": {"a": 3}}'])
def test_a_broken_index_is_still_one_job(content: bytes, runs: Path, out: Path) -> None:
    put(runs, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    put(runs, "model.safetensors.index.json", content=content)
    assert jobs(runs, out) == {"runs": "model.safetensors.index.json"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)], "no index"),
        (["mp_rank_00/model_optim_rng.pt", "mp_rank_01/model_optim_rng.pt"], "split over the ranks"),
        ([f"zero_pp_rank_{k}_mp_rank_00_model_states.pt" for k in (0, 1)], "split over the ranks"),
        ([".metadata", "__0_0.distcp", "__1_0.distcp"], "distributed checkpoint"),
        (["checkpoint_metadata.json", "model/a/model_weight.safetensors", "optimizer/o.pt"], "nanotron"),
    ],
)
@pytest.mark.parametrize("beside", [(), ("other.pt",)])
def test_parts_that_cannot_be_put_together_are_one_job_that_says_so(
    files: list[str], said: str, beside: Iterable[str], runs: Path, out: Path
) -> None:
    put(runs / "a", *files, *beside, content=b"123")
    found = gather([str(runs)], out)
    whole = [job for job in found.jobs if job.request.source == runs / "a"]
    assert len(found.jobs) == 1 + len(list(beside))
    assert whole[0].nbytes == 3 * len(files)
    assert {os.path.relpath(path, runs / "a") for path in whole[0].files} == set(files)
    with pytest.raises((CheckpointError, UsageError)) as error:
        open_checkpoint(whole[0].request.source)
    assert said in error.value.what
    assert error.value.remedies


def test_one_rank_s_boxes_are_not_jobs_of_their_own(runs: Path, out: Path) -> None:
    put(runs / "a", *(f"shard-0000{k}-model-00001-of-00001.safetensors" for k in (1, 2)))
    assert jobs(runs, out) == {"a": "a"}


def test_optimizer_state_of_a_distributed_checkpoint_is_no_job(runs: Path, out: Path) -> None:
    put(runs, "pytorch_model_fsdp_0/.metadata", "pytorch_model_fsdp_0/__0_0.distcp")
    put(runs, "optimizer_0/.metadata", "optimizer_0/__0_0.distcp")
    gathered = gather([str(runs)], out)
    assert [job.name for job in gathered.jobs] == ["pytorch_model_fsdp_0"]
    assert why(runs, gathered)["optimizer_0/__0_0.distcp"] == "optimizer state"


def saved(root: Path, **states: dict[str, torch.Tensor]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, state in states.items():
        torch.save(state, root / name.replace("__", "."))


def test_ranks_that_can_be_joined_are_one_job_with_their_settings(runs: Path, out: Path) -> None:
    ranks = [{"norm.weight": torch.ones(4), "output.weight": torch.full((2, 4), float(rank))} for rank in (0, 1)]
    saved(runs / "llama", consolidated__00__pth=ranks[0], consolidated__01__pth=ranks[1])
    put(runs / "llama", "params.json", "config.yaml", "tokenizer.model", content=b"{}")
    gathered = gather([str(runs)], out)
    (job,) = gathered.jobs
    assert job.request.source == runs / "llama"
    assert [path.name for path in job.files] == [
        "consolidated.00.pth",
        "consolidated.01.pth",
        "config.yaml",
        "params.json",
        "tokenizer.model",
    ]
    assert job.nbytes == sum(path.stat().st_size for path in (runs / "llama").glob("*.pth"))
    assert open_checkpoint(job.request.source).tensors["output.weight"].meta.shape == (4, 4)
    assert why(runs, gathered)["llama/params.json"] == "configuration"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_distributed_checkpoint_is_one_job_that_opens(runs: Path, out: Path) -> None:
    state = {"model": {"w.weight": torch.ones(3, 2)}, "optim": {"state": {}, "param_groups": []}}
    dcp.save(state, checkpoint_id=str(runs / "checkpoint" / "step-10"), no_dist=True)
    put(runs / "checkpoint" / "step-10", "params.json", content=b"{}")
    (job,) = gather([str(runs)], out).jobs
    assert job.request.source == runs / "checkpoint" / "step-10"
    assert {path.name for path in job.files} == {".metadata", "__0_0.distcp", "params.json"}
    assert list(open_checkpoint(job.request.source).tensors) == ["w.weight"]


def test_each_numbered_checkpoint_has_its_own_settings(runs: Path, out: Path) -> None:
    put(
        runs / "d3",
        *(f"{kind}_0000{step}.{ending}" for kind, ending in (("model", "pt"), ("meta", "json")) for step in (10, 20)),
    )
    jobs_ = gather([str(runs)], out).jobs
    assert [[path.name for path in job.files] for job in jobs_] == [
        ["model_000010.pt", "meta_000010.json"],
        ["model_000020.pt", "meta_000020.json"],
    ]


def test_one_shard_of_one_is_a_checkpoint(runs: Path, out: Path) -> None:
    put(runs, "model-00001-of-00001.safetensors")
    assert jobs(runs, out) == {"model-00001-of-00001": "model-00001-of-00001.safetensors"}


def test_both_formats_of_one_model_are_one_job(runs: Path, out: Path) -> None:
    put(runs, "hf/model.safetensors", "hf/pytorch_model.bin")
    gathered = gather([str(runs)], out)
    assert [job.name for job in gathered.jobs] == ["hf"]
    assert why(runs, gathered) == {"hf/pytorch_model.bin": "the same model as model.safetensors"}
    (job,) = gather([str(runs / "hf" / "pytorch_model.bin")], out).jobs
    assert job.request.source.name == "pytorch_model.bin"


def test_what_ckpt2hf_made_and_what_nobody_wants_is_one_line_each(runs: Path, out: Path) -> None:
    put(runs, "a.pt", "made/conversion.json", "made/model.safetensors", "made.partial-12ab/model.safetensors")
    put(runs, ".git/objects/x.pt", "__pycache__/a.pt", "venv/pyvenv.cfg", "venv/lib/t.pt", ".ckpt2hf/j.pt")
    gathered = gather([str(runs)], out)
    assert [job.name for job in gathered.jobs] == ["a"]
    assert why(runs, gathered) == {
        "made": "made by ckpt2hf",
        "made.partial-12ab": "unfinished output of ckpt2hf",
        ".git": "hidden directory",
        ".ckpt2hf": "hidden directory",
        "__pycache__": "compiled code",
        "venv": "Python environment",
    }


def test_the_output_is_never_searched(runs: Path) -> None:
    put(runs, "a.pt", "out/b.pt", "out/deep/c.pt")
    (runs / "again").symlink_to(runs / "out")
    assert jobs(runs, runs / "out") == {"a": "a.pt"}
    for inside in ("out", "out/deep", "out/b.pt", "again", "again/deep/c.pt"):
        with pytest.raises(UsageError, match="no checkpoint"):
            gather([str(runs / inside)], runs / "out")
    with pytest.raises(UsageError, match="no checkpoint"):
        gather([str(runs)], runs)


def test_every_file_is_found_once_and_by_its_own_name(runs: Path, out: Path) -> None:
    put(runs, "real/z.pt", "outside/far.pt")
    (runs / "a.pt").symlink_to(runs / "real" / "z.pt")
    (runs / "real" / "zz.pt").hardlink_to(runs / "real" / "z.pt")
    (runs / "a_link").symlink_to(runs / "real")
    (runs / "real" / "loop").symlink_to(runs)
    (runs / "real" / "gone.pt").symlink_to(runs / "nowhere.pt")
    (runs / "real" / "self.pt").symlink_to(runs / "real" / "self.pt")
    os.mkfifo(runs / "pipe.pt")
    gathered = gather([str(runs)], out)
    assert [str(job.request.source.relative_to(runs)) for job in gathered.jobs] == ["outside/far.pt", "real/z.pt"]
    assert why(runs, gathered) == {
        "a.pt": f"the same file as {runs / 'real' / 'z.pt'}",
        "real/zz.pt": f"the same file as {runs / 'real' / 'z.pt'}",
        "a_link": f"the same directory as {runs / 'real'}",
        "real/loop": f"the same directory as {runs}",
        "real/gone.pt": "link that leads nowhere",
        "real/self.pt": "link that leads nowhere",
        "pipe.pt": "no regular file",
    }


def test_links_out_of_the_tree_are_followed(tmp_path: Path, runs: Path, out: Path) -> None:
    put(tmp_path / "store", "x/ckpt.pt", "big.pt")
    (runs / "linked").symlink_to(tmp_path / "store" / "x")
    (runs / "one.pt").symlink_to(tmp_path / "store" / "big.pt")
    assert jobs(runs, out) == {"linked/ckpt": "linked/ckpt.pt", "one": "one.pt"}


def test_a_cache_of_the_hub_is_known_by_its_snapshots(runs: Path, out: Path) -> None:
    put(runs, "models--a/blobs/abc123", content=torch_zip())
    snapshot = runs / "models--a" / "snapshots" / "rev"
    snapshot.mkdir(parents=True)
    (snapshot / "pytorch_model.bin").symlink_to(runs / "models--a" / "blobs" / "abc123")
    assert jobs(runs, out) == {"models--a/snapshots/rev": "models--a/snapshots/rev/pytorch_model.bin"}


def test_loops_end_under_a_pattern_too(runs: Path, out: Path) -> None:
    put(runs, "a/ckpt.pt")
    (runs / "a" / "up").symlink_to(runs)
    assert len(gather([f"{runs}/**/*.pt"], out).jobs) == 1


def test_a_directory_that_cannot_be_read_is_said(runs: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(runs, "a.pt", "secret/b.pt")

    def refusing(folder: Path) -> list[listing.Entry]:
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied")
        return listing.listing(folder)

    monkeypatch.setattr(discovery, "listing", refusing)
    gathered = gather([str(runs)], out)
    assert [job.name for job in gathered.jobs] == ["a"]
    assert why(runs, gathered) == {"secret": "cannot be listed: Permission denied"}


def test_the_order_of_the_file_system_makes_no_difference(
    runs: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(runs, *REAL, "s/step_9.pt", "s/step_10.pt", "a.pt", "A.pt", "a.pth", "a/b.pt")
    (runs / "first").symlink_to(runs / "s")
    (runs / "second").symlink_to(runs / "s")
    expected = gather([str(runs)], out)
    order = random.Random(7)  # noqa: S311 - an order, not a secret

    def shuffled(folder: Path) -> list[listing.Entry]:
        entries = listing.listing(folder)
        order.shuffle(entries)
        return entries

    monkeypatch.setattr(discovery, "listing", shuffled)
    for _ in range(5):
        assert gather([str(runs)], out) == expected
    names = [job.name for job in expected.jobs]
    assert names.index("s/step_9") + 1 == names.index("s/step_10")


def test_thousands_of_files_are_each_looked_at_once(runs: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in range(20):
        put(runs, *(f"d{folder}/step_{k}.pt" for k in range(125)), *(f"d{folder}/n{k}.txt" for k in range(125)))
    counts = {"listing": 0, "status": 0, "match": 0}

    def counted(name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            counts[name] += 1
            return function(*args)

        return call

    monkeypatch.setattr(discovery, "listing", counted("listing", listing.listing))
    monkeypatch.setattr(listing, "status", counted("status", listing.status))
    monkeypatch.setattr(SURVEY, "MappedFile", None)
    gathered = gather([str(runs)], out)
    assert (len(gathered.jobs), len(gathered.skipped)) == (2500, 2500)
    assert counts["listing"] == 21
    assert counts["status"] <= 2 * 2500 + 2 * 21 + 2
