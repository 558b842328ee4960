"""Files of the ranks of one model: joined they are the model; anything missing, mixed or unknown is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.tensors import Stored

    Equal = Callable[[Stored, torch.Tensor], bool]
    State = dict[str, torch.Tensor]

# Unequal everywhere, so that a wrong axis does not fit by chance: vocabulary, width, kv width, hidden.
V, D, K, F = 12, 8, 4, 20
META_AXES = {
    "tok_embeddings.weight": (1, (V, D)),
    "layers.0.attention.wq.weight": (0, (D, D)),
    "layers.0.attention.wk.weight": (0, (K, D)),
    "layers.0.attention.wv.weight": (0, (K, D)),
    "layers.0.attention.wo.weight": (1, (D, D)),
    "layers.0.feed_forward.w1.weight": (0, (F, D)),
    "layers.0.feed_forward.w2.weight": (1, (D, F)),
    "layers.0.feed_forward.w3.weight": (0, (F, D)),
    "layers.0.attention_norm.weight": (None, (D,)),
    "layers.0.ffn_norm.weight": (None, (D,)),
    "norm.weight": (None, (D,)),
    "output.weight": (0, (V, D)),
    "rope.freqs": (None, (D // 2,)),
}
"""Where Meta's code cuts what (Llama 2), and the shape of the whole."""
PICOTRON_AXES = {
    "embedding.weight": (0, (V, D)),
    "decoder_layers.0.input_layernorm.weight": (None, (D,)),
    "decoder_layers.0.attention.q_proj.weight": (0, (D, D)),
    "decoder_layers.0.attention.k_proj.weight": (0, (K, D)),
    "decoder_layers.0.attention.v_proj.weight": (0, (K, D)),
    "decoder_layers.0.attention.out_proj.weight": (1, (D, D)),
    "decoder_layers.0.post_attention_layernorm.weight": (None, (D,)),
    "decoder_layers.0.mlp.up_proj.weight": (0, (F, D)),
    "decoder_layers.0.mlp.gate_proj.weight": (0, (F, D)),
    "decoder_layers.0.mlp.down_proj.weight": (1, (D, F)),
    "decoder_layers.1.mlp.down_proj.weight": (1, (D, F)),
    "final_norm.weight": (None, (D,)),
    "final_proj.weight": (0, (V, D)),
}
STAGES = (
    ["embedding.weight", *(name for name in PICOTRON_AXES if name.startswith("decoder_layers.0."))],
    ["decoder_layers.1.mlp.down_proj.weight", "final_norm.weight", "final_proj.weight"],
)
"""What each of two stages of picotron's pipeline has; layers keep their numbers."""

Axes = "Mapping[str, tuple[int | None, tuple[int, ...]]]"


def model(axes: Axes) -> State:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(shape, generator=generator) for name, (_, shape) in axes.items()}


def slices(state: State, axes: Axes, count: int) -> list[State]:
    """Each rank's share."""
    ranks: list[State] = [{} for _ in range(count)]
    for name, tensor in state.items():
        axis = axes[name][0]
        parts = [tensor] * count if axis is None else tensor.chunk(count, axis)
        for rank, part in zip(ranks, parts, strict=True):
            rank[name] = part.clone()
    return ranks


def meta(folder: Path, count: int = 2, **changed: tuple[int, tuple[int, ...]]) -> State:
    """Files as Meta's code names them, and the model they are."""
    axes = {**META_AXES, **{name.replace("__", "."): value for name, value in changed.items()}}
    state = model(axes)
    for rank, part in enumerate(slices(state, axes, count)):
        torch.save(part, folder / f"consolidated.{rank:02}.pth")
    (folder / "params.json").write_text('{"dim": 8, "n_heads": 2}')
    return state


def picotron_name(slice_: int, slices_: int, stage: int, stages: int) -> str:
    return f"weights_tp_rank_world_size={slice_}_{slices_}_pp_rank_world_size={stage}_{stages}.pth"


