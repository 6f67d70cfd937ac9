"""Graph and ranges in, QuantizedGraph out."""
