"""Rendered pictures of the digits: frames, and what the model sees of them, by the thousand."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.mobilenet_v2.digits.spec import SIDE, Cropper
from edge.sources.card_renderer import INK, CardRenderer, smooth_ink
from edge.sources.card_scene import SCENE_H, SCENE_W
from edge.sources.digit_cards import Digits
from edge.tensors import F32, U8

Progress = Callable[[int, int], None]

CHUNK = 48  # digits that a process renders between two reports
# The displacement of a handwriting that varies: a grid of some points, moved by some pixels.
ELASTIC_GRID = 5
ELASTIC_PIXELS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to render: `per_digit` pictures of each; `elastic` bends the handwriting as well."""

    per_digit: int
    seed: tuple[int, ...]
    elastic: bool = False


def frames(digits: Digits, plan: Plan, first: int = 0) -> Iterator[tuple[U8, int]]:
    """Yield frames, uint8 [480, 640, 3] BGR, each with its class, digit by digit.

    Args: first: the number of the first digit; a picture depends on its digit's number and the
        plan's seed alone, not on what was rendered before.
    """
    for number, (scan, label) in enumerate(zip(digits.scans, digits.classes, strict=True), first):
        renderer = CardRenderer((*plan.seed, number))
        random = np.random.default_rng((*plan.seed, number, 1))
        ink = smooth_ink(scan)
        for _ in range(plan.per_digit):
            yield renderer.render(bend(ink, random) if plan.elastic else ink), int(label)


def crops(
    digits: Digits, plan: Plan, processes: int, progress: Progress
) -> tuple[U8, NDArray[np.int64]]:
    """Return what the model sees of all `frames`: uint8 [N, 3, 96, 96] RGB, and classes [N].

    Args: progress: called with the pictures done and their total.
    """
    total = len(digits) * plan.per_digit
    pictures = np.empty((total, 3, SIDE, SIDE), np.uint8)
    chunks = [
        (Digits(digits.scans[at : at + CHUNK], digits.classes[at : at + CHUNK]), at)
        for at in range(0, len(digits), CHUNK)
    ]
    done = 0
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.imap(partial(_crop_chunk, plan), chunks):
            pictures[done : done + len(part)] = part
            done += len(part)
            progress(done, total)
    return pictures, np.repeat(digits.classes, plan.per_digit)


def plain_frame(scan: F32) -> U8:
    """Return a scan, black on white, upright in the middle: uint8 [480, 640, 3]."""
    height = SCENE_H * 2 // 3
    ink = cv2.resize(smooth_ink(scan), (height, height), interpolation=cv2.INTER_LINEAR)
    frame = np.full((SCENE_H, SCENE_W, 3), 255, np.uint8)
    top, left = (SCENE_H - height) // 2, (SCENE_W - height) // 2
    target = frame[top : top + height, left : left + height]
    target[:] = (255 * (1 - np.clip(ink, 0, 1)))[:, :, None].astype(np.uint8)
    return frame


def _crop_chunk(plan: Plan, chunk: tuple[Digits, int]) -> U8:
    cv2.setNumThreads(1)  # one process a core is parallel enough
    cropper = Cropper()
    return np.stack([cropper.crop(frame) for frame, _ in frames(chunk[0], plan, chunk[1])])


def bend(ink: F32, random: np.random.Generator) -> F32:
    """Return ink (float32 [126, 126]) as another stroke of the same hand: a smooth random field
    displaces it.
    """
    field = random.normal(0, ELASTIC_PIXELS, (ELASTIC_GRID, ELASTIC_GRID, 2)).astype(np.float32)
    shift = cv2.resize(field, (INK, INK), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:INK, :INK].astype(np.float32)
    bent = cv2.remap(ink, columns + shift[:, :, 0], rows + shift[:, :, 1], cv2.INTER_LINEAR)
    return np.asarray(bent, np.float32)
