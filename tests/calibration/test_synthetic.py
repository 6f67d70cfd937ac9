import itertools

import numpy as np
import pytest

from calibration.dataset import tensors
from calibration.images import DatasetError
from calibration.synthetic import dead_leaves
from edge.preprocess import PRESETS
from edge.tensors import U8, TensorSpec


def pictures(count: int, height: int = 128, width: int = 128, seed: int = 0) -> list[U8]:
    return [picture.pixels for picture in dead_leaves(count, height, width, seed)]


def spectral_slope(pixels: U8) -> float:
    """Return the exponent of power over frequency, from 3 periods a picture to a fifth a pixel."""
    gray = pixels.mean(axis=2)
    side = min(gray.shape)
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((gray - gray.mean()) * window * window[:, None])) ** 2
    axis = np.fft.fftfreq(side)
    frequency = np.hypot(axis[:, None], axis)
    edges = np.geomspace(3 / side, 0.2, 10)
    rings = [(frequency >= a) & (frequency < b) for a, b in itertools.pairwise(edges)]
    x = [np.log(frequency[ring].mean()) for ring in rings]
    y = [np.log(power[ring].mean()) for ring in rings]
    return float(np.polyfit(x, y, 1)[0])


def test_the_same_seed_paints_the_same_pictures() -> None:
    np.testing.assert_array_equal(pictures(3, seed=5), pictures(4, seed=5)[:3])
    assert not np.array_equal(pictures(1, seed=5), pictures(1, seed=6))
    first, second = pictures(2)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (33, 70), (300, 260)])
def test_pictures_have_the_size_that_was_asked_for(height: int, width: int) -> None:
    images = dead_leaves(2, height, width)
    assert (len(images), images.synthetic) == (2, True)
    for picture in images:
        assert picture.pixels.shape == (height, width, 3)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.std() > 0


def test_the_power_spectrum_is_that_of_photographs() -> None:
    slopes = [spectral_slope(pixels) for pixels in pictures(24, 256, 256)]
    assert -2.4 < np.mean(slopes) < -1.6
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    assert spectral_slope(noise) > -0.5  # what the measure says of something else


def test_light_contrast_and_color_vary_as_in_photographs() -> None:
    painted = np.stack(pictures(32)).astype(np.float64) / 255
    brightness = painted.mean(axis=(1, 2, 3))
    contrast = painted.mean(axis=3).std(axis=(1, 2))
    saturation = (painted.max(axis=3) - painted.min(axis=3)).mean(axis=(1, 2))
    # Photographs of ImageNet: 0.44 +- 0.12, 0.21 +- 0.06, 0.13 +- 0.08.
    assert 0.35 < brightness.mean() < 0.6
    assert 0.06 < brightness.std() < 0.18
    assert 0.15 < contrast.mean() < 0.27
    assert 0.02 < contrast.std() < 0.1
    assert 0.08 < saturation.mean() < 0.25
    # Black and white both occur.
    assert np.percentile(painted, 1) < 0.15
    assert np.percentile(painted, 99) > 0.9


def test_pictures_become_tensors_like_any_others() -> None:
    spec = TensorSpec("input", (1, 3, 32, 32), "float32")
    found = list(tensors(dead_leaves(2, 40, 40), PRESETS["tf"], spec))
    assert [tensor.shape for tensor in found] == [spec.shape] * 2
    assert max(abs(tensor).max() for tensor in found) <= 1.0


@pytest.mark.parametrize("size", [(0, 64, 64), (1, 7, 64), (1, 64, 8193)])
def test_impossible_sizes_are_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(DatasetError, match="allowed: at least 1, with sides of 8 to 8192"):
        dead_leaves(*size)
