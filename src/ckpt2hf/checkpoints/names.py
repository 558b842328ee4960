"""What the name of a file says about what is in it: weights, perhaps weights, or something else, and what.

Source: huggingface/accelerate src/accelerate/checkpointing.py and utils/constants.py (a saved state);
huggingface/transformers src/transformers/trainer.py (beside a checkpoint); deepspeedai/DeepSpeed
deepspeed/checkpoint/constants.py (`mp_rank_`, `zero_pp_rank_`, `layer_`, `_optim_states.pt`);
NVIDIA/Megatron-LM megatron/training/checkpointing.py (`model_optim_rng.pt`, `distrib_optim.pt`);
meta-llama/llama (`consolidated.00.pth`); huggingface/picotron (`weights_tp_rank_world_size=`); pytorch/pytorch
torch/distributed/checkpoint/_hf_utils.py (`shard-00001-model-00001-of-00001.safetensors`);
pytorch/torchtune torchtune/training/checkpointing (`recipe_state.pt`, `meta_model_0.pt`);
allenai/OLMo (`model.pt`, `optim.pt`, `train.pt`); karpathy/nanoGPT (`train.bin`, `val.bin`, `meta.pkl`);
karpathy/llama2.c (`tok4096.bin`, `tokenizer.bin`); karpathy/nanochat (`optim_000010_rank0.pt`, `token_bytes.pt`).
"""

from __future__ import annotations

import re

INDEX = re.compile(r"(.+)\.(safetensors|bin|pt|pth)\.index\.json")
"""The file that says which tensor lies in which shard."""
SHARD = re.compile(r"(.+)-\d+-of-(?!0*1\.)\d+\.(safetensors|bin|pt|pth)")
"""One of several files of a set; the only one of one is a whole checkpoint."""
PREPARED = re.compile(r"(?:pytorch_)?(model(?:_\d+)?)\.(safetensors|bin)(?:\.index\.json)?")
"""What accelerate and transformers call the weights; numbered if several models were prepared."""
RANK_FILE = re.compile(
    r"mp_rank_\d+_model_states\.pt|zero_pp_rank_\d+_mp_rank_\d+_model_states\.pt|layer_\d+-model_\d+-model_states\.pt"
    r"|consolidated\.\d+\.(?:pth|safetensors)|pytorch_model_fsdp_rank_?\d+\.bin"
    r"|weights_tp_rank_world_size=\d+_\d+_pp_rank_world_size=\d+_\d+\.pth"
    r"|shard-\d+-model-\d+-of-\d+\.safetensors"
)
"""One rank's part of a model, where there are several of them."""
RANK_FOLDER = re.compile(r"mp_rank_\d+(?:_\d+)*")
"""One rank's part of a model that Megatron saved, where there are several of them."""
OPTIMIZER_FOLDER = re.compile(r"optim|optimizer(?:_\d+)?")

SURE = (".safetensors", ".pt", ".pth", ".ckpt")
"""Endings that nearly always mean weights."""
UNSURE = (".bin", ".pkl", ".pickle", ".tar")
"""Endings of weights and of other things alike."""
ENDINGS = tuple(f"{inner}.tar" for inner in (".pt", ".pth", ".ckpt")) + SURE + UNSURE

