"""What runs on the device: frames, tensors, runtimes, clocks and latency."""

__version__ = "0.1.0"
