from __future__ import annotations

from edge.mqtt.debounce import UNSURE, Debounce

S = 10**9


def changes(debounce: Debounce, frames: list[tuple[float, int, float]]) -> list[tuple[float, int]]:
    """Return when `current` changed, and to what, for frames of (second, class, confidence)."""
    found = []
    for at_s, index, confidence in frames:
        if debounce.take(round(at_s * S), index, confidence):
            assert debounce.current is not None
            found.append((at_s, debounce.current))
    return found


def test_a_class_counts_after_it_was_seen_for_long_enough() -> None:
    frames = [(second / 10, 3, 0.9) for second in range(30)]
    assert changes(Debounce(1.0, 0.5), frames) == [(1.0, 3)]


def test_at_the_limit_and_just_below() -> None:
    assert changes(Debounce(1.0, 0.5), [(5, 3, 0.5), (6, 3, 0.5)]) == [(6, 3)]
    assert changes(Debounce(1.0, 0.5), [(5, 3, 0.5), (5.999, 3, 0.5)]) == []
    assert changes(Debounce(1.0, 0.5), [(5, 3, 0.499), (6, 3, 0.499)]) == [(6, UNSURE)]
    assert changes(Debounce(0.0, 0.5), [(5, 3, 0.5), (6, 4, 0.5)]) == [(5, 3), (6, 4)]


def test_what_flickers_changes_nothing() -> None:
    steady = [(second / 10, 3, 0.9) for second in range(20)]
    flicker = [(2 + second / 10, second % 2 + 3, 0.9) for second in range(100)]
    assert changes(Debounce(1.0, 0.5), steady + flicker) == [(1.0, 3)]


def test_a_break_of_one_frame_begins_anew() -> None:
    frames = [(second / 10, 4 if second == 8 else 3, 0.9) for second in range(30)]
    assert changes(Debounce(1.0, 0.5), frames) == [(1.9, 3)]


def test_a_label_goes_when_nothing_is_sure_and_comes_back() -> None:
    frames = [(second / 10, 3, 0.2 if 20 <= second < 40 else 0.9) for second in range(60)]
    assert changes(Debounce(1.0, 0.5), frames) == [(1.0, 3), (3.0, UNSURE), (5.0, 3)]


def test_a_gap_is_not_stability_but_a_slow_camera_is() -> None:
    assert changes(Debounce(1.0, 0.5), [(0, 3, 0.9), (100, 3, 0.9)]) == []
    assert changes(Debounce(1.0, 0.5), [(0, 3, 0.9), (9, 3, 0.9)]) == [(9, 3)]
