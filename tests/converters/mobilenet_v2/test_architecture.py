from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.mobilenet_v2.architecture import (
    PADDINGS,
    Architecture,
    ArchitectureError,
    Padding,
    Stage,
    scale_channels,
    side_padding,
)


def test_parameters_are_the_published_ones() -> None:
    assert Architecture().parameters() == 3_504_872


@pytest.mark.parametrize(
    ("width", "side", "published_millions"),
    # The table of pretrained models in TensorFlow's slim/nets/mobilenet README, "MACs (M)".
    [(1.4, 224, 582), (1.0, 224, 300), (0.75, 224, 209), (0.5, 224, 97), (0.35, 224, 59)],
)
def test_multiply_adds_are_the_published_ones(
    width: float, side: int, published_millions: int
) -> None:
    count = Architecture(width, (side, side)).multiply_adds()
    # Published in whole millions, some rounded down.
    assert abs(count / 1e6 - published_millions) < 1


def test_the_paper_network_has_17_bottlenecks_52_convolutions_and_10_shortcuts() -> None:
    *convolutions, classifier = Architecture().layers()
    assert len(convolutions) == 52
    assert len({layer.block for layer in convolutions} - {""}) == 17
    assert sum(layer.shortcut for layer in convolutions) == 10
    assert convolutions[-1].output_hw == (7, 7)
    assert (classifier.in_channels, classifier.out_channels) == (1280, 1000)


def test_bottlenecks_are_linear_and_the_first_does_not_expand() -> None:
    layers = Architecture().layers()
    linear = {layer.kind for layer in layers if layer.activation == "linear"}
    assert linear == {"project", "classifier"}
    assert {layer.activation for layer in layers} == {"linear", "relu6"}
    assert [layer.kind for layer in layers if layer.block == "block1"] == ["depthwise", "project"]


def test_a_bottleneck_that_is_not_linear_has_the_others_activation() -> None:
    layers = Architecture(activation="relu", bottleneck="relu").layers()
    assert {layer.kind for layer in layers if layer.activation == "linear"} == {"classifier"}
    assert {layer.activation for layer in layers[:-1]} == {"relu"}


def test_activations_and_shortcuts_cost_nothing() -> None:
    plain = Architecture()
    other = Architecture(activation="relu", bottleneck="relu", shortcut=False)
    assert not any(layer.shortcut for layer in other.layers())
    assert other.weight_shapes() == plain.weight_shapes()
    assert other.multiply_adds() == plain.multiply_adds()


@pytest.mark.parametrize("expansion", [1, 2, 6, 64])
def test_an_expansion_takes_the_place_of_those_above_1(expansion: int) -> None:
    layers = Architecture(expansion=expansion).layers()
    depthwise = {layer.block: layer for layer in layers if layer.kind == "depthwise"}
    outputs = {layer.block: layer.out_channels for layer in layers if layer.kind == "project"}
    hidden = [depthwise[f"block{n}"].in_channels for n in range(1, 18)]
    # The paper's first stage does not expand.
    assert hidden == [32, *(expansion * outputs[f"block{n}"] for n in range(1, 17))]
    expanding = [layer.block for layer in layers if layer.kind == "expand"]
    assert expanding == ([] if expansion == 1 else [f"block{n}" for n in range(2, 18)])
    if expansion == 6:
        assert layers == Architecture().layers()


def test_a_narrow_network_keeps_1280_features_and_a_wide_one_gets_more() -> None:
    assert Architecture(width=0.35).layers()[-1].in_channels == 1280
    assert Architecture(width=1.4).layers()[-1].in_channels == 1792


