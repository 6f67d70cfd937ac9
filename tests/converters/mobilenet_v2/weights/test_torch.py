"""PyTorch itself as the oracle: its layers, its files, its names by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.mobilenet_v2.build import build
from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes
from converters.mobilenet_v2.weights.load import load_weights
from converters.mobilenet_v2.weights.read import read_weights
from edge.tensors import F32
from tests.converters.mobilenet_v2.test_build import run
from tests.converters.mobilenet_v2.weights.sources import timm_layers

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch
nn = torch.nn
Module = Any
LARGEST = 1e-4

ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))


def multiple_of_8(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def unit(ins: int, outs: int, kernel: int, stride: int = 1, groups: int = 1) -> Module:
    padding = kernel // 2
    convolution = nn.Conv2d(ins, outs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outs), nn.ReLU6())


class Block(nn.Module):  # type: ignore[misc, name-defined]  # torch may be absent
    """An inverted residual with the names that torchvision's has."""

    def __init__(self, ins: int, outs: int, stride: int, times: int) -> None:
        super().__init__()
        inner = ins * times
        self.adds = stride == 1 and ins == outs
        first = [unit(ins, inner, 1)] if times > 1 else []
        project = nn.Conv2d(inner, outs, 1, bias=False)
        depthwise = unit(inner, inner, 3, stride, inner)
        self.conv = nn.Sequential(*first, depthwise, project, nn.BatchNorm2d(outs))

    def forward(self, value: Module) -> Module:
        return value + self.conv(value) if self.adds else self.conv(value)


class Network(nn.Module):  # type: ignore[misc, name-defined]
    """MobileNetV2 with the names that torchvision's has: features and classifier."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*self._layers(width))
        features = multiple_of_8(1280 * max(1.0, width))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(features, classes))

    def _layers(self, width: float) -> Iterator[Module]:
        ins = multiple_of_8(32 * width)
        yield unit(3, ins, 3, 2)
        for times, channels, repeats, stride in (*ROWS, (6, 320, 1, 1)):
            outs = multiple_of_8(channels * width)
            for repeat in range(repeats):
                yield Block(ins, outs, 1 if repeat else stride, times)
                ins = outs
        yield unit(ins, multiple_of_8(1280 * max(1.0, width)), 1)

    def forward(self, images: Module) -> Module:
        return self.classifier(self.features(images).mean((2, 3)))


def trained(width: float, classes: int) -> Module:
    """A network whose BatchNorms have seen pictures, so that every layer has a say in the logits.

    With statistics of the air the scores would be made of biases alone.
    """
    torch.manual_seed(7)
    network = Network(width, classes).train()
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # the mean over all batches
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.3)
        for _ in range(2):
            network(torch.randn(4, 3, 96, 96))
        network.classifier[1].weight.normal_(0, 0.05)
    return network.eval()


def difference(
    path: Path,
    network: Module,
    hw: tuple[int, int],
    **changes: Any,  # noqa: ANN401
) -> float:
    """Return how far the ONNX model's logits are from the network's, of the largest.

    `changes` are made to the architecture that was found.
    """
    images: F32 = np.random.default_rng(3).normal(0, 1, (1, 3, *hw)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    loaded = load_weights(path, Wishes(image_hw=hw), 0)
    found = run(build(replace(loaded.architecture, **changes), loaded.weights), images)
    assert np.std(expected) > 0.1
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def save_new(network: Module, path: Path) -> None:
    torch.save(network.state_dict(), path)


def save_old(network: Module, path: Path) -> None:
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)


def save_checkpoint(network: Module, path: Path) -> None:
    """As a training script does, with the state of an optimizer that has made a step."""
    adam = torch.optim.Adam(network.parameters())
    network(torch.zeros(1, 3, 32, 32)).sum().backward()
    with torch.no_grad():
        before = {name: value.clone() for name, value in network.state_dict().items()}
    adam.step()
    network.load_state_dict(before)
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"model": state, "optimizer": adam.state_dict(), "epoch": 3, "lr": 0.1}, path)


def save_npz(network: Module, path: Path) -> None:
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def save_timm(network: Module, path: Path) -> None:
    """The same weights under timm's names."""
    rest = iter(network.state_dict().values())
    state = {}
    for convolution, norm in timm_layers():
        state[f"{convolution}.weight"] = next(rest)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            state[f"{norm}.{part}"] = next(rest)
    torch.save(state | {"classifier.weight": next(rest), "classifier.bias": next(rest)}, path)


def save_safetensors(network: Module, path: Path) -> None:
    library = pytest.importorskip("safetensors.torch", reason="needs the weights extra")
    library.save_file(network.state_dict(), path)


SAVERS = [save_new, save_old, save_checkpoint, save_npz, save_timm, save_safetensors]


@pytest.mark.parametrize("save", SAVERS)
def test_the_onnx_model_computes_what_pytorch_does(
    tmp_path: Path, save: Callable[[Module, Path], None]
) -> None:
    network = trained(0.35, 9)
    save(network, tmp_path / "weights")
    assert difference(tmp_path / "weights", network, (96, 75)) < LARGEST


def test_at_full_width(tmp_path: Path) -> None:
    network = trained(1.0, 1000)
    save_new(network, tmp_path / "weights")
    assert difference(tmp_path / "weights", network, (128, 128)) < LARGEST


@pytest.mark.parametrize("block", [1, 9, 17])
def test_one_wrong_channel_would_be_seen(tmp_path: Path, block: int) -> None:
    network = trained(0.35, 9)
    save_new(network, tmp_path / "weights")
    with torch.no_grad():
        network.features[block].conv[-2].weight[3] *= 1.1
    assert difference(tmp_path / "weights", network, (96, 96)) > 10 * LARGEST


@pytest.mark.parametrize("change", [{"padding": "tensorflow"}, {"epsilon": 1e-3}])
def test_wrong_habits_would_be_seen(tmp_path: Path, change: dict[str, object]) -> None:
    network = trained(0.35, 9)
    save_new(network, tmp_path / "weights")
    assert difference(tmp_path / "weights", network, (96, 96), **change) > 10 * LARGEST


@pytest.mark.parametrize("is_new", [True, False])
def test_tensors_of_every_kind_come_out(tmp_path: Path, *, is_new: bool) -> None:
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "transposed": base.view(4, 6).t(),
        "part": base[5:9],
        "step": base[::3],
        "half": base.half(),
        "double": base.double(),
        "brain": base.bfloat16(),
        "parameter": nn.Parameter(base[:3].clone()),
        "count": torch.tensor(5),
        "bool": base > 3,
        "empty": torch.zeros(0, 3),
    }
    torch.save(state, tmp_path / "a", _use_new_zipfile_serialization=is_new)
    arrays = read_weights(tmp_path / "a").arrays
    assert arrays.keys() == state.keys()
    for name, value in state.items():
        expected = value.detach().float().numpy()
        np.testing.assert_array_equal(np.asarray(arrays[name], np.float32), expected)


def test_a_whole_module_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(1, 1, 1)), tmp_path / "a")
    with pytest.raises(WeightFileError, match=r"torch\.nn\.modules\.conv\.Conv2d"):
        read_weights(tmp_path / "a")
