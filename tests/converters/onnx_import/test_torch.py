"""What PyTorch's two exporters write is read, and computes what PyTorch computes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.onnx_import.importer import import_onnx
from converters.onnx_import.load import load
from converters.onnx_qdq.writer import write_float
from converters.passes import run_passes
from converters.tflite.writer import check, write_float_tflite
from tests.converters.artifacts import CARD, float_in_litert
from tests.converters.models import normal, run

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

nn = torch.nn
SIZE = 24


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """An inverted residual with a shortcut."""

    def __init__(self, channels: int, activation: Callable[[], Any]) -> None:
        super().__init__()
        hidden = 2 * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Any) -> Any:  # noqa: ANN401
        return x + self.body(x)


class Clamp(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:  # noqa: ANN401
        return torch.clamp(x, 0.0, 6.0)


class Head(nn.Module):  # type: ignore[misc, name-defined]
    """From features to a vector, in one of the ways that people write it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:  # noqa: ANN401
        return self.function(x)


def pooled(x: Any) -> Any:  # noqa: ANN401
    return nn.functional.adaptive_avg_pool2d(x, 1)


HEADS: dict[str, Callable[[Any], Any]] = {
    "view": lambda x: pooled(x).view(x.size(0), -1),
    "reshape": lambda x: pooled(x).reshape(x.shape[0], -1),
    "view, all sides": lambda x: pooled(x).view(x.size(0), x.size(1)),
    "flatten": lambda x: torch.flatten(pooled(x), 1),
    "squeeze": lambda x: pooled(x).squeeze(-1).squeeze(-1),
    "mean": lambda x: x.mean([2, 3]),
    "mean, negative axes": lambda x: x.mean((-2, -1)),
    "mean, kept": lambda x: torch.flatten(x.mean([2, 3], keepdim=True), 1),
    "avg_pool2d": lambda x: nn.functional.avg_pool2d(x, SIZE // 2).flatten(1),
}


def network(
    head: str = "flatten",
    activation: Callable[[], Any] = nn.ReLU6,
    *,
    bias: bool = True,
    softmax: bool = False,
    dropout: bool = True,
) -> Any:  # noqa: ANN401
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        activation(),
        Block(8, activation),
        nn.Conv2d(8, 16, 1),
        activation(),
        Head(HEADS[head]),
        *([nn.Dropout(0.2)] if dropout else []),
        nn.Linear(16, 5, bias=bias),
        *([nn.Softmax(dim=1)] if softmax else []),
    ]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_(0, 0.5)
    return model.eval()


def export(
    model: Any,  # noqa: ANN401
    path: Path,
    *,
    dynamo: bool,
    opset: int,
    batch: int | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Export with a fixed `batch`, or a symbolic one (None)."""
    x = torch.zeros(batch or 2, 3, SIZE, SIZE)
    dynamic: dict[str, Any] = {}
    if batch is None and dynamo:
        dynamic = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=1, max=64)},)}
    elif batch is None:
        dynamic = {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}
    with warnings.catch_warnings():
        # Deprecations inside the exporters.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (x,),
            str(path),
            dynamo=dynamo,
            opset_version=opset,
            input_names=["input"],
            output_names=["output"],
            verbose=False,
            **dynamic,
            **options,
        )


def assert_reads(model: Any, path: Path) -> None:  # noqa: ANN401
    source, _ = load(path)
    graph, _ = run_passes(import_onnx(source, str(path)))
    x = normal(3, 3, SIZE, SIZE, spread=2)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    check(graph, str(path))
    written, tflite = write_float(graph), write_float_tflite(graph, CARD)
    for image, theirs in zip(x, expected, strict=True):
        in_onnx, in_tflite = run(written, image[None]), float_in_litert(tflite, image[None])
        for ours in (in_onnx[0], *in_tflite.values()):
            np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-4)


EXPORTERS = [(False, opset) for opset in (11, 13, 17, 20)] + [(True, opset) for opset in (18, 21)]


@pytest.mark.parametrize("batch", [1, 4, None], ids=["batch of 1", "batch of 4", "any batch"])
@pytest.mark.parametrize(("dynamo", "opset"), EXPORTERS)
def test_both_exporters_in_every_opset(
    tmp_path: Path, dynamo: bool, opset: int, batch: int | None
) -> None:
    model = network()
    export(model, tmp_path / "m.onnx", dynamo=dynamo, opset=opset, batch=batch)
    assert_reads(model, tmp_path / "m.onnx")


VARIANTS: dict[str, dict[str, Any]] = {
    **{f"head: {name}": {"head": name} for name in HEADS},
    "Hardtanh": {"activation": lambda: nn.Hardtanh(0.0, 6.0)},
    "Hardtanh around zero": {"activation": nn.Hardtanh},
    "clamp": {"activation": Clamp},
    "ReLU": {"activation": nn.ReLU},
    "no bias": {"bias": False},
    "softmax": {"softmax": True},
    "no dropout": {"dropout": False},
}


@pytest.mark.parametrize("batch", [4, None], ids=["batch of 4", "any batch"])
@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_people_write(tmp_path: Path, variant: str, dynamo: bool, batch: int | None) -> None:
    model = network(**VARIANTS[variant])
    export(model, tmp_path / "m.onnx", dynamo=dynamo, opset=18 if dynamo else 13, batch=batch)
    assert_reads(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("batch", [4, None], ids=["batch of 4", "any batch"])
def test_batch_normalization_that_the_exporter_kept(
    tmp_path: Path, dynamo: bool, batch: int | None
) -> None:
    model, path = network("view"), tmp_path / "m.onnx"
    options: dict[str, Any] = {"optimize": False}
    if not dynamo:
        preserve = torch.onnx.TrainingMode.PRESERVE
        options = {"training": preserve, "do_constant_folding": False}
    export(model, path, dynamo=dynamo, opset=18, batch=batch, **options)
    kinds = [node.op_type for node in load(path)[0].graph.node]
    assert kinds.count("BatchNormalization") == 4
    assert_reads(model, path)