def picotron(folder: Path, count: int = 2, **extra: Any) -> State:
    """Files of two stages of `count` slices, and the model they are."""
    state = model(PICOTRON_AXES)
    for rank, part in enumerate(slices(state, PICOTRON_AXES, count)):
        for stage, names in enumerate(STAGES):
            saved = {"model": {name: part[name] for name in names}, "optimizer": {"state": {}, "param_groups": []}}
            path = folder / picotron_name(rank, count, stage, 2)
            torch.save({**saved, "trained_steps": 7, "trained_tokens": 70, **extra}, path)
    return state


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shards_of_meta_are_the_model(count: int, tmp_path: Path, equal: Equal) -> None:
    state = meta(tmp_path, count)
    checkpoint = open_checkpoint(tmp_path)
    assert list(checkpoint.tensors) == list(state)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
    assert len(checkpoint.files) == count
    assert checkpoint.side == {"params.json": {"dim": 8, "n_heads": 2}}
    assert checkpoint.container == ("torch zip file" if count == 1 else f"{count} files of Meta's model parallelism")


def test_the_rows_of_llama_3s_embedding_are_cut(tmp_path: Path, equal: Equal) -> None:
    state = meta(tmp_path, tok_embeddings__weight=(0, (V, D)))
    assert equal(open_checkpoint(tmp_path).tensors["tok_embeddings.weight"], state["tok_embeddings.weight"])


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module."])
def test_a_wrapper_does_not_hide_the_names(prefix: str, tmp_path: Path, equal: Equal) -> None:
    state = model(META_AXES)
    for rank, part in enumerate(slices(state, META_AXES, 2)):
        torch.save({prefix + name: tensor for name, tensor in part.items()}, tmp_path / f"consolidated.{rank:02}.pth")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.prefixes == (prefix,)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())


def test_safetensors_of_several_ranks(tmp_path: Path, equal: Equal) -> None:
    state = model(META_AXES)
    for rank, part in enumerate(slices(state, META_AXES, 2)):
        save_file(part, tmp_path / f"consolidated.{rank:02}.safetensors")
    assert equal(open_checkpoint(tmp_path).tensors["output.weight"], state["output.weight"])


def changed(folder: Path, rank: int, change: Callable[[State], object]) -> None:
    path = folder / f"consolidated.{rank:02}.pth"
    state = torch.load(path)
    change(state)
    torch.save(state, path)


def one_bit(state: State) -> None:
    state["norm.weight"].view(torch.int32)[3] ^= 1


FAULTS: dict[str, tuple[Callable[[State], object], str]] = {
    "a norm differs by one bit": (one_bit, "norm.weight should be the same in every file"),
    "a tensor is missing": (lambda s: s.pop("output.weight"), "not every file has the same tensors: output.weight"),
    "a tensor too many": (lambda s: s.update(odd=torch.ones(2, 2)), "not every file has the same tensors: odd"),
    "another shape": (lambda s: s.update({"output.weight": torch.zeros(5, D)}), "parts of output.weight do not fit"),
    "another type": (lambda s: s.update({"output.weight": s["output.weight"].half()}), "do not fit together"),
    "another width": (lambda s: s.update({"tok_embeddings.weight": torch.zeros(V, 3)}), "do not fit together"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_ranks_that_do_not_agree_are_refused(fault: str, tmp_path: Path) -> None:
    meta(tmp_path)
    change, said = FAULTS[fault]
    changed(tmp_path, 1, change)
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path)
    assert said in str(error.value)
    assert error.value.remedies


@pytest.mark.parametrize(
    "name", ["layers.0.feed_forward.gate.weight", "layers.0.output.weight", "other.layers.0.attention.wq.weight"]
)
def test_a_name_without_a_known_axis_is_refused_by_name(name: str, tmp_path: Path) -> None:
    meta(tmp_path)
    for rank in (0, 1):
        changed(tmp_path, rank, lambda s: s.update({name: torch.ones(4, D)}))
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path)
    assert error.value.details == (name,)


