"""From a float ONNX classifier to int8 artifacts that compute the same network."""
