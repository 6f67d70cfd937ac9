"""The reference network: its architecture as a table, and ONNX built from it."""
