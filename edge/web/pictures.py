"""The newest picture as JPEG: made when somebody wants it, once for all who do."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import cv2
import numpy as np

from edge.broadcast.view import Picture, RunView

QUALITY = 80
# How long an answer waits for a picture that the client has not seen.
WAIT_S = 2.0
LOOK_S = 0.03
# How often the loop's process is told that somebody looks.
TELL_S = 0.5


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture as it goes out. `number` is of this process: a camera may begin anew."""

    number: int
    of: Picture
    data: bytes


class Pictures:
    """Belongs to the thread of the server."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._made: Jpeg | None = None
        self._told_s = 0.0

    async def newer(self, number: int) -> Jpeg | None:
        """Return the newest picture, as soon as its number is not `number`; None if none comes."""
        end_s = time.monotonic() + WAIT_S
        while True:
            self._tell()
            newest = self._newest()
            if newest is not None and newest.number != number:
                return newest
            if time.monotonic() > end_s:
                return None
            await asyncio.sleep(LOOK_S)

    def _tell(self) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s > TELL_S:
            self._told_s = now_s
            self._view.watched()

    def _newest(self) -> Jpeg | None:
        picture = self._view.picture
        if picture is not None and (self._made is None or self._made.of is not picture):
            number = self._made.number + 1 if self._made else 1
            self._made = Jpeg(number, picture, encode(picture))
        return self._made


def encode(picture: Picture) -> bytes:
    """Return a picture as JPEG."""
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.shape)
    if picture.color == "rgb":
        pixels = pixels[..., ::-1]
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
