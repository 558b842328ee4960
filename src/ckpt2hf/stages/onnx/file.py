"""ONNX files on the disk, and graphs in the form that quantizers know: a constant matrix is an initializer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

from ckpt2hf.stages.onnx.weights import stored_bits

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 2 * 10**9
"""Bytes of a file that is one message; tensors of a larger model lie beside it. Source: protobuf allows 2 GiB."""
_DATA = "_data"
"""What is added to the name of the file beside it. Source: huggingface/transformers.js src/utils/model-loader.js."""


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, its tensors beside it if they are too large for one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Asking the model how large it is would take a second for each half gigabyte.
    if sum(map(stored_bits, model.graph.initializer)) > 8 * LARGEST:
        onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=path.name + _DATA)
    else:
        onnx.save(model, path)


def with_plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function, each product with a constant matrix a MatMul whose second input is an initializer.

    GPT-2's layers are exported as Gemm, and a tied head as the transpose of the embedding: quantizers that look for
    MatMul pass both by.
    """
    _fold_transposes(model.graph)
    wrapped = ONNXModel(model)
    wrapped.replace_gemm_with_matmul()
    plain: onnx.ModelProto = wrapped.model
    return plain


def _fold_transposes(graph: onnx.GraphProto) -> None:
    """Write out the transposes of constants that are multiplied with; what they were of stays if others use it."""
    constants = {each.name: each for each in graph.initializer}
    multiplied = {name for node in graph.node if node.op_type == "MatMul" for name in node.input[1:]}
    for node in [each for each in graph.node if each.op_type == "Transpose" and each.output[0] in multiplied]:
        if node.input[0] not in constants:
            continue
        axes = next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
        array = np.ascontiguousarray(np.transpose(numpy_helper.to_array(constants[node.input[0]]), axes))
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
    for each in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(each)
