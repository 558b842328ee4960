"""One model in every container is converted to the same bytes, and proved."""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from ckpt2hf.api import Level, Request, Writing, convert, inspect, plan
from ckpt2hf.verify.memory import copied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
CASE = "nanogpt_bias"


@pytest.fixture
def trained(golden: Callable[[str], Any]) -> dict[str, Any]:
    return torch.load(golden(CASE).path, weights_only=True)


def distributed(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """A directory as FSDP on three ranks leaves it: rows of every tensor in three files, metadata beside them."""
    folder.mkdir()
    metadata = Metadata({}, planner_data={}, storage_data={})
    data = [b"", b"", b""]
    for name, tensor in state.items():
        chunks, start = [], 0
        for rank, part in enumerate(tensor.chunk(3) if tensor.ndim else [tensor]):
            stream = io.BytesIO()
            torch.save(part.clone(), stream)
            at = torch.Size([start, *[0] * (tensor.ndim - 1)] if tensor.ndim else [])
            info = _StorageInfo(f"__{rank}_0.distcp", len(data[rank]), stream.tell())
            metadata.storage_data[MetadataIndex(f"model.{name}", at)] = info
            chunks.append(ChunkStorageMetadata(at, part.size()))
            data[rank] += stream.getvalue()
            start += len(part) if tensor.ndim else 0
        properties = TensorProperties(dtype=tensor.dtype)
        metadata.state_dict_metadata[f"model.{name}"] = TensorStorageMetadata(properties, tensor.size(), chunks)
        metadata.planner_data[f"model.{name}"] = ("model", name)
    for rank, content in enumerate(data):
        (folder / f"__{rank}_0.distcp").write_bytes(content)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder


def same_output(report: Report, out: Path, expected: Path) -> None:
    assert report.verdict.proved
    for name in ("model.safetensors", "pytorch_model.bin", "config.json"):
        assert (out / name).read_bytes() == (expected / name).read_bytes()


def test_tensors_in_several_files_convert_to_the_same_bytes(
    trained: dict[str, Any], converted: Callable[[str], tuple[Path, Report]], flags: Any, tmp_path: Path
) -> None:
    source = distributed(tmp_path / "step-10", trained["model"])
    joined = inspect(Request(source=source, dialect="nanogpt")).checkpoint.tensors
    assert len(joined["transformer.wte.weight"].extents) == 3
    facts = (*flags[CASE].get("facts", ()), f"heads={trained['model_args']['n_head']}")
    said = {**flags[CASE], "facts": facts, "dialect": "nanogpt"}
    report = convert(Request(source=source, **said), Writing(out=tmp_path / "out", level=Level.LOGITS))
    same_output(report, tmp_path / "out", converted(CASE)[0])
    assert {file.name for file in report.source.files} == {".metadata", *(f"__{k}_0.distcp" for k in range(3))}


def test_what_has_to_be_put_together_is_counted_as_memory(
    trained: dict[str, Any], golden: Callable[[str], Any], flags: Any, tmp_path: Path
) -> None:
    facts = (*flags[CASE].get("facts", ()), f"heads={trained['model_args']['n_head']}")
    said = {**flags[CASE], "facts": facts, "dialect": "nanogpt"}
    one, several = (
        plan(Request(source=source, **said))
        for source in (golden(CASE).path, distributed(tmp_path / "step-10", trained["model"]))
    )
    pieces = {key: 4 * slot.meta.size for key, slot in several.slots.items()}
    joined = sum(pieces[key] for key in pieces if copied([several.slots[key]]) and not copied([one.slots[key]]))
    assert joined
    assert copied(several.slots.values()) == copied(one.slots.values()) + joined


def test_what_torch_saves_in_one_process_converts_to_the_same_bytes(
    trained: dict[str, Any], converted: Callable[[str], tuple[Path, Report]], flags: Any, tmp_path: Path
) -> None:
    dcp.save(trained, checkpoint_id=str(tmp_path / "a"), no_dist=True)
    writing = Writing(out=tmp_path / "out", level=Level.BYTES)
    same_output(convert(Request(source=tmp_path / "a", **flags[CASE]), writing), writing.out, converted(CASE)[0])


def test_a_file_of_llm_c_converts_to_the_same_bytes(
    trained: dict[str, Any], converted: Callable[[str], tuple[Path, Report]], flags: Any, tmp_path: Path
) -> None:
    state, args = trained["model"], trained["model_args"]
    sizes = [args["block_size"], args["vocab_size"], args["n_layer"], args["n_head"], args["n_embd"]]
    padding = -args["vocab_size"] % 128
    header = struct.pack("<8i", 20240326, 3, *sizes, args["vocab_size"] + padding).ljust(1024, b"\0")
    tensors = [state["transformer.wte.weight"], torch.zeros(padding, args["n_embd"]), state["transformer.wpe.weight"]]
    for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"):
        for kind in ("weight", "bias"):
            tensors += [state[f"transformer.h.{layer}.{part}.{kind}"] for layer in range(args["n_layer"])]
    tensors += [state["transformer.ln_f.weight"], state["transformer.ln_f.bias"]]
    source = tmp_path / "model.bin"
    source.write_bytes(header + b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors))
    facts = (*flags[CASE].get("facts", ()), f"heads={args['n_head']}")
    said = {**flags[CASE], "facts": facts, "dialect": "nanogpt"}
    report = convert(Request(source=source, **said), Writing(out=tmp_path / "out", level=Level.BYTES))
    same_output(report, tmp_path / "out", converted(CASE)[0])
