"""Has other tools quantize and export one tiny network, seeded, to noise.

    python -m tests.converters.quantized_files.make_files [TOOL ...]

Each tool is a package of its own: torch with torchao and onnxscript, nncf, aimet-onnx, brevitas
with onnxoptimizer, amd-quark. They do not all fit into one environment: those that are named are
run. What a file is made by stands in its metadata.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent
SHAPE = (1, 3, 16, 16)
OPSET = 17


class Tiny(nn.Module):  # type: ignore[misc]
    """A stem, an inverted bottleneck with its residual sum, and a head, as in MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _block(3, 4, 3, stride=2)
        self.expand = _block(4, 8, 1)
        self.depthwise = _block(8, 8, 3, groups=8)
        self.project = _block(8, 4, 1)[:2]
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        pooled: Tensor = self.head(torch.flatten(self.pool(x), 1))
        return pooled


def _block(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


def pictures() -> list[Tensor]:
    """Return noise [1, 3, 16, 16], the same every time."""
    return list(torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1)))


def network() -> Tiny:
    """Return the network with seeded weights and the statistics of the pictures."""
    torch.manual_seed(0)
    net = Tiny()
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net(torch.cat(pictures()))
    net.eval()
    return net


def float_model() -> onnx.ModelProto:
    """Return the network as PyTorch exports it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        names = {"input_names": ["x"], "output_names": ["y"]}
        torch.onnx.export(
            network(), (torch.zeros(SHAPE),), path, dynamo=False, opset_version=OPSET, **names
        )
        return onnx.load(path)


def by_pytorch(path: Path) -> None:
    """PT2E with the quantizer of the XNNPACK backend, through torch.export."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.testing.pt2e._xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    exported = torch.export.export(network(), (torch.zeros(SHAPE),)).module()
    config = get_symmetric_quantization_config(is_per_channel=True)
    prepared = prepare_pt2e(exported, XNNPACKQuantizer().set_global(config))
    for picture in pictures():
        prepared(picture)
    quantized = convert_pt2e(prepared)
    torch.onnx.export(
        quantized, (torch.zeros(SHAPE),), path, dynamo=True, external_data=False, optimize=False
    )


def by_pytorch_fx(path: Path) -> None:
    """Fake quantization of torch.ao, as quantization-aware training uses it, by TorchScript."""
    from torch.ao import quantization
    from torch.ao.quantization.quantize_fx import fuse_fx, prepare_qat_fx

    fake, observer = quantization.FakeQuantize, quantization.observer
    config = quantization.QConfig(
        activation=fake.with_args(
            observer=observer.MovingAverageMinMaxObserver,
            quant_min=0,
            quant_max=255,
            dtype=torch.quint8,
        ),
        weight=fake.with_args(
            observer=observer.PerChannelMinMaxObserver,
            quant_min=-128,
            quant_max=127,
            dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric,
        ),
    )
    mapping = quantization.QConfigMapping().set_global(config)
    net = prepare_qat_fx(fuse_fx(network()).train(), mapping, (torch.zeros(SHAPE),))
    with torch.no_grad():
        net(torch.cat(pictures()))
    net.eval().apply(quantization.disable_observer)
    torch.onnx.export(net, (torch.zeros(SHAPE),), path, dynamo=False, opset_version=OPSET)


def by_nncf(path: Path) -> None:
    """NNCF's default for ONNX, which gives depthwise convolutions a scale for each channel."""
    import nncf

    data = nncf.Dataset([{"x": picture.numpy()} for picture in pictures()])
    onnx.save(nncf.quantize(float_model(), data), path)


def by_aimet(path: Path) -> None:
    """AIMET's default simulation, written as QDQ."""
    import aimet_onnx

    sim = aimet_onnx.QuantizationSimModel(
        float_model(), param_type=aimet_onnx.int8, activation_type=aimet_onnx.int8
    )
    sim.compute_encodings([{"x": picture.numpy()} for picture in pictures()])
    onnx.save(sim.to_onnx_qdq(), path)


def by_brevitas(path: Path) -> None:
    """Brevitas's default, integers of the biases included, in its QCDQ form."""
    from brevitas.export import export_onnx_qcdq
    from brevitas.graph.calibrate import calibration_mode
    from brevitas.graph.quantize import preprocess_for_quantize, quantize

    net = quantize(preprocess_for_quantize(network()))
    with torch.no_grad(), calibration_mode(net):
        net(torch.cat(pictures()))
    net.eval()
    with torch.no_grad():
        net(pictures()[0])  # biases get the scale of an input
    export_onnx_qcdq(
        net, args=torch.zeros(SHAPE), export_path=path, opset_version=OPSET, dynamo=False
    )


def by_quark(path: Path) -> None:
    """Quark's A8W8, in onnxruntime's own QuantizeLinear and DequantizeLinear."""
    from onnxruntime.quantization import CalibrationDataReader
    from quark.onnx import ModelQuantizer
    from quark.onnx.quantization.config import Config, get_default_config

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter([{"x": picture.numpy()} for picture in pictures()])

        def get_next(self) -> dict[str, object] | None:
            return next(self._left, None)

    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # it leaves a table there
        source = Path(folder) / "float.onnx"
        onnx.save(float_model(), source)
        config = Config(global_quant_config=get_default_config("A8W8"))
        ModelQuantizer(config).quantize_model(str(source), str(path), Reader())


# By file name: who makes it, and the packages whose versions say how.
TOOLS: Mapping[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "pytorch": (by_pytorch, ("torch", "torchao")),
    "pytorch_fx": (by_pytorch_fx, ("torch",)),
    "nncf": (by_nncf, ("nncf",)),
    "aimet": (by_aimet, ("aimet-onnx",)),
    "brevitas": (by_brevitas, ("brevitas",)),
    "quark": (by_quark, ("amd-quark",)),
}


def _tidy(path: Path, packages: tuple[str, ...]) -> None:
    """Drop what only says where in whose sources a node came from, and add the versions."""
    model = onnx.load(path)
    for part in (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        part.doc_string = ""
        del part.metadata_props[:]
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for package in packages:
        model.metadata_props.add(key=package, value=version(package))
    onnx.save(model, path)


def main() -> None:
    """Make the files of the tools that are named, or of all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    for name in parser.parse_args().tools or TOOLS:
        make, packages = TOOLS[name]
        path = FOLDER / f"{name}.onnx"
        make(path)
        _tidy(path, packages)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
