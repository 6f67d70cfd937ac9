"""The looks of a set of pictures, of whatever size, in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from calibration.lint.look import Look

# So many say enough of a set, and each is compared with each.
MOST = 4096


class Sample:
    """The looks of pictures, by name: all of up to MOST, of more a sample.

    It is those with the least digests, so that equal pictures are in it together or not at all, and
    it is the same in whatever order, and by however many, the pictures are looked at.
    """

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}
        self._lock = threading.Lock()

    def add(self, looks: Mapping[str, Look]) -> None:
        """Take in some more. Several threads may do so."""
        with self._lock:
            self._looks.update(looks)
            if len(self._looks) > 2 * MOST:  # seldom: it means to sort
                self._prune()

    @property
    def looks(self) -> Mapping[str, Look]:
        """The sample, by name."""
        with self._lock:
            if len(self._looks) > MOST:
                self._prune()
            return self._looks

    def _prune(self) -> None:
        order = sorted(self._looks.items(), key=lambda item: (item[1].digest, item[0]))
        self._looks = dict(order[:MOST])

    def __getstate__(self) -> tuple[dict[str, Look]]:
        return (self._looks,)

    def __setstate__(self, state: tuple[dict[str, Look]]) -> None:
        (self._looks,) = state
        self._lock = threading.Lock()
