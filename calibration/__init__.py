"""Image sets, statistics of activations, accuracy."""
