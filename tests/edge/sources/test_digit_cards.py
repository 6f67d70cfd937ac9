from __future__ import annotations

import sys
import threading
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge.errors import MissingExtraError
from edge.sources.base import SourceError
from edge.sources.card_renderer import CardRenderer, smooth_ink
from edge.sources.card_scene import SCENE_H, SCENE_W, Pose
from edge.sources.digit_cards import DigitCards, load_digits

pytest.importorskip("sklearn", reason="needs the demo extra")

UPRIGHT = Pose(x=SCENE_W / 2, y=SCENE_H / 2, size=200, roll=0, pitch=0, yaw=0)


def test_no_held_out_digit_is_in_training() -> None:
    training, held_out = load_digits("training"), load_digits("held-out")
    assert len(training) + len(held_out) == 1797
    assert len(held_out) == 382
    assert not {s.tobytes() for s in training.scans} & {s.tobytes() for s in held_out.scans}
    # Every class often enough to be judged.
    assert np.bincount(held_out.classes, minlength=10).min() >= 35


def test_held_out_digits_are_whole_forms() -> None:
    """Each form starts with 0 to 9, twice in clean order: so do the held-out ones."""
    training, held_out = load_digits("training"), load_digits("held-out")
    assert held_out.classes[:20].tolist() == list(range(10)) * 2
    assert training.classes[:20].tolist() == list(range(10)) * 2


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[demo\]"):
        load_digits("training")


def test_the_same_seed_draws_the_same_pictures() -> None:
    ink = smooth_ink(load_digits("training").scans[0])
    first, again, other = (CardRenderer(seed) for seed in (5, 5, 6))
    pictures = [first.render(ink) for _ in range(3)]
    for picture in pictures:
        np.testing.assert_array_equal(picture, again.render(ink))
    assert picture.shape == (SCENE_H, SCENE_W, 3)
    assert picture.dtype == np.uint8
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], other.render(ink))


def test_ink_keeps_the_scan() -> None:
    scan = np.zeros((8, 8), np.float32)
    scan[2:6, 1] = 16
    ink = smooth_ink(scan)
    assert ink.shape == (126, 126)
    rows, columns = np.nonzero(ink > 0.5)
    # A pixel of the scan is 14 of the map's, and the margin is half of one.
    assert abs(columns.mean() - (0.5 + 1.5) * 14) < 1
    assert abs(rows.mean() - (0.5 + 4) * 14) < 1


def test_ink_keeps_a_loop_open() -> None:
    """A hole that is only a little lighter than the strokes around it stays a hole."""
    scan = np.zeros((8, 8), np.float32)
    scan[2:5, 2:5] = 16
    scan[3, 3] = 10
    middle = int((0.5 + 3.5) * 14)
    assert smooth_ink(scan)[middle, middle] < 0.6 * smooth_ink(scan).max()


def test_a_card_that_faces_the_camera_is_a_rectangle() -> None:
    corners = UPRIGHT.corners(aspect=1.5)
    np.testing.assert_allclose(corners, [[170, 140], [470, 140], [470, 340], [170, 340]])


def test_what_tilts_away_looks_smaller() -> None:
    tilted = Pose(320, 240, 200, roll=0, pitch=30, yaw=0).corners(1.0)
    top, bottom = tilted[1] - tilted[0], tilted[2] - tilted[3]
    assert abs(top[0] - bottom[0]) > 20


def test_the_digit_stays_in_what_the_model_sees() -> None:
    renderer = CardRenderer(3)
    for _ in range(300):
        pose = renderer.pose()
        # The inner 80 % of a card, which hold the digit, within the central square.
        reach = max(abs(pose.x - SCENE_W / 2), abs(pose.y - SCENE_H / 2)) + 0.4 * pose.size
        assert reach < SCENE_H / 2


