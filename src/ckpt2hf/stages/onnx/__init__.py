"""Files for onnxruntime: made by optimum and onnxruntime, run by onnxruntime."""
