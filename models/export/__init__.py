"""A detector handed on: a folder with weights, card, self-test, transformers' form and ONNX."""
