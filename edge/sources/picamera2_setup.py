"""How each board's camera is set up: one small stream that shows the whole scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edge.sources.base import SIZE
from edge.sources.sensor_modes import SensorMode, choose_mode, read_modes, stream_size, whole_modes

# One that the sensor fills, one that waits, one that we copy from. More only take contiguous
# memory, of which a Pi has little, and make frames older.
BUFFERS = 3


@dataclass(frozen=True, slots=True)
class Board:
    """Which stream of a board's image processor gives the small picture, in which format.

    `scales`: whether it brings the sensor's picture to any size that is asked for.
    """

    stream: Literal["main", "lores"]
    format: str
    scales: bool = True


# By the name of picamera2's platform.
BOARDS = {
    # The Pi 5 gives packed RGB on every output: nothing is left to do, and one stream is enough.
    "PISP": Board("main", "BGR888"),
    # Up to the Pi 4 the second output gives YUV alone. That is half the memory of RGB; what it
    # takes to convert a picture of the model's size does not count.
    "VC4": Board("lores", "YUV420"),
}
# A camera that libcamera reaches by another way than a Pi's image processor: it gives the sizes
# and formats that it has, and answers with the nearest.
OTHER = Board("main", "BGR888", scales=False)


@dataclass(slots=True)
class Setup:
    """What to ask of a camera.

    `wanted` are the arguments of picamera2's `create_video_configuration`; `stream` is the one
    that frames come from; `details` says what was chosen, for the log.
    """

    stream: Literal["main", "lores"]
    wanted: dict[str, Any]
    details: dict[str, str] = field(default_factory=dict)


def plan(camera: Any, short_side: int, fps: float | None) -> Setup:  # noqa: ANN401
    """Return what to ask of `camera`, an open Picamera2 that does not run yet.

    Asking a sensor for its modes makes picamera2 try each of them, which takes a moment.

    Args: short_side: pixels that the picture's short side should have, where the board scales it;
        fps: rate to ask for (None: picamera2's own for video).
    """
    board = _board_of(camera)
    # queue=False: a capture waits for the next frame; else it may get an old one. The colours are
    # those that OpenCV converts by.
    setup = Setup(board.stream, {"buffer_count": BUFFERS, "queue": False, "colour_space": _bt601()})
    size = _scene(camera, setup, short_side, fps) if board.scales else SIZE
    for name in ("main", board.stream):
        setup.wanted[name] = {"format": board.format, "size": size}
    setup.wanted["controls"] = _controls(camera, setup, fps)
    return setup


def _board_of(camera: Any) -> Board:  # noqa: ANN401 - picamera2 has no types
    # The colour filter is that of a bare sensor; whoever has it lies behind the Pi's processor.
    if "ColorFilterArrangement" not in camera.camera_properties:
        return OTHER
    return BOARDS.get(camera.platform.name, BOARDS["VC4"])


def _scene(
    camera: Any,  # noqa: ANN401 - picamera2 has no types
    setup: Setup,
    short_side: int,
    fps: float | None,
) -> tuple[int, int]:
    """Return the size that shows the whole scene, and ask for a mode that sees it."""
    modes = _modes(camera, setup)
    whole = max(whole_modes(modes), key=lambda mode: mode.area_seen, default=None)
    sensor = camera.camera_properties.get("PixelArraySize", SIZE)
    size = stream_size(sensor if whole is None else whole.seen, short_side)
    mode = choose_mode(modes, size, fps)
    # Without a raw stream the sensor's own picture is kept in no buffer of ours.
    setup.wanted["raw"] = None
    if mode is not None:
        setup.details["sensor mode"] = str(mode)
        setup.wanted["sensor"] = {
            "output_size": (mode.width, mode.height),
            "bit_depth": mode.bit_depth,
        }
        if fps is not None and fps > mode.fps:
            setup.details["fps"] = f"{fps:g} asked; the mode has at most {mode.fps:g}"
    return size


def _modes(camera: Any, setup: Setup) -> list[SensorMode]:  # noqa: ANN401
    try:
        return read_modes(camera.sensor_modes)
    except (RuntimeError, OSError, KeyError) as error:
        # It makes buffers for the largest mode, for which a small board may have no memory.
        setup.details["sensor mode"] = f"libcamera's choice: the modes cannot be read ({error})"
        return []


def _controls(
    camera: Any,  # noqa: ANN401 - picamera2 has no types
    setup: Setup,
    fps: float | None,
) -> dict[str, Any]:
    if fps is None:
        return {}
    if "FrameDurationLimits" not in camera.camera_controls:
        setup.details["fps"] = f"{fps:g} asked; the camera has no such setting"
        return {}
    frame_us = round(1e6 / fps)
    return {"FrameDurationLimits": (frame_us, frame_us)}


def _bt601() -> Any:  # noqa: ANN401 - libcamera has no types
    from libcamera import ColorSpace

    return ColorSpace.Smpte170m()
