"""Stand-in pictures with the statistics of photographs, for when there are none to calibrate on.

Dead leaves: opaque shapes of every size fall on each other until they cover the picture. With
sizes that follow r**-3 the result looks alike at every scale, and has the edges, the even parts
and the 1/f**2 power spectrum of photographs (Lee, Mumford, Huang: Occlusion models for natural
images, IJCV 2001; as training images: Baradad et al., Learning to see by looking at noise,
NeurIPS 2021). Each leaf has a colour and a share of texture; each picture its light, contrast,
distance, texture and sharpness, since activations reach far only where pictures differ.
"""

from __future__ import annotations

from functools import lru_cache, partial

import cv2
import numpy as np

from calibration.images import DatasetError, ImageSet, Job, Picture
from edge.tensors import F32, Array

# Radius of a picture's smallest leaf in pixels, drawn log-uniformly: how far away things are. The
# largest is half the longer side.
SMALLEST_PX = (1.2, 5.0)
# How often the area of all leaves covers the picture: 95 % of it then shows one.
COVERAGE = 3.0
# Standard deviations in log light: brightness, yellow against blue, red against green; of leaves
# within a picture, and of the mean colour of pictures (exposure, colour of the light). Brightness
# varies most and red against green least (Ruderman, Cronin, Chiao: Statistics of cone responses
# to natural images, JOSA A 1998).
LEAF_STD = (1.0, 0.3, 0.15)
PICTURE_STD = (0.5, 0.15, 0.07)
OPPONENT = np.array([[1, 1, 1], [-2, 1, 1], [0, -1, 1]], np.float64)  # to log (b, g, r)
MEAN_LIGHT = 0.16
GAMMA = 1 / 2.2
# Standard deviations of the logarithm of contrast, texture and blur over pictures, and of the
# smooth shading within one.
CONTRAST_STD = 0.35
TEXTURE_STD = 0.6
BLUR_STD = 0.5
SHADING_STD = 0.2
TEXTURE = 0.4
BLUR_PX = 0.5
TEXTURE_SIDE = 256
ORIENTED_TEXTURES = 8
VERTICES = 12
MIN_SIDE, MAX_SIDE = 8, 8192


def dead_leaves(count: int, height: int, width: int, seed: int = 0) -> ImageSet:
    """Return `count` synthetic pictures, uint8 [height, width, 3]; the same ones for one `seed`,
    and the first of them the same whatever `count`.

    Raises: DatasetError: `count` is not positive, or a side is not in 8 to 8192.
    """
    if count < 1 or not (MIN_SIDE <= min(height, width) <= max(height, width) <= MAX_SIDE):
        raise DatasetError(
            f"{count} synthetic images of {width} x {height}; allowed: at least 1, with sides of "
            f"{MIN_SIDE} to {MAX_SIDE} pixels"
        )
    paint = partial(_paint, seed, height, width)
    jobs = [Job(f"dead leaves {index}", partial(paint, index)) for index in range(count)]
    return ImageSet("synthetic images", count, lambda: jobs, synthetic=True)


def _paint(seed: int, height: int, width: int, index: int) -> Picture:
    rng = np.random.default_rng([seed, index + 1])
    leaves = _fallen_leaves(rng, height, width)
    return Picture(f"dead leaves {index}", _lit(rng, leaves, _textures(seed)))


