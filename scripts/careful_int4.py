"""The int4 quantization a careful user would write by hand: `python careful_int4.py MODEL.onnx OUT.onnx`.

It is what ckpt2hf's `onnx-q4` is measured against. Careful, because it turns GPT-2's Gemm into MatMul first, without
which almost nothing would be quantized; it measures nothing about the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel


def main() -> None:
    """Writes the quantized file."""
    parser = argparse.ArgumentParser(description="Quantize an ONNX file to int4 by hand.")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    model = ONNXModel(onnx.load(given.model))
    model.replace_gemm_with_matmul()
    quantizer: Any = MatMulNBitsQuantizer(model.model, block_size=32, is_symmetric=True)
    quantizer.process()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    quantizer.model.save_model_to_file(str(given.out), use_external_data_format=False)


if __name__ == "__main__":
    main()
