"""The capture is a stand-in that complains where the real one would crash."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge.sources.opencv import Capture
from edge.tensors import U8


class FakeCapture:
    """Must not be released in the middle of a call, nor used afterwards."""

    def __init__(self, *_: object) -> None:
        self.in_call = False
        self.releases = 0

    def get(self, _: int) -> float:
        self.call()
        return 7.0

    def read(self) -> tuple[bool, U8]:
        self.call()
        return True, np.zeros((2, 2, 3), np.uint8)

    def meanwhile(self) -> None:
        """What another thread does in the middle of a call."""

    def call(self) -> None:
        assert not self.releases
        self.in_call = True
        self.meanwhile()
        self.in_call = False

    def release(self) -> None:
        assert not self.in_call
        self.releases += 1


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Capture:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    return Capture("target", cv2.CAP_V4L2, [])


CALLS = pytest.mark.parametrize("call", [lambda c: c.get(cv2.CAP_PROP_POS_MSEC), Capture.read])


@CALLS
def test_close_in_the_middle_of_a_call_waits_for_its_end(
    call: Callable[[Capture], object], capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCapture, "meanwhile", lambda _: capture.close())
    call(capture)
    assert capture._capture.releases == 1  # type: ignore[attr-defined]


@CALLS
def test_what_is_closed_is_not_asked(call: Callable[[Capture], object], capture: Capture) -> None:
    assert call(capture) is not None
    capture.close()
    assert not call(capture)
