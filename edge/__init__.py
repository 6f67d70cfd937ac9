"""What runs on the device: frames, tensors, runtimes, clocks and latency."""

import os

__version__ = "0.1.0"

# A few bytes can claim a picture of gigabytes. OpenCV reads its limit once, when it is imported.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")

# Else ONNX Runtime keeps a record of its use in the user's home, and looks up whom to send it to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
