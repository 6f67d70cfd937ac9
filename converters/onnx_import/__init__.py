"""ONNX in, Graph out: protobuf stays here."""
