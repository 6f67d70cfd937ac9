"""From named arrays to the network: families, what is inferred, and everything that is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from converters.mobilenet_v2.architecture import Architecture, Stage
from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes
from converters.mobilenet_v2.weights.load import Loaded, load_weights
from edge.preprocess import PRESETS
from edge.tensors import F32, Array
from tests.converters.mobilenet_v2.weights.sources import (
    CLASSES,
    NETWORK,
    WIDTH,
    keras_named,
    save_npz,
    stirred,
    timm_layers,
    torch_named,
    torchvision,
    transformers_layers,
)

NOTHING = Wishes()


def load(folder: Path, arrays: dict[str, Array], wishes: Wishes = NOTHING) -> Loaded:
    return load_weights(save_npz(folder / "weights.npz", arrays), wishes, seed=3)


def refusal(folder: Path, arrays: dict[str, Array], wishes: Wishes = NOTHING) -> str:
    with pytest.raises(WeightFileError) as refused:
        load(folder, arrays, wishes)
    return str(refused.value)


def assert_same(found: dict[str, F32], expected: dict[str, F32]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("family", "padding", "epsilon", "preset"),
    [
        ("torchvision", "pytorch", 1e-5, "imagenet"),
        ("timm", "pytorch", 1e-5, "imagenet"),
        ("transformers", "tensorflow", 1e-3, "tf"),
        ("Keras", "tensorflow", 1e-3, "tf"),
        ("edge-mobilenet", "tensorflow", 1e-5, "imagenet"),
    ],
)
def test_each_family_is_told_by_its_names(
    tmp_path: Path, family: str, padding: str, epsilon: float, preset: str
) -> None:
    weights = stirred()
    arrays = {
        "torchvision": torchvision(weights),
        "timm": torch_named(weights, timm_layers(), "classifier"),
        "transformers": torch_named(weights, transformers_layers(), "classifier"),
        "Keras": keras_named(weights, depthwise="depthwise_kernel"),
        "edge-mobilenet": dict(weights),
    }[family]
    found = load(tmp_path, arrays)
    assert_same(found.weights, weights)
    assert found.family == family
    network = found.architecture
    assert (network.width, network.classes, network.channels) == (WIDTH, CLASSES, 3)
    assert (network.padding, network.epsilon, network.expansion) == (padding, epsilon, None)
    assert found.preprocess == PRESETS[preset]
    assert found.read == len(weights)
    counters = 0 if family in ("Keras", "edge-mobilenet") else 52
    assert found.not_read == Counter({"counters of training steps": counters} if counters else {})
    assert not found.is_new_classifier


@pytest.mark.parametrize("width", [0.1, 0.25, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_the_width_is_read_off_the_channels(tmp_path: Path, width: float) -> None:
    # One value for all numbers of an array: what counts are the shapes.
    shapes = Architecture(width, classes=2).weight_shapes()
    arrays = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}
    found = load(tmp_path, torchvision(arrays))
    assert (found.architecture.width, found.architecture.classes) == (width, 2)


@pytest.mark.parametrize("expansion", [1, 4])
def test_expansion_and_gray_are_read_off(tmp_path: Path, expansion: int) -> None:
    network = Architecture(WIDTH, classes=2, channels=1, expansion=expansion)
    weights = stirred(network)
    found = load(tmp_path, dict(weights))
    assert_same(found.weights, weights)
    assert (found.architecture.expansion, found.architecture.channels) == (expansion, 1)


def test_a_deeper_network_keeps_its_own_stages(tmp_path: Path) -> None:
    """As timm's mobilenetv2_110d: stem and head as in the paper, more and other blocks."""
    repeats = (1, 3, 4, 5, 4, 4, 1)
    channels = (16, 24, 32, 72, 104, 176, 352)
    strides = (1, 2, 2, 2, 1, 2, 1)
    rows = zip((1, *[6] * 6), channels, repeats, strides, strict=True)
    stages = tuple(Stage(*row) for row in rows)
    weights = stirred(Architecture(1.0, classes=2, stages=stages))
    arrays = torch_named(weights, timm_layers(repeats), "classifier")
    found = load(tmp_path, arrays)
    assert found.architecture.stages == stages
    assert_same(found.weights, weights)
    assert "stages of their own (16, 24, 32" in refusal(tmp_path, arrays, Wishes(width=1.1))


def test_blocks_whose_strides_nobody_knows_are_refused(tmp_path: Path) -> None:
    stages = (Stage(1, 16, 1, 1), Stage(6, 24, 2, 2))
    weights = stirred(Architecture(WIDTH, classes=2, stages=stages))
    message = refusal(tmp_path, dict(weights))
    assert "3 blocks one after another" in message
    assert "allowed: 17" in message


def test_what_wrappers_put_before_names_is_left_off_and_said(tmp_path: Path) -> None:
    weights = stirred()
    arrays = {f"module.{name}": array for name, array in torchvision(weights).items()}
    arrays["n_averaged"] = np.array(9)
    found = load(tmp_path, arrays)
    assert_same(found.weights, weights)
    assert found.notes == ("'module.' before 314 of the names is left off",)
    assert found.not_read == Counter({"counters of training steps": 53})
    arrays["features.0.0.weight"] = weights["stem.weight"]
    assert "with and without 'module.'" in refusal(tmp_path, arrays)


