"""QuantizedGraph in, ONNX with QuantizeLinear and DequantizeLinear out."""
