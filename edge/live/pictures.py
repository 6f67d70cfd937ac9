"""What is wrong with a camera's pictures, at a price that nobody notices."""

from __future__ import annotations

import numpy as np

from edge.tensors import U8

# A sample of so many rows and columns: 10 us a frame on a PC, whatever the frame's size.
ROWS, COLUMNS = 24, 32
# All of a channel within so few steps: no scene has that, not even one without light (noise).
BLANK_SPREAD = 4


class PictureWatch:
    """Counts frames that are blank, like the one before, or of another size than the one before.

    A sensor's noise makes every frame different from the last, in the dark too: a sample that is
    the same to the bit is a buffer that was not filled anew. Belongs to one thread; others may
    read its counts.
    """

    def __init__(self) -> None:
        self.blank = 0
        self.identical = 0
        self.resized = 0
        self.is_blank = False
        self.frozen_since_ns: int | None = None
        """When the frame came to which all since then are identical; None: the last is not."""
        self._shape: tuple[int, ...] = ()
        self._sample = b""
        self._sampled_ns = 0
        self._step = (1, 1)

    def look(self, pixels: U8, now_ns: int) -> None:
        """Look at a frame, uint8 [H, W, 3] or [H, W], that came at `now_ns`."""
        shape = pixels.shape
        if shape != self._shape:
            self.resized += bool(self._shape)
            self._shape = shape
            self._step = (max(1, shape[0] // ROWS), max(1, shape[1] // COLUMNS))
        down, across = self._step
        sample = pixels[down // 2 :: down, across // 2 :: across].tobytes()
        if sample == self._sample:
            self.identical += 1
            if self.frozen_since_ns is None:
                self.frozen_since_ns = self._sampled_ns
        else:
            self.frozen_since_ns = None
            self.is_blank = is_blank(sample, pixels[0, 0].size)
        self._sample, self._sampled_ns = sample, now_ns
        self.blank += self.is_blank


def is_blank(sample: bytes, channels: int) -> bool:
    """Return whether no channel of interleaved pixels has any contrast."""
    # Most pictures are told by the first channel of three pixels.
    middle = len(sample) // channels // 2 * channels
    if any(abs(sample[0] - sample[at]) > BLANK_SPREAD for at in (middle, -channels)):
        return False
    values = np.frombuffer(sample, np.uint8).reshape(-1, channels)
    return bool((values.max(axis=0) - values.min(axis=0)).max() <= BLANK_SPREAD)
