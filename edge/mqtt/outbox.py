"""What waits to be published: bounded, in order, and every loss is counted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

MAX_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that the broker is to keep as the last of its topic.

    Of a `state` only the newest matters; every other one matters by itself.
    """

    topic: str
    payload: str
    is_state: bool = False


class Outbox:
    """Filled by one thread and emptied by another. Full, it drops the oldest and counts it."""

    def __init__(self, most: int = MAX_MESSAGES) -> None:
        self.dropped = 0
        self._most = most
        self._lock = threading.Lock()
        self._letters: deque[Letter] = deque()
        self._newest: dict[str, Letter] = {}

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, letter: Letter) -> None:
        """Add a letter at the end; a state takes the place of the same that waits."""
        with self._lock:
            self._newest[letter.topic] = letter
            if letter.is_state:
                self._letters = deque(one for one in self._letters if one.topic != letter.topic)
            self._letters.append(letter)
            self._shorten()

    def take(self) -> Letter | None:
        """Return the first letter and remove it, None if there is none."""
        with self._lock:
            return self._letters.popleft() if self._letters else None

    def put_back(self, letters: Iterable[Letter]) -> None:
        """Put letters that were taken, in order, before those that wait; newer states win."""
        with self._lock:
            waiting = {one.topic for one in self._letters}
            back = [one for one in letters if not (one.is_state and one.topic in waiting)]
            self._letters.extendleft(reversed(back))
            self._shorten()

    def renew(self) -> None:
        """Let the newest letter of each topic be sent again: a broker may have forgotten it."""
        with self._lock:
            waiting = {one.topic for one in self._letters}
            known = [one for topic, one in self._newest.items() if topic not in waiting]
            self._letters.extendleft(known)
            self._shorten()

    def _shorten(self) -> None:
        while len(self._letters) > self._most:
            self._letters.popleft()
            self.dropped += 1