def test_ink_can_be_told_from_the_card() -> None:
    """A full sheet of ink and an empty one, drawn alike, differ where the ink is."""
    for seed in range(20):
        full, empty = (
            CardRenderer(seed).scene(np.full((126, 126), value, np.float32)) for value in (1, 0)
        )
        inked, blank = (scene.frame(UPRIGHT)[230:250, 310:330] for scene in (full, empty))
        difference = inked.mean((0, 1)) - blank.mean((0, 1))
        assert np.abs(difference).max() > 12, seed


def test_a_card_out_of_the_picture_leaves_the_background() -> None:
    scene = CardRenderer(1).scene(np.zeros((126, 126), np.float32))
    away = Pose(x=-500, y=240, size=200, roll=0, pitch=0, yaw=0)
    at_edge = Pose(x=0, y=0, size=200, roll=10, pitch=0, yaw=0)
    clean = cv2.absdiff(scene.frame(away), scene.background)
    assert clean.max() <= 6 * scene.noise
    assert scene.frame(at_edge).shape == (SCENE_H, SCENE_W, 3)


def test_a_digit_stays_a_second_and_moves_smoothly() -> None:
    camera = DigitCards(fps=10, seed=1)
    pictures = [camera.picture(n) for n in range(30)]
    names = [name for _, name in pictures]
    assert all(len(set(names[at : at + 10])) == 1 for at in (0, 10, 20))
    known = {f"digit {n}" for n in range(10)}
    assert set(names) <= known
    # Between two frames of one card less changes than between two cards.
    grays = [cv2.GaussianBlur(p, (0, 0), 4).astype(np.int16) for p, _ in pictures]
    changes = [np.abs(a - b).mean() for a, b in pairwise(grays)]
    at_change = min(changes[9], changes[19])
    assert max(changes[:9] + changes[10:19]) < at_change
    assert max(changes[:9]) > 0.2


def test_the_picture_depends_on_seed_and_number_alone() -> None:
    one, two, other = DigitCards(seed=4), DigitCards(seed=4), DigitCards(seed=5)
    later, name = one.picture(70)
    two.picture(3)
    np.testing.assert_array_equal(later, two.picture(70)[0])
    assert two.picture(70)[1] == name
    assert not np.array_equal(later, other.picture(70)[0])


def test_frames_come_on_a_schedule_with_the_sensor_time() -> None:
    camera = DigitCards(fps=50, seed=0)
    assert camera.is_live
    assert camera.timestamps == "sensor"
    frames = [camera.read() for _ in range(5)]
    read = [frame for frame in frames if frame is not None]
    assert len(read) == 5
    for before, after in pairwise(read):
        steps = after.sequence - before.sequence
        assert steps >= 1
        assert after.captured_ns - before.captured_ns == steps * 20_000_000
    for frame in read:
        assert frame.arrived_ns >= frame.captured_ns
        assert frame.pixels.shape == (SCENE_H, SCENE_W, 3)
        assert frame.color == "bgr"
        assert frame.name.startswith("digit ")
    # A frame belongs to whom it was given: the next one does not overwrite it.
    assert not np.shares_memory(read[0].pixels, read[1].pixels)


def test_a_late_reader_misses_frames_and_sees_the_gap() -> None:
    camera = DigitCards(fps=100, seed=0)
    first = camera.read()
    time.sleep(0.1)
    second = camera.read()
    assert first is not None
    assert second is not None
    assert second.sequence - first.sequence >= 10


def test_close_ends_a_waiting_read() -> None:
    camera = DigitCards(fps=0.01, seed=0)
    assert camera.read() is not None  # the first is due at once
    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.append(camera.read()))
    reader.start()
    camera.close()
    reader.join(timeout=10)
    assert seen == [None]
    assert camera.read() is None


@pytest.mark.parametrize("fps", [0, -1, 1001, float("nan")])
def test_a_rate_that_no_camera_has_is_refused(fps: float) -> None:
    with pytest.raises(SourceError, match="allowed: above 0"):
        DigitCards(fps=fps)
