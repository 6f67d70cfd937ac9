from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.dataset import tensors
from calibration.images import ImageSet, Job, Picture
from calibration.lint.norm import Norm, check_color, check_preset, distance
from calibration.synthetic import dead_leaves
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import F32, TensorSpec

SIDE, CHANNELS = 32, 8
WEIGHT = np.random.default_rng(5).normal(0, 1, (CHANNELS, 3)).astype(np.float32)


def mixed(x: F32) -> F32:
    """A convolution 1x1 of [1, 3, H, W], in NumPy."""
    return np.asarray(np.einsum("oc,nchw->nohw", WEIGHT, x), np.float32)


def warm(count: int, seed: int) -> ImageSet:
    """Return pictures in which red is stronger than blue, as in most photographs."""
    gain = np.array([0.6, 0.8, 1.0])
    made = [np.asarray(p.pixels * gain, np.uint8) for p in dead_leaves(count, SIDE, SIDE, seed)]

    def job(index: int) -> Job:
        return Job(str(index), lambda: Picture(str(index), made[index]))

    return ImageSet("warm", count, lambda: [job(i) for i in range(count)])


def inputs(images: ImageSet, spec: PreprocessSpec, *, last: bool = False) -> list[F32]:
    shape = (1, SIDE, SIDE, 3) if last else (1, 3, SIDE, SIDE)
    return list(tensors(images, replace(spec, resize=None), TensorSpec("x", shape, "float32")))


def trained(spec: PreprocessSpec, *, last: bool = False, images: int = 48) -> Norm:
    """Return what a layer remembers that saw other such pictures under `spec`."""
    values = np.concatenate([mixed(x) for x in inputs(warm(64, 11), spec)])

    def before(x: F32) -> F32:
        return mixed(x.transpose(0, 3, 1, 2) if last else x)

    mean, variance = values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3))
    return Norm("bn", mean, variance, before, 3 if last else 1, images)


@pytest.mark.parametrize("right", PRESETS)
@pytest.mark.parametrize("chosen", PRESETS)
def test_the_preset_of_the_training_is_named_where_another_was_chosen(
    right: str, chosen: str
) -> None:
    found = check_preset(
        trained(PRESETS[right]), inputs(warm(16, 12), PRESETS[chosen]), PRESETS[chosen]
    )
    if chosen == right:
        assert found is None
    else:
        assert found is not None
        assert (found.code, found.severity) == ("preset", "error")
        assert found.change == f"--preprocess {right}"


def test_channels_may_lie_last() -> None:
    norm = trained(PRESETS["tf"], last=True)
    chosen = PRESETS["imagenet"]
    found = check_preset(norm, inputs(warm(16, 12), chosen, last=True), chosen)
    assert found is not None
    assert found.change == "--preprocess tf"
    tf = PRESETS["tf"]
    assert check_preset(norm, inputs(warm(16, 12), tf, last=True), tf) is None


def test_a_model_of_other_pictures_says_nothing() -> None:
    # Settled on noise: no preset makes that of pictures.
    noise = np.random.default_rng(0).normal(0, 1, (32, 3, SIDE, SIDE)).astype(np.float32)
    values = mixed(noise) * 9 + 40
    norm = replace(
        trained(PRESETS["tf"]),
        mean=values.mean(axis=(0, 2, 3)),
        variance=values.var(axis=(0, 2, 3)),
    )
    for spec in PRESETS.values():
        assert check_preset(norm, inputs(warm(16, 12), spec), spec) is None


def test_the_distance_is_the_divergence_of_normal_distributions() -> None:
    spec = PRESETS["tf"]
    x = inputs(warm(9, 3), spec)
    values = np.concatenate([mixed(one) for one in x]).astype(np.float64)
    mean, variance = values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3))
    norm = replace(
        trained(spec),
        mean=(mean + np.sqrt(variance)).astype(np.float32),
        variance=(variance / 4).astype(np.float32),
    )
    # By numbers: the integral of p log(p / q) for p = N(0, 1), q = N(1, 1/4).
    t = np.linspace(-12, 12, 200_001)
    p = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    log_ratio = -(t**2) / 2 + 2 * (t - 1) ** 2 + np.log(0.5)
    expected = float(np.sum(p * log_ratio) * (t[1] - t[0]))
    assert distance(norm, x, spec, spec) == pytest.approx(expected, rel=1e-3)


def test_a_channel_that_is_dead_has_no_say() -> None:
    spec = PRESETS["tf"]
    x = inputs(warm(9, 3), spec)
    norm = trained(spec)
    variance = norm.variance.copy()
    variance[0] = 1e-9
    assert distance(replace(norm, variance=variance), x, spec, spec) < 1


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_the_other_order_of_colours_is_found(color: str) -> None:
    right = PRESETS["tf"] if color == "rgb" else PRESETS["tf"].with_color("bgr")
    wrong = right.with_color("bgr" if color == "rgb" else "rgb")
    norm = trained(right)
    assert check_color(norm, inputs(warm(48, 12), right), right) is None
    found = check_color(norm, inputs(warm(48, 12), wrong), wrong)
    assert found is not None
    assert found.code == "color"
    assert found.change.startswith(f"--color {color}")


def test_gray_pictures_have_no_order_of_colours() -> None:
    spec = PRESETS["tf"]
    x = [one.mean(axis=1, keepdims=True).repeat(3, axis=1) for one in inputs(warm(48, 12), spec)]
    assert check_color(trained(spec), x, spec) is None


def test_a_costly_layer_is_run_as_often_as_it_may_be() -> None:
    runs = []
    norm = trained(PRESETS["tf"], images=8)

    def before(x: F32) -> F32:
        runs.append(x)
        return mixed(x)

    spec = PRESETS["tf"]
    check_preset(replace(norm, before=before), inputs(warm(40, 12), spec), spec)
    assert len(runs) == 8 * (1 + len(PRESETS))


def test_a_layer_of_dead_channels_says_nothing() -> None:
    spec = PRESETS["tf"]
    norm = replace(trained(spec), variance=np.zeros(CHANNELS, np.float32))
    for chosen in PRESETS.values():
        assert check_preset(norm, inputs(warm(9, 3), chosen), chosen) is None
