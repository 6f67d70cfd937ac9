"""PyTorch, as an independent oracle: its own count, and its own convolutions."""

from __future__ import annotations

import numpy as np
import pytest

from converters.mobilenet_v2.architecture import PADDINGS, Architecture, Padding
from converters.mobilenet_v2.build import build
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


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("image_hw", [(96, 96), (75, 50)])
def test_the_onnx_model_computes_what_the_module_computes(
    padding: Padding, image_hw: tuple[int, int]
) -> None:
    from converters.mobilenet_v2.digits.torch_module import MobileNetV2

    torch.manual_seed(4)
    network = Architecture(0.35, image_hw, 10, padding=padding)
    module = MobileNetV2(network)
    with torch.no_grad():
        for _ in range(3):  # training mode: BatchNorm learns statistics
            module(torch.randn(4, 3, *image_hw))
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0, 0.3)
        images = images_for(network)
        expected = module.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(build(network, module.weights()), images), expected, atol=1e-4)