def test_the_table_decides_expansion_repeats_and_stride() -> None:
    network = Architecture(image_hw=(64, 48), classes=3, channels=1, stages=(Stage(4, 24, 2, 2),))
    layers = network.layers()
    assert [layer.name for layer in layers] == [
        "stem",
        *(f"block{n}.{kind}" for n in (1, 2) for kind in ("expand", "depthwise", "project")),
        "head",
        "classifier",
    ]
    by_name = {layer.name: layer for layer in layers}
    assert by_name["stem"].weight_shape == (32, 1, 3, 3)
    assert by_name["block1.expand"].weight_shape == (128, 32, 1, 1)
    assert by_name["block2.depthwise"].weight_shape == (96, 1, 3, 3)
    assert not by_name["block1.project"].shortcut
    assert by_name["block2.project"].shortcut
    assert by_name["head"].output_hw == (16, 12)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.05, 3),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(1, 2000),
    st.sampled_from(PADDINGS),
)
def test_every_layer_takes_what_the_one_before_gives(
    width: float, image_hw: tuple[int, int], classes: int, padding: Padding
) -> None:
    *convolutions, classifier = Architecture(width, image_hw, classes, padding=padding).layers()
    for before, layer in pairwise(convolutions):
        assert layer.in_channels == before.out_channels
        assert layer.input_hw == before.output_hw
    assert classifier.in_channels == convolutions[-1].out_channels
    for layer in convolutions:
        top, left, bottom, right = layer.pads
        # The output size of a convolution, as ONNX defines it.
        expected = tuple(
            (side + pads - layer.kernel) // layer.stride + 1
            for side, pads in zip(layer.input_hw, (top + bottom, left + right), strict=True)
        )
        assert layer.output_hw == expected


@settings(deadline=None)
@given(st.integers(1, 4000), st.floats(0.01, 4))
def test_channels_are_multiples_of_8_and_never_more_than_a_tenth_too_few(
    channels: int, width: float
) -> None:
    scaled = scale_channels(channels, width)
    assert scaled % 8 == 0
    assert scaled >= max(8, 0.9 * channels * width)
    assert scaled <= max(8, channels * width + 8)


def test_channels_at_the_limit() -> None:
    assert scale_channels(32, 0.35) == 16  # 11.2: 8 would be 29 % down
    assert scale_channels(24, 0.35) == 8  # 8.4: 8 is 5 % down
    assert scale_channels(80, 1.0) == 80
    assert scale_channels(19, 1.0) == 24  # 16 would be 16 % down
    assert scale_channels(35, 1.0) == 32  # 9 % down


@pytest.mark.parametrize(("side", "expected"), [(224, (0, 1)), (225, (1, 1)), (1, (1, 1))])
def test_same_padding_on_stride_2(side: int, expected: tuple[int, int]) -> None:
    assert side_padding(side, 3, 2, "tensorflow") == expected


@settings(deadline=None)
@given(st.integers(1, 500), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]))
def test_same_padding_is_the_least_that_gives_every_output(
    side: int, kernel: int, stride: int
) -> None:
    before, behind = side_padding(side, kernel, stride, "tensorflow")
    outputs = math.ceil(side / stride)
    needed = (outputs - 1) * stride + kernel
    assert before + behind == max(0, needed - side)
    assert before <= behind <= before + 1


def test_all_refusals_come_at_once() -> None:
    with pytest.raises(ArchitectureError) as refusal:
        Architecture(0, (0, 5000), 0, 2, "valid", (), -1, "gelu", "bent", expansion=0)  # type: ignore[arg-type]
    words = ("width", "image_hw", "classes", "channels", "padding", "stages", "epsilon")
    for word in (*words, "activation", "bottleneck", "expansion"):
        assert word in str(refusal.value)
    with pytest.raises(ArchitectureError, match="expansion 65; allowed: 1 to 64"):
        Architecture(expansion=65)


@pytest.mark.parametrize("row", [(0, 8, 1, 1), (1, 0, 1, 1), (1, 8, 0, 1), (1, 8, 1, 3)])
def test_a_stage_that_cannot_be_is_refused(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(ArchitectureError, match="stride is 1 or 2"):
        Stage(*row)
