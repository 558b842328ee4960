"""llm.c's `.bin` files: the tensors of the PyTorch checkpoint of the same model, bit for bit, or a clear refusal."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
import torch

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.tensors import Stored

    Equal = Callable[[Stored, torch.Tensor], bool]
    State = dict[str, torch.Tensor]

T, V, L, H, D, PADDED = 6, 11, 3, 2, 4, 16
LAYER = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
ROWS = {"attn.c_attn": 3 * D, "mlp.c_fc": 4 * D}
COLUMNS = {"ln_1": None, "ln_2": None, "mlp.c_proj": 4 * D}


def gpt(dtype: torch.dtype) -> State:
    """A state_dict as llm.c's PyTorch model has it, the mask of its attention left out."""
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    state = {"transformer.wte.weight": random(V, D), "transformer.wpe.weight": random(T, D)}
    for layer in range(L):
        for part in LAYER:
            rows, columns = ROWS.get(part, D), COLUMNS.get(part, D)
            state[f"transformer.h.{layer}.{part}.weight"] = random(rows, columns) if columns else random(rows)
            state[f"transformer.h.{layer}.{part}.bias"] = random(rows)
    state |= {f"transformer.ln_f.{kind}": random(D) for kind in ("weight", "bias")}
    return {**state, "lm_head.weight": state["transformer.wte.weight"]}


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def packed(state: State, version: int, padding: float = 0.0) -> bytes:
    """What llm.c's write_model writes: all layers of one tensor after another."""
    header = struct.pack("<8i", 20240326, version, T, V, L, H, D, PADDED).ljust(1024, b"\0")
    wte = state["transformer.wte.weight"]
    tensors = [wte, torch.full((PADDED - V, D), padding, dtype=wte.dtype), state["transformer.wpe.weight"]]
    for part in LAYER:
        for kind in ("weight", "bias"):
            tensors += [state[f"transformer.h.{layer}.{part}.{kind}"] for layer in range(L)]
    tensors += [state["transformer.ln_f.weight"], state["transformer.ln_f.bias"]]
    return header + b"".join(map(raw, tensors))


@pytest.mark.parametrize(("version", "dtype"), [(3, torch.float32), (5, torch.bfloat16)])
def test_the_same_tensors_as_in_the_pytorch_checkpoint(
    version: int, dtype: torch.dtype, tmp_path: Path, equal: Equal
) -> None:
    state = gpt(dtype)
    (tmp_path / "gpt2_124M.bin").write_bytes(packed(state, version, padding=7.0))
    for path in (tmp_path / "gpt2_124M.bin", tmp_path):
        checkpoint = open_checkpoint(path)
        assert checkpoint.container == "llm.c weights file"
        assert list(checkpoint.tensors) == list(state)
        assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
        head, tokens = checkpoint.tensors["lm_head.weight"], checkpoint.tensors["transformer.wte.weight"]
        assert head.same_place(tokens)
        assert not any(ref.is_inflated for ref in checkpoint.tensors.values())
        assert checkpoint.lookup("llmc.n_head") == H
        assert checkpoint.metadata == {
            "llmc": {
                "version": version,
                "block_size": T,
                "vocab_size": V,
                "padded_vocab_size": PADDED,
                "padding_rows_cut_off": PADDED - V,
                "n_layer": L,
                "n_head": H,
                "n_embd": D,
            }
        }


def header(*numbers: int) -> bytes:
    return struct.pack("<8i", 20240326, *numbers).ljust(1024, b"\0")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (header(3, T, V, L, H, D, PADDED)[:500], "ends inside its header"),
        (header(1, T, V, L, H, D, PADDED), "version 1"),
        (header(3, T, V, 0, H, D, PADDED), "describes no model"),
        (header(3, T, V, -1, H, D, PADDED), "describes no model"),
        (header(3, T, V, L, H, D, V - 1), "describes no model"),
        (header(3, T, V, 2_000_000_000, H, D, PADDED), "describes no model"),
        (header(3, T, V, L, H, 2_000_000_000, PADDED), "size is not what its header says"),
        (packed(gpt(torch.float32), 3)[:-4], "size is not what its header says"),
        (packed(gpt(torch.float32), 3) + b"\0", "size is not what its header says"),
        (packed(gpt(torch.float32), 5), "size is not what its header says"),
    ],
)
def test_a_file_that_is_not_what_its_header_says_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path / "model.bin")
    assert said in str(error.value)
    assert error.value.remedies
