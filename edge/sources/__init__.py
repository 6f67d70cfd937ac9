"""One module for each kind of camera or file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.sources.base import SIZE, Source, SourceError

KINDS = (
    "auto, picamera2, picamera2:N, v4l2:N, /dev/videoN, digits, a folder of pictures, a picture, "
    "a video file, rtsp://..."
)


PACES = ("fast", "own")
# Of V4L2 cameras, by name, the kernel's codes. YUYV is what the sensor saw; MJPG has lost a little,
# costs some ms to decode, and fits through USB at sizes and rates where YUYV does not.
PIXEL_FORMATS = ("YUYV", "MJPG")


def open_source(
    text: str,
    *,
    fps: float | None = None,
    size: tuple[int, int] = SIZE,
    short_side: int | None = None,
    pixel_format: str | None = None,
    pace: str = "fast",
) -> Source:
    """Open what `text` names (one of KINDS).

    "auto" is the Pi's camera where picamera2 finds one, else /dev/video0.

    Args: fps, size: rate and (width, height) to ask of a camera; files come as they are.
        short_side: that of the pictures, for a camera that scales them itself (None: as `size`).
        pixel_format: that of a V4L2 camera, as `V4l2Source`; pace: whether a video or a folder
        comes as fast as it is taken, or at its own pace, which is `fps` where that is given.
    Raises: SourceError: it cannot be opened; the message says why and what to do.
    """
    kind, _, number = text.partition(":")

    def open_v4l2(device: Path) -> Source:
        return _open_v4l2(device, fps, size, pixel_format)

    if text == "auto":
        return _open_auto(fps, short_side or min(size), open_v4l2)
    if kind == "picamera2" and (text == kind or _is_number(number)):
        return _open_picamera2(int(number or 0), fps, short_side or min(size))
    if kind == "v4l2" and _is_number(number):
        return open_v4l2(Path(f"/dev/video{number}"))
    if text.startswith("/dev/"):
        return open_v4l2(Path(text))
    if text == "digits":
        from edge.sources.digit_cards import DigitCards

        return DigitCards(fps=30.0 if fps is None else fps, seed=0)
    if "://" in text:
        from edge.sources.stream import StreamSource

        return StreamSource(text)
    return _open_file(Path(text), pace, fps)


def _is_number(text: str) -> bool:
    # Short, and of ASCII's digits: int() refuses thousands of digits, and "\N{SUPERSCRIPT TWO}".
    return text.isascii() and text.isdecimal() and len(text) <= 4


def _open_auto(fps: float | None, short_side: int, open_v4l2: Callable[[Path], Source]) -> Source:
    from edge.sources import picamera2

    try:
        # A camera of USB has more formats through V4L2, also compressed ones.
        cameras = picamera2.list_cameras(with_usb=False)
        why = "libcamera sees no camera of the Pi's own"
    except SourceError as error:
        cameras, why = [], str(error)
    if cameras:
        return _open_picamera2(0, fps, short_side)
    first = Path("/dev/video0")
    if first.exists():
        try:
            return open_v4l2(first)
        except SourceError as error:
            # On a Pi this device is there also where only picamera2 gets a picture from it.
            raise SourceError(f"{error}. It was tried because {why}") from error
    raise SourceError(
        f"no camera: there is no {first}, and {why}. Connect a camera, or name a source: {KINDS}"
    )


def _open_picamera2(number: int, fps: float | None, short_side: int) -> Source:
    from edge.sources.picamera2 import Picamera2Source

    return Picamera2Source(number, short_side=short_side, fps=fps)


def _open_v4l2(
    device: Path, fps: float | None, size: tuple[int, int], pixel_format: str | None
) -> Source:
    from edge.sources.v4l2 import V4l2Source

    return V4l2Source(device, size=size, fps=fps, pixel_format=pixel_format)


def _open_file(path: Path, pace: str, fps: float | None) -> Source:
    from edge.sources.folder import SUFFIXES, FolderSource
    from edge.sources.paced import PacedSource, at_rate
    from edge.sources.video import VideoSource

    text = str(path)
    if not path.exists():
        raise SourceError(f"{text!r} is no source: there is no such file; allowed: {KINDS}")
    is_folder = path.is_dir() or path.suffix.lower() in SUFFIXES
    if not is_folder and not path.is_file():
        raise SourceError(f"{text!r} is neither a file nor a folder; allowed: {KINDS}")
    if is_folder:
        if pace == "own" and fps is None:
            raise SourceError(f"{text!r}: pictures have no pace of their own; give one with --fps")
        pictures = FolderSource(path)
        return pictures if pace == "fast" or fps is None else PacedSource(pictures, at_rate(fps))
    video = VideoSource(text)
    if pace == "fast":
        return video
    return PacedSource(video, video.position_ns if fps is None else at_rate(fps))
