"""Makes picamera2 run on libcamera's virtual cameras, which are no camera of a Pi.

- They want a buffer of two planes, of any memory; picamera2 asks the kernel's dma-buf heaps for
  one plane, and a PC has no heaps.
- They have no raw stream, by whose modes picamera2 gets to know a sensor.
- They give a frame as soon as there is a buffer for it; a camera gives one when its time has come.
  Here `PI_LAB_FPS` a second are let through, and none while the file /lab/stalled is there. While
  /lab/hung is there as well, the camera cannot be stopped: its driver does not come back.
- picamera2 loads what shows pictures on a screen, and what writes raw files. Neither is used.

Everything else is the real picamera2 and libcamera.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

STALLED, HUNG = Path("/lab/stalled"), Path("/lab/hung")
POLL_S = 0.01


class Sync:
    """Memory of the same processor needs no synchronization."""

    def __init__(self, allocator: PlaneAllocator, buffer: object, _write: bool) -> None:
        self._memory = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass


class PlaneAllocator:
    """Gives buffers of NV12: one piece of memory, in which the two planes follow each other."""

    sync = Sync

    def __init__(self) -> None:
        self.mapped_buffers: dict[object, mmap.mmap] = {}
        self._of_stream: dict[object, list[object]] = {}

    def allocate(self, configuration: Any, _use_case: object) -> None:  # noqa: ANN401
        self._of_stream = {}
        for stream in configuration:
            buffers = [self._buffer(stream) for _ in range(stream.buffer_count)]
            self._of_stream[stream.stream] = buffers

    def _buffer(self, stream: Any) -> object:  # noqa: ANN401 - libcamera has no types
        import libcamera

        luma = stream.stride * stream.size.height
        file = os.memfd_create("frame")
        try:
            os.ftruncate(file, stream.frame_size)
            planes = []
            for offset, length in ((0, luma), (luma, luma // 2)):
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.offset, plane.length = file, offset, length
                planes.append(plane)
            buffer = libcamera.FrameBuffer(planes)
            self.mapped_buffers[buffer] = mmap.mmap(file, stream.frame_size)
        finally:
            os.close(file)  # libcamera has its own, and so has the mapping
        return buffer

    def buffers(self, stream: object) -> list[object]:
        return self._of_stream[stream]

    def acquire(self, buffers: object) -> None:
        """A buffer needs no count of its users."""

    def release(self, buffers: object) -> None:
        """Likewise."""


class Shutter:
    """Lets one request through at a time, at the rate of a camera.

    libcamera stamps a virtual camera's frame when its request comes, so that the stamp is that of
    the shutter.
    """

    def __init__(self, fps: float, camera_class: Any) -> None:  # noqa: ANN401
        self._period_s = 1 / fps
        self._queue = camera_class.queue_request
        self._waiting: deque[tuple[object, object]] = deque()
        self._lock = threading.Lock()
        stop_at_once = camera_class.stop

        def queue_request(camera: object, request: object) -> None:
            self._waiting.append((camera, request))

        def stop(camera: object) -> None:
            while HUNG.exists():
                time.sleep(POLL_S)
            with self._lock:
                # Kept until the camera stands still: its thread may still be looking at a request
                # that it has completed (VirtualCameraData::processRequest).
                kept = list(self._waiting)
                self._waiting.clear()
                stop_at_once(camera)
            kept.clear()

        camera_class.queue_request, camera_class.stop = queue_request, stop
        threading.Thread(target=self._run, name="shutter", daemon=True).start()

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + self._period_s, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))
            while not self._waiting or STALLED.exists():
                time.sleep(POLL_S / 10)
            with self._lock:
                if self._waiting:
                    self._queue(*self._waiting.popleft())


def modes_of(picamera2: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - picamera2 has no types
    """Return what the camera gives in place of a sensor's modes."""
    import libcamera

    role = libcamera.StreamRole.Viewfinder
    formats = picamera2.camera.generate_configuration([role]).at(0).formats
    return [
        {"format": str(pixels), "size": (size.width, size.height)}
        for pixels in formats.pixel_formats
        for size in formats.sizes(pixels)
    ]


def adapt() -> None:
    """Change picamera2 and libcamera in this process."""
    for name in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
        sys.modules[name] = MagicMock()
    import libcamera
    import picamera2.picamera2 as module

    module.DmaAllocator = PlaneAllocator
    module.Picamera2._get_raw_modes = modes_of
    Shutter(float(os.environ["PI_LAB_FPS"]), libcamera.Camera)