def test_an_embedding_without_a_norm_to_compare_with_is_refused(tmp_path: Path) -> None:
    meta(tmp_path)
    for rank in (0, 1):
        changed(tmp_path, rank, lambda s: s.pop("norm.weight"))
    with pytest.raises(CheckpointError, match=r"how tok_embeddings\.weight was cut cannot be told"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("gone", [(0,), (1,), (3,), (2, 3), (1, 2, 3)])
def test_a_missing_rank_is_noticed_even_if_it_is_the_last(gone: tuple[int, ...], tmp_path: Path) -> None:
    meta(tmp_path, 4)
    for rank in gone:
        (tmp_path / f"consolidated.{rank:02}.pth").unlink()
    with pytest.raises(CheckpointError, match=r"missing|files of this model"):
        open_checkpoint(tmp_path)
    if gone == (1, 2, 3):
        with pytest.raises(CheckpointError, match="files of this model are missing"):
            open_checkpoint(tmp_path / "consolidated.00.pth")


def test_a_rank_is_named_by_its_directory(tmp_path: Path) -> None:
    meta(tmp_path)
    with pytest.raises(UsageError, match="one part") as error:
        open_checkpoint(tmp_path / "consolidated.00.pth")
    assert error.value.remedies == (f"name the directory: {tmp_path}",)


def test_other_checkpoints_beside_the_ranks_leave_it_open(tmp_path: Path) -> None:
    state = meta(tmp_path)
    torch.save(state, tmp_path / "whole.pth")
    with pytest.raises(UsageError, match="other checkpoints are beside it") as error:
        open_checkpoint(tmp_path)
    assert any("whole.pth" in remedy for remedy in error.value.remedies)


def test_two_formats_of_the_same_rank_are_refused(tmp_path: Path) -> None:
    meta(tmp_path)
    save_file({"w": torch.ones(2, 2)}, tmp_path / "consolidated.00.safetensors")
    with pytest.raises(CheckpointError, match="two files of the same rank"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_slices_and_stages_of_picotron_are_the_model(count: int, tmp_path: Path, equal: Equal) -> None:
    state = picotron(tmp_path, count)
    checkpoint = open_checkpoint(tmp_path)
    assert list(checkpoint.tensors) == list(state)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
    assert checkpoint.weights_key == "model"
    assert checkpoint.metadata == {"trained_steps": 7, "trained_tokens": 70}


def test_one_file_of_picotron(tmp_path: Path, equal: Equal) -> None:
    state = model(PICOTRON_AXES)
    path = tmp_path / picotron_name(0, 1, 0, 1)
    torch.save({"model": state, "trained_steps": 7}, path)
    for named in (path, tmp_path):
        checkpoint = open_checkpoint(named)
        assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
        assert checkpoint.metadata == {"trained_steps": 7}


@pytest.mark.parametrize("gone", [[(0, 0)], [(1, 1)], [(0, 1), (1, 1)], [(0, 0), (0, 1), (1, 0)]])
def test_a_missing_file_of_picotron_is_named(gone: list[tuple[int, int]], tmp_path: Path) -> None:
    picotron(tmp_path)
    names = [picotron_name(part, 2, stage, 2) for part, stage in gone]
    for name in names:
        (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=f"{len(gone)} of its files are missing") as error:
        open_checkpoint(tmp_path)
    assert set(error.value.details) == set(names)


def test_files_of_two_runs_or_two_steps_are_not_mixed(tmp_path: Path) -> None:
    picotron(tmp_path)
    path = tmp_path / picotron_name(1, 2, 1, 2)
    saved = torch.load(path)
    torch.save({**saved, "trained_steps": 8}, path)
    with pytest.raises(CheckpointError, match="not saved at the same time") as error:
        open_checkpoint(tmp_path)
    assert error.value.details == ("trained_steps: 7, 8",)
    torch.save(saved, path)
    torch.save(saved, tmp_path / picotron_name(0, 1, 0, 1))
    with pytest.raises(CheckpointError, match=r"missing|two different runs"):
        open_checkpoint(tmp_path)


def test_a_layer_in_two_stages_is_refused(tmp_path: Path) -> None:
    picotron(tmp_path)
    for part in (0, 1):
        first, second = (tmp_path / picotron_name(part, 2, stage, 2) for stage in (0, 1))
        saved, other = torch.load(second), torch.load(first)
        saved["model"]["embedding.weight"] = other["model"]["embedding.weight"]
        torch.save(saved, second)
    with pytest.raises(CheckpointError, match=r"two stages of the pipeline have a tensor embedding\.weight"):
        open_checkpoint(tmp_path)


def test_heads_narrower_than_the_model_where_params_json_says_so(tmp_path: Path) -> None:
    meta(
        tmp_path,
        1,
        **{f"layers.0.attention.{w}.weight": shape for w, shape in {"wq": (0, (4, D)), "wo": (1, (D, 4))}.items()},
    )
    with pytest.raises(CheckpointError, match="files of this model are missing"):
        open_checkpoint(tmp_path)
    (tmp_path / "params.json").write_text('{"dim": 8, "n_heads": 2, "head_dim": 2}')
    assert open_checkpoint(tmp_path).tensors["layers.0.attention.wq.weight"].meta.shape == (4, D)
