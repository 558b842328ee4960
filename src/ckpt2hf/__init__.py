"""ckpt2hf: a from-scratch PyTorch checkpoint becomes a Hugging Face directory, proved to compute the same function."""

__version__ = "0.1.0"