_SAVED = r"\.(?:bin|pt|pth|pkl|pickle|ckpt|tar|safetensors)"
_STATES = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (rf"(?:optimizer|optim)(?:[-_.0-9].*)?{_SAVED}|distrib_optim\.pt|.*_optim_states\.pt", "optimizer state"),
        (rf"(?:lr_)?scheduler(?:[-_.0-9].*)?{_SAVED}", "learning rate schedule"),
        (rf"(?:grad_)?scaler(?:[-_.0-9].*)?{_SAVED}", "gradient scaler state"),
        (rf"(?:random_states|rng_states?)(?:[-_.0-9].*)?{_SAVED}", "random number generator state"),
        (rf"(?:sampler|dl_state_dict)(?:[-_.0-9].*)?{_SAVED}", "data loader state"),
        (r"custom_checkpoint_\d+\.pkl", "state of another object of the training script"),
        (r"training_args\.bin", "training arguments"),
        (rf"recipe_state(?:[-_.0-9].*)?{_SAVED}", "training state"),
        (rf"params_shape(?:[-_.0-9].*)?{_SAVED}", "shapes of parameters"),
        (rf"tokenizer(?:[-_.0-9].*)?(?:{_SAVED}|\.model|\.json|\.vocab)", "tokenizer"),
        (rf"(?:vocab|vocabulary|merges)(?:[-_.]?\d+k?)?(?:{_SAVED}|\.json|\.txt)", "tokenizer"),
        (r"(?:.*bpe|tok\d+|spm|spiece|sentencepiece)\.(?:model|bin|vocab)", "tokenizer"),
        (r"(?:special_tokens_map|added_tokens|chat_template)\.(?:json|jinja)|token_bytes\.pt|.+\.vocab", "tokenizer"),
        (r"meta\.(?:pkl|pickle|pt|pth|bin)", "metadata of a data set"),
        (r"(?:train|val|valid|validation|test)(?:[-_]?\d+)?\.(?:bin|pkl|pickle)", "token data"),
        (r"(?:train|val)\.(?:pt|pth)", "token data or training state"),
        (r"trainer_state\.json|events\.out\.tfevents.*|.+\.tfevents.*|.+\.wandb|log\.txt", "training log"),
        (r".+\.data-\d+-of-\d+|.+\.ckpt(?:-\d+)?\.(?:index|meta)|.+\.pb", "TensorFlow model, not a PyTorch file"),
        (r"\._.*|\.ds_store|thumbs\.db|desktop\.ini", "file of a desktop system"),
        (r"readme|licen[cs]e|copying|notice|changelog|authors", "text"),
        (r"makefile|dockerfile", "code"),
    )
)
"""Names that say what else is in a file, in lower case; the first that fits decides."""
_OTHERS = {
    "configuration": "json yaml yml toml cfg ini conf xml lock env",
    "training log": "log out err",
    "table or text data": "csv tsv jsonl parquet arrow tfrecord mds idx db sqlite",
    "token data or another NumPy array": "npy npz",
    "code": "py pyc pyi ipynb sh c cc cpp cu cuh h hpp rs go js ts java so o a ptx sbatch slurm jinja",
    "text": "txt md rst tex bib html htm css pdf doc docx",
    "image": "png jpg jpeg gif svg webp bmp ico tif tiff eps",
    "sound or film": "wav mp3 flac ogg mp4 avi mov webm mkv",
    "archive: unpack it": "zip gz tgz bz2 xz zst 7z rar whl jar",
    "unfinished or temporary file": "tmp temp part partial crdownload incomplete download swp",
    "ONNX model, not a PyTorch file": "onnx",
    "Keras or other HDF5 file, not a PyTorch file": "h5 hdf5 keras",
    "Flax or other MessagePack file, not a PyTorch file": "msgpack",
    "TensorFlow Lite model, not a PyTorch file": "tflite",
    "GGUF or GGML model: convert the checkpoint it was made from": "gguf ggml",
}
_BY_ENDING = {ending: why for why, endings in _OTHERS.items() for ending in endings.split()}


def known(name: str) -> str | None:
    """Why a file of this name is no checkpoint; None where the name does not say so."""
    low = name.lower()
    state = next((why for pattern, why in _STATES if pattern.fullmatch(low)), None)
    if state or low.endswith(SURE + UNSURE):
        return state
    other = _BY_ENDING.get(low.rpartition(".")[2]) if "." in low[1:] else None
    return other or ("hidden file" if low.startswith(".") else None)


def ending(name: str) -> str:
    """The ending of a checkpoint's name, such as `.pth.tar`; empty for a name that has none of these."""
    low = name.lower()
    found = next((end for end in ENDINGS if low.endswith(end) and len(low) > len(end)), "")
    return name[len(name) - len(found) :] if found else ""
