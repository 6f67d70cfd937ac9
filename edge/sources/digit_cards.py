"""The demo's camera: handwritten digits on cards that move in front of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtraError
from edge.sources.base import Frame, SourceError, Timestamps
from edge.sources.card_renderer import CardRenderer, smooth_ink
from edge.sources.card_scene import NOISE_PATTERNS, Pose, Scene
from edge.tensors import F32, U8

SECOND_NS = 1_000_000_000
MAX_FPS = 1000.0

# scikit-learn keeps the 1797 digits form by form: the same sequence of some 128 digits, which
# begins with 0 to 9 three times, comes 14 times over. Here the last three forms begin.
FIRST_HELD_OUT = 1415

# How much of the way between two random poses a card moves while it is shown.
MOTION = 0.35

# When drawing begins before a frame's moment: long enough for a new card, and late enough that
# the frame before has been classified. A real camera takes no time from the loop that reads it.
LEAD_NS = 14_000_000


@dataclass(frozen=True, slots=True)
class Digits:
    """Scans of single digits: float32 [N, 8, 8] from 0 (paper) to 16 (ink), and int [N] 0 to 9."""

    scans: F32
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)


def load_digits(part: Literal["training", "held-out"]) -> Digits:
    """Return one side of a fixed split of scikit-learn's digits.

    The split is by place: the last 382 scans, which are three whole forms, are held out, because
    one form is the hand of one writer (13 people filled in this part of the set). A random split
    would show the model the same hand in training and flatter it: a support vector machine scores
    99 % on a random fifth, 97 % on these forms. A held-out scan that equals a training scan would
    be dropped. Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, 1998, the test set.

    Raises: MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as cause:
        raise MissingExtraError("scikit-learn", "demo") from cause
    everything = datasets.load_digits()
    scans = everything.images.astype(np.float32)
    classes = everything.target.astype(np.int64)
    training, held_out = slice(None, FIRST_HELD_OUT), slice(FIRST_HELD_OUT, None)
    if part == "training":
        return Digits(scans[training], classes[training])
    known = {scan.tobytes() for scan in scans[training]}
    new = np.array([scan.tobytes() not in known for scan in scans[held_out]])
    return Digits(scans[held_out][new], classes[held_out][new])


class DigitCards:
    """Plays held-out digits on cards at 640x480, a new card a second, for as long as it is read.

    What is shown is a function of `seed` and the frame's number alone. A frame is drawn before
    its moment comes (some 3 ms of one core), and handed out at that moment; a reader that comes
    late misses frames, as with any camera, and sees it by the gap in `Frame.sequence`; the loop
    counts them as skipped.
    """

    name = "digits"
    is_live = True
    timestamps: Timestamps = "sensor"
    broken_count = 0

    def __init__(self, fps: float = 30.0, seed: int = 0) -> None:
        """Load the digits; the clock starts with the first `read`.

        Raises: SourceError: `fps` is not one of a camera; MissingExtraError: no scikit-learn.
        """
        if not 0 < fps <= MAX_FPS:
            raise SourceError(f"digits: {fps} frames per second; allowed: above 0 to {MAX_FPS:g}")
        self._digits = load_digits("held-out")
        self._period_ns = round(SECOND_NS / fps)
        self._seed = seed
        self._order = np.random.default_rng(seed).permutation(len(self._digits))
        self._closed = threading.Event()
        self._start_ns = 0
        self._sequence = 0
        self._card = self._deal(0)
        # The first frame takes longer (it makes the patterns of noise): not while it is waited for.
        self.picture(0)

    def read(self) -> Frame | None:
        """Return the next frame at its time, or None once the camera is closed."""
        if self._start_ns == 0:
            self._start_ns = time.monotonic_ns()
        elapsed_ns = time.monotonic_ns() - self._start_ns
        sequence = max(self._sequence, elapsed_ns // self._period_ns)
        captured_ns = self._start_ns + sequence * self._period_ns
        if self._wait_until(captured_ns - LEAD_NS):
            return None
        pixels, name = self.picture(sequence)
        if self._wait_until(captured_ns):
            return None
        self._sequence = sequence + 1
        return Frame(pixels, "bgr", sequence, captured_ns, time.monotonic_ns(), name)

    def _wait_until(self, moment_ns: int) -> bool:
        """Wait for a moment of the monotonic clock; return whether the camera was closed."""
        return self._closed.wait(max(0, moment_ns - time.monotonic_ns()) / SECOND_NS)

    def picture(self, sequence: int) -> tuple[U8, str]:
        """Return frame number `sequence`, uint8 [480, 640, 3] BGR, and what it shows: "digit 7"."""
        number, phase_ns = divmod(sequence * self._period_ns, SECOND_NS)
        if number != self._card.number:
            self._card = self._deal(number)
        card = self._card
        phase = phase_ns / SECOND_NS
        # Slow at both ends, as a hand that puts a card down and takes it up again.
        eased = phase * phase * (3 - 2 * phase)
        # Neighbouring frames never share their noise: 37 and 23 are coprime to the 64 patterns.
        noise_at = (37 * sequence % NOISE_PATTERNS, 23 * sequence % NOISE_PATTERNS)
        return card.scene.frame(card.start.toward(card.end, eased), noise_at), card.name

    def close(self) -> None:
        self._closed.set()

    def _deal(self, number: int) -> _Card:
        index = self._order[number % len(self._order)]
        renderer = CardRenderer((self._seed, number))
        scene = renderer.scene(smooth_ink(self._digits.scans[index]))
        start = renderer.pose()
        end = start.toward(renderer.pose(), MOTION)
        return _Card(number, f"digit {self._digits.classes[index]}", scene, start, end)


@dataclass(frozen=True, slots=True)
class _Card:
    """What the camera sees for one second."""

    number: int
    name: str
    scene: Scene
    start: Pose
    end: Pose