def _fallen_leaves(rng: np.random.Generator, height: int, width: int) -> Array:
    """Return uint8 [H, W, 4]: blue, green, red, and how much of the texture shows."""
    smallest = np.exp(rng.uniform(*np.log(SMALLEST_PX)))
    largest = max(max(height, width) / 2, 2 * smallest)
    # The mean of pi r**2 under r**-3 between both ends is close to 2 pi a**2 log(b / a).
    mean_area = 2 * np.pi * smallest**2 * np.log(largest / smallest)
    count = int(COVERAGE * height * width / mean_area) + 1
    radius = (smallest**-2 - rng.random(count) * (smallest**-2 - largest**-2)) ** -0.5

    # A triangle to a hexagon, or round: vertices that coincide make the number of corners.
    corners = rng.choice([3, 4, 5, 6, VERTICES, VERTICES], count)[:, None]
    angle = 2 * np.pi * np.floor(np.arange(VERTICES) * corners / VERTICES) / corners
    stretch = np.exp(rng.normal(0, 0.35, (count, 1)))
    x, y = np.cos(angle) * stretch, np.sin(angle) / stretch
    turn = rng.uniform(0, 2 * np.pi, (count, 1))
    centre = rng.uniform(-0.1, 1.1, (count, 2)) * (width, height)
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 2)
    points = points * radius[:, None, None] + centre[:, None]
    fixed = np.rint(points * 16).astype(np.int32)

    color = np.concatenate([_colors(rng, count), 255 * rng.random((count, 1)) ** 2], 1).tolist()
    leaves = np.full((height, width, 4), color[0], np.uint8)
    for polygon, paint in zip(fixed, color, strict=True):
        cv2.fillConvexPoly(leaves, polygon, paint, cv2.LINE_8, 4)
    return leaves


def _colors(rng: np.random.Generator, count: int) -> Array:
    """Return [count, 3]: blue, green, red in 0 to 255."""
    contrast = np.exp(rng.normal(0, CONTRAST_STD))
    opponent = rng.normal(0, LEAF_STD, (count, 3)) * contrast + rng.normal(0, PICTURE_STD)
    light = MEAN_LIGHT * np.exp(opponent @ OPPONENT)
    colors: Array = 255 * np.minimum(light**GAMMA, 1)
    return colors


def _lit(rng: np.random.Generator, leaves: Array, textures: list[F32]) -> Array:
    """Return the leaves with texture, shading and blur: uint8 [H, W, 3]."""
    height, width = leaves.shape[:2]
    top, left = rng.integers(0, TEXTURE_SIDE, 2)
    # Textures are periodic: no seam where they repeat.
    rows = (np.arange(height) + top) % TEXTURE_SIDE
    columns = (np.arange(width) + left) % TEXTURE_SIDE
    texture = textures[rng.integers(len(textures))][rows][:, columns]
    amount = TEXTURE / 255 * np.exp(rng.normal(0, TEXTURE_STD))
    coarse = rng.normal(0, SHADING_STD, (4, 4)).astype(np.float32)
    shading = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    gain = np.exp(texture * leaves[:, :, 3] * np.float32(amount) + shading)
    lit = cv2.GaussianBlur(
        leaves[:, :, :3] * gain[:, :, None], (0, 0), BLUR_PX * np.exp(rng.normal(0, BLUR_STD))
    )
    pixels: Array = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
    return pixels


@lru_cache(maxsize=2)
def _textures(seed: int) -> list[F32]:
    """Return periodic noise of mean 0 and deviation 1: one cloudy, the others like fur or cloth.

    The cloudy one has amplitudes 1/f**0.8; the others one direction each, and one octave of
    frequencies.
    """
    rng = np.random.default_rng([seed, 0])
    fx = np.fft.rfftfreq(TEXTURE_SIDE)[None]
    fy = np.fft.fftfreq(TEXTURE_SIDE)[:, None]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectra = [frequency**-0.8]
    for number in range(ORIENTED_TEXTURES):
        middle = 0.03 * 2.0 ** (number % 4)
        octave = np.exp(-0.5 * (np.log(frequency / middle) / 0.35) ** 2)
        away = np.sin(np.arctan2(fy, fx) - rng.uniform(0, np.pi))
        spectra.append(octave * np.exp(-0.5 * (away / 0.2) ** 2))
    textures = []
    for spectrum in spectra:
        spectrum[0, 0] = 0.0
        noise = np.fft.rfft2(rng.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE)))
        texture = np.fft.irfft2(noise * spectrum, s=(TEXTURE_SIDE, TEXTURE_SIDE))
        textures.append((texture / texture.std()).astype(np.float32))
    return textures