def test_transformers_leaves_out_a_shortcut_that_narrow_networks_have(tmp_path: Path) -> None:
    """At width 0.25 the first block takes 8 channels and gives 8."""
    weights = stirred(Architecture(0.25, classes=2))
    arrays = torch_named(weights, transformers_layers(), "classifier")
    assert "transformers leaves out the shortcut of the first block" in refusal(tmp_path, arrays)
    assert not load(tmp_path, arrays, Wishes(shortcut=False)).architecture.shortcut
    assert load(tmp_path, torchvision(weights)).architecture.shortcut


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_converted_and_counted(tmp_path: Path, dtype: type) -> None:
    weights = stirred()
    arrays = torchvision(weights) | {"features.0.1.bias": weights["stem.beta"].astype(dtype)}
    found = load(tmp_path, arrays)
    assert found.converted == Counter({np.dtype(dtype).name: 1})
    np.testing.assert_allclose(found.weights["stem.beta"], weights["stem.beta"], rtol=1e-3)


def test_a_convolution_may_be_the_classifier(tmp_path: Path) -> None:
    weights = stirred()
    arrays = torchvision(weights)
    arrays["classifier.1.weight"] = arrays["classifier.1.weight"][:, :, None, None]
    assert_same(load(tmp_path, arrays).weights, weights)
    arrays = keras_named(weights)
    arrays["predictions/kernel"] = arrays["predictions/kernel"][None, None]
    assert_same(load(tmp_path, arrays).weights, weights)


def test_keras_classifier_of_any_name(tmp_path: Path) -> None:
    weights = stirred()
    arrays = {n.replace("predictions", "dense_4"): a for n, a in keras_named(weights).items()}
    assert_same(load(tmp_path, arrays).weights, weights)


def test_everything_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    arrays = torchvision(stirred())
    del arrays["features.3.conv.1.1.running_var"]
    del arrays["features.0.1.bias"]
    arrays["features.18.1.weight"] = np.ones(7, np.float32)
    arrays["features.2.conv.2.weight"] = np.ones((8, 48), np.float32)
    arrays["features.2.conv.3.bias"] = np.ones(8, np.int32)
    arrays["features.19.0.weight"] = np.ones((1, 2), np.float32)
    message = refusal(tmp_path, arrays)
    assert "2 missing: 'features.0.1.bias'; 'features.3.conv.1.1.running_var'" in message
    assert (
        "3 of another shape: 'features.18.1.weight' is float32 [7], not float [1280]; "
        "'features.2.conv.2.weight' is float32 [8, 48], not float [8, 48, 1, 1]; "
        "'features.2.conv.3.bias' is int32 [8], not float [8]"
    ) in message
    assert "1 left over: 'features.19.0.weight' [1, 2]" in message


def test_hundreds_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    arrays = torchvision(stirred())
    arrays |= {f"head.{number:03}": np.ones(1, np.float32) for number in range(300)}
    message = refusal(tmp_path, arrays)
    assert "300 left over: 'head.000' [1]; 'head.001' [1]; " in message
    assert message.endswith("'head.011' [1]; and 288 more")


def test_every_contradiction_is_listed_at_once(tmp_path: Path) -> None:
    wishes = Wishes(
        width=0.5,
        classes=10,
        labels=12,
        channels=1,
        expansion=4,
        padding="tensorflow",
        epsilon=1e-3,
    )
    message = refusal(tmp_path, torchvision(stirred()), wishes)
    for words in (
        "--width 0.5, but the weights have 0.35",
        "--classes 10, but the weights have 5",
        "--labels 12, but the weights have 5",
        "channels 1, but the weights have 3",
        "--expansion 4, but the weights have 6",
        "--padding tensorflow, but torchvision's is pytorch",
        "--epsilon 0.001, but torchvision's is 1e-05",
    ):
        assert words in message


def test_what_the_user_names_and_weights_say_may_agree(tmp_path: Path) -> None:
    wishes = Wishes(width=WIDTH, image_hw=(64, 48), classes=5, labels=5, channels=3, expansion=6)
    arrays = torchvision(stirred())
    assert load(tmp_path, arrays, wishes).architecture == Architecture(
        WIDTH, (64, 48), 5, padding="pytorch"
    )


def test_what_weights_do_not_tell_is_the_users(tmp_path: Path) -> None:
    """A network that timm took over from TensorFlow has the names of its others."""
    arrays = torch_named(stirred(), timm_layers(), "classifier")
    wishes = Wishes(padding="tensorflow", epsilon=1e-3, activation="relu", shortcut=False)
    network = load(tmp_path, arrays, wishes).architecture
    assert (network.padding, network.epsilon) == ("tensorflow", 1e-3)
    assert (network.activation, network.shortcut) == ("relu", False)


def test_features_without_a_classifier(tmp_path: Path) -> None:
    weights = stirred()
    arrays = {n: a for n, a in torchvision(weights).items() if not n.startswith("classifier")}
    assert "has no classifier (include_top=False" in refusal(tmp_path, arrays)
    found = load(tmp_path, arrays, Wishes(classes=4))
    assert found.is_new_classifier
    assert found.weights["classifier.weight"].shape == (4, 1280)
    assert found.weights["classifier.weight"].std() == pytest.approx(0.01, rel=0.1)
    np.testing.assert_array_equal(found.weights["head.weight"], weights["head.weight"])
    assert set(found.weights) == set(NETWORK.weight_shapes())


@pytest.mark.parametrize("shared", [[], ["bn1.weight"], ["features.0.0.weight", "Conv1/kernel"]])
def test_names_of_nobody_are_refused(tmp_path: Path, shared: list[str]) -> None:
    """Other networks too have a layer or two of these names."""
    names = ["layer1.0.conv1.weight", *shared]
    message = refusal(tmp_path, {name: np.ones((2, 2), np.float32) for name in names})
    assert "'layer1.0.conv1.weight'" in message
    assert "torchvision, timm, transformers, Keras, edge-mobilenet" in message
