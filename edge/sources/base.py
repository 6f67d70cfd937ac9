"""What every camera, file and folder looks like to the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from edge.errors import EdgeError
from edge.preprocess import Color
from edge.tensors import U8, Array

Timestamps = Literal["sensor", "driver", "arrival"]
# Width and height to ask of a camera: every one has it, and few models take more.
SIZE = (640, 480)


class SourceError(EdgeError):
    """A camera, file or folder cannot be opened, or stopped giving frames."""


class CameraLostError(SourceError):
    """A camera that had worked gave no frame for too long, whatever was tried.

    Its exit status tells a service manager, and whoever reads its journal, that a new process may
    mend it.
    """

    exit_status = 4


class LastingError(SourceError):
    """What is wrong stays so: who opens the source again gets the same."""


@dataclass(slots=True)
class Frame:
    """One picture. Times are nanoseconds of `time.monotonic_ns`.

    `pixels`: uint8 [H, W, 3], owned by the frame; `color` is the channel order in memory.
    `sequence`: counts the camera's frames; a gap is frames that the source itself missed, where it
    can tell. `captured_ns`: when the sensor took it, where the source knows, else `arrived_ns`.
    `name`: where the picture has one (a file's name).
    `tensor` and `preprocess_ns`: what the model is to see of it, [1, H, W, C] or [1, C, H, W], and
    how long that took, where it was made before the loop asked (`edge.live.feed`).
    """

    pixels: U8
    color: Color
    sequence: int
    captured_ns: int
    arrived_ns: int
    name: str = ""
    tensor: Array | None = None
    preprocess_ns: int = 0


def details_of(source: object) -> dict[str, str]:
    """Return what a source says of itself, by name: its `details`, where it has any."""
    return dict(getattr(source, "details", {}))


class Source(Protocol):
    """Gives frames until it ends. `read` is called from one thread; `close` from any."""

    @property
    def name(self) -> str:
        """What to call it in the log: "picamera2", "v4l2:0", a path."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether waiting frames are replaced by newer ones (cameras) or none is lost (files)."""
        ...

    @property
    def timestamps(self) -> Timestamps:
        """Where `captured_ns` comes from."""
        ...

    @property
    def broken_count(self) -> int:
        """How many pictures could not be read and were passed over."""
        ...

    def read(self) -> Frame | None:
        """Return the next frame, waiting for it, or None when there will be no more.

        Raises: SourceError: the camera was lost or did not answer in time.
        """
        ...

    def close(self) -> None: ...
