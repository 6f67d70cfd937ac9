"""PyTorch, as an independent oracle: its own count, and its own convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.mobilenet_v2.architecture import PADDINGS, Architecture, Padding, Stage
from converters.mobilenet_v2.build import build
from edge.errors import EdgeError
from edge.tensors import Array
from tests.converters.mobilenet_v2.test_ablations import each_ablation
from tests.converters.mobilenet_v2.test_build import images_for, run

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("width", [0.35, 1.0])
def test_the_counts_are_those_of_the_module(width: float) -> None:
    from converters.mobilenet_v2.digits.torch_module import MobileNetV2

    network = Architecture(width)
    module = MobileNetV2(network)
    assert sum(p.numel() for p in module.parameters()) == network.parameters()
    shapes = {name: array.shape for name, array in module.weights().items()}
    assert shapes == network.weight_shapes()


def assert_the_module_computes_the_same(network: Architecture) -> None:
    """Hold the ONNX model against the module, whose BatchNorms have seen something."""
    from converters.mobilenet_v2.digits.torch_module import MobileNetV2

    torch.manual_seed(4)
    module = MobileNetV2(network)
    with torch.no_grad():
        for _ in range(3):  # training mode: BatchNorm learns statistics
            module(torch.randn(4, 3, *network.image_hw))
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0, 0.3)
        images = images_for(network)
        expected = module.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(build(network, module.weights()), images), expected, atol=1e-4)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("image_hw", [(96, 96), (75, 50)])
def test_the_onnx_model_computes_what_the_module_computes(
    padding: Padding, image_hw: tuple[int, int]
) -> None:
    assert_the_module_computes_the_same(Architecture(0.35, image_hw, 10, padding=padding))


@each_ablation
def test_so_does_each_ablation(change: dict[str, Any]) -> None:
    assert_the_module_computes_the_same(Architecture(0.35, (64, 48), 10, **change))


@pytest.mark.parametrize("option", ["--renders", "--epochs", "--seed", "--threads"])
@pytest.mark.parametrize("value", ["-1", "9999999999"])
def test_options_of_training_out_of_range_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    pytest.importorskip("sklearn", reason="needs the train extra")
    from converters.mobilenet_v2.digits import train

    assert train.main(["--out", str(tmp_path / "out"), option, value]) == 2
    assert f"{option} {value}; allowed: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_least_that_training_takes() -> None:
    pytest.importorskip("sklearn", reason="needs the train extra")
    from converters.mobilenet_v2.digits import train

    least = {name: low for name, (low, _) in train.LIMITS.items()}
    argv = [part for name, low in least.items() for part in (f"--{name}", str(low))]
    options = vars(train._parse(["--out", "x", *argv]))
    assert {name: options[name] for name in least} == least
    with pytest.raises(EdgeError, match="--threads 0"):
        train._parse(["--out", "x", "--threads", "0"])


def two_steps(pictures: Array, classes: Array) -> list[float]:
    """Return the loss at each of two steps."""
    pytest.importorskip("sklearn", reason="needs the train extra")
    from converters.mobilenet_v2.digits.train import Recipe, fit

    network = Architecture(0.25, (16, 16), 2, stages=(Stage(1, 16, 1, 1), Stage(2, 24, 2, 2)))
    return fit(pictures, classes, Recipe(network, epochs=2, seed=0, threads=1)).losses


def test_two_steps_of_training_lower_the_loss() -> None:
    classes = np.arange(64) % 2
    dark_or_bright = (40 + 170 * classes).astype(np.uint8)
    pictures = np.tile(dark_or_bright[:, None, None, None], (1, 3, 16, 16))
    first, second = two_steps(pictures, classes)
    assert first > 0.5  # two classes that look alike have a loss of log 2
    assert second < 0.7 * first
    # Of what cannot be told apart nothing is learned.
    assert min(two_steps(np.full_like(pictures, 90), classes)) > 0.6
