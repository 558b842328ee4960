"""How an ONNX file stores its weights: bits, and what was left in floating point. Reads names and shapes only."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import onnx

from ckpt2hf.stages.job import Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_FLOATS: dict[int, int] = {onnx.TensorProto.FLOAT: 32, onnx.TensorProto.FLOAT16: 16, onnx.TensorProto.BFLOAT16: 16}
_BITS: dict[int, int] = {
    **_FLOATS, onnx.TensorProto.DOUBLE: 64, onnx.TensorProto.INT64: 64, onnx.TensorProto.INT32: 32,
    onnx.TensorProto.INT8: 8, onnx.TensorProto.UINT8: 8, onnx.TensorProto.BOOL: 8,
    onnx.TensorProto.INT4: 4, onnx.TensorProto.UINT4: 4,
}  # fmt: skip
_PRODUCTS = {"MatMul", "Gemm"}
_LOW_PRODUCTS = {"MatMulNBits", "MatMulInteger"}
_MATRIX = 2
_WHY = {
    "Gather": "looked up, not multiplied",
    "MatMul": "the quantizer left this product as it is",
    "Gemm": "the quantizer left this product as it is",
}


def use_of(file: Path, base: Path, most: int) -> Use:
    """How the weights of a file are stored, which was made from the float32 file `base` to have `most` bits each."""
    graph = onnx.load(file, load_external_data=False).graph
    before = graph if file == base else onnx.load(base, load_external_data=False).graph
    tensors = {each.name: each for each in graph.initializer}
    weights = sum(math.prod(each.dims) for each in before.initializer if each.data_type in _FLOATS)
    asked, every, bits = 0, 0, 0
    for node in graph.node:
        if node.op_type not in _PRODUCTS | _LOW_PRODUCTS or node.input[1] not in tensors:
            continue
        size = _elements(node, tensors[node.input[1]])
        every += size
        asked += size if _width(node, tensors[node.input[1]]) <= most else 0
        bits += sum(stored_bits(tensors[name]) for name in _belonging(node, tensors))
    return Use(
        bits_per_weight=sum(map(stored_bits, tensors.values())) / weights,
        matrix_bits=bits / max(every, 1),
        share=asked / max(every, 1),
        kept=tuple(sorted(_kept(graph.node, tensors, most))),
    )


def stored_bits(tensor: onnx.TensorProto) -> int:
    """What its numbers take in a file."""
    width: int = _BITS.get(tensor.data_type, 8)
    size: int = math.prod(tensor.dims)
    return size * width


def _width(node: onnx.NodeProto, matrix: onnx.TensorProto) -> int:
    """Bits of each of its numbers."""
    said: dict[str, int] = {each.name: each.i for each in node.attribute}
    return said["bits"] if node.op_type == "MatMulNBits" else _BITS.get(matrix.data_type, 8)


def _elements(node: onnx.NodeProto, matrix: onnx.TensorProto) -> int:
    """Weights of a quantized matrix; packed ones are told by the node."""
    said: dict[str, int] = {each.name: each.i for each in node.attribute}
    return said["K"] * said["N"] if node.op_type == "MatMulNBits" else math.prod(matrix.dims)


def _belonging(node: onnx.NodeProto, tensors: Mapping[str, onnx.TensorProto]) -> Iterator[str]:
    """The tensors that store a quantized matrix: itself, its scales and zero points."""
    if node.op_type == "MatMulNBits":
        yield from (name for name in node.input[1:] if name in tensors)
        return
    yield node.input[1]
    if node.op_type in _PRODUCTS:
        return
    stem = node.input[1].removesuffix("_quantized")
    yield from (name for end in ("_scale", "_zero_point") if (name := stem + end) in tensors)


def _kept(
    nodes: Sequence[onnx.NodeProto], tensors: Mapping[str, onnx.TensorProto], most: int
) -> Iterator[tuple[str, str]]:
    """Matrices in floating point of more bits, with the reason."""
    users = defaultdict(set)
    for node in nodes:
        for name in node.input:
            users[name].add(node.op_type)
    scales = {name for node in nodes if node.op_type in _LOW_PRODUCTS for name in node.input[2:]}
    for name, tensor in tensors.items():
        if _FLOATS.get(tensor.data_type, 0) <= most or name in scales or len(tensor.dims) < _MATRIX:
            continue
        if min(tensor.dims) <= 1:  # a vector with axes of length one
            continue
        why = next((_WHY[user] for user in sorted(users[name]) if user in _WHY), "used as it is")
        yield name, f"{_FLOATS[tensor.data_type]} bits: {why}"
