from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from edge.sources.frame_count import FrameCount
from edge.sources.usual_interval import UsualInterval

PERIOD_NS = 33_333_333
FPS = 30.0


def counted(distances_ns: Iterable[float], fps: float = FPS) -> int:
    """Return how many frames are counted over these distances."""
    usual, count, stamp_ns, sequence = UsualInterval(fps), FrameCount(), 10**9, 0
    for distance_ns in (0, *distances_ns):
        stamp_ns += round(distance_ns)
        sequence = count.next(None, stamp_ns, usual.next(stamp_ns))
    return sequence


# 25 fps of a camera that agreed to 30, and one that does not say what it gives.
@pytest.mark.parametrize(("fps", "period_ns"), [(FPS, PERIOD_NS), (FPS, 4e7), (0.0, PERIOD_NS)])
def test_a_steady_camera_misses_nothing(fps: float, period_ns: float) -> None:
    jitter_ns = np.random.default_rng(1).normal(0, 2e6, 500)
    assert counted(period_ns + jitter_ns, fps) == 500


@pytest.mark.parametrize(("lost", "tolerance"), [(0.1, 0.0), (0.3, 0.001), (0.5, 0.02)])
def test_frames_lost_at_random_are_counted(lost: float, tolerance: float) -> None:
    generator = np.random.default_rng(2)
    periods = generator.geometric(1 - lost, 3000)
    distances_ns = periods * PERIOD_NS + generator.normal(0, 2e6, 3000)
    assert counted(distances_ns) == pytest.approx(periods.sum(), rel=tolerance)


@pytest.mark.parametrize("times", [2, 3])
def test_a_rate_that_falls_is_no_loss_for_long(times: int) -> None:
    distances_ns = [PERIOD_NS] * 100 + [times * PERIOD_NS] * 500
    assert 600 < counted(distances_ns) <= 600 + 12 * (times - 1)
