"""Two processes that shard a state dict and save it together: `python dcp_ranks.py RANK FOLDER KIND`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

WORLD = 2


def tensors() -> dict[str, torch.Tensor]:
    """What the run holds: sizes that two does not divide, a tensor of which one rank gets nothing, a scalar."""
    generator = torch.Generator().manual_seed(3)
    return {
        "tok_embeddings.weight": torch.randn(7, 5, generator=generator),
        "layers.0.attention.wo.weight": torch.randn(5, 9, generator=generator),
        "layers.0.narrow.weight": torch.randn(1, 5, generator=generator),
        "norm.weight": torch.randn(5, generator=generator).to(torch.bfloat16),
        "scale": torch.tensor(2.5),
        "freqs_cis": torch.polar(torch.ones(6, 2), torch.arange(12.0).reshape(6, 2)),
    }


def main(rank: int, folder: Path, kind: str) -> None:
    """Shard, save; every rank takes part."""
    dist.init_process_group("gloo", init_method=f"file://{folder}.rendezvous", rank=rank, world_size=WORLD)
    mesh = init_device_mesh("cpu", (WORLD,))
    axes = {"layers.0.attention.wo.weight": Shard(1), "scale": Replicate(), "freqs_cis": Replicate()}
    model = {name: distribute_tensor(t, mesh, [axes.get(name, Shard(0))]) for name, t in tensors().items()}
    if kind == "safetensors":
        state = {name: t for name, t in model.items() if not t.is_complex()}
        dcp.save(state, storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))
    else:
        optimizer = {"state": {name: {"exp_avg": t} for name, t in model.items()}, "param_groups": [{"lr": 0.1}]}
        flat = {**model, "optimizer": optimizer, "train_state": {"step": torch.tensor(30)}, "dataloader": {"seen": 7}}
        nested = {"model": model, "optim": optimizer, "step": 30}
        dcp.save(flat if kind == "flat" else nested, checkpoint_id=str(folder))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
