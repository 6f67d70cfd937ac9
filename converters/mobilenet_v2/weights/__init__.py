"""Weights of a trained MobileNetV2, from the files in which frameworks keep them."""
