"""QuantizedGraph in, TFLite flatbuffer out, without TensorFlow."""
