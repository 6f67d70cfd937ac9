"""From float ONNX to float TFLite without calibration: stage by stage, and how it grows.

    python -m tests.benchmarks.float_conversion [--onnx2tf FILE]

A ResNet-50 with random weights (102 MB) is made here, with its BatchNormalizations and with them
folded; each round is a process of its own, next to onnx2tf where that is installed. Chains of
residual blocks show the growth with the number of nodes, wider ones with the bytes of weights.

Peaks are resident sets. Those of the stages are above what Python and its modules take before a
file is read; the whole command, which runs the source and what was written beside each other in
their runtimes, is measured as a process of its own.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.tensors import F32
from tests.benchmarks import record
from tests.benchmarks.conversion_time import MIB, Cost, run

FOLDED = "resnet50 folded"
RESNETS = ("resnet50", FOLDED)
STAGES = ("read", "import", "passes", "write")
# (blocks, width of the bottleneck): He et al., Deep residual learning, 2016, table 1.
RESNET50 = ((3, 64), (4, 128), (6, 256), (3, 512))
CHAINS = (25, 50, 100, 200, 400)
WIDTHS = (16, 32, 64, 128)


class _Network:
    """ONNX nodes and random weights under construction.

    `folded`: convolutions have a bias, as if a BatchNormalization had been folded into them.
    """

    def __init__(self, *, folded: bool = False) -> None:
        self.folded = folded
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        output = f"{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
        return output

    def constant(self, value: F32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def conv(self, x: str, given: int, taken: int, kernel: int = 1, stride: int = 1) -> str:
        spread = np.sqrt(2 / (given * kernel**2))
        shape = (taken, given, kernel, kernel)
        weight = self.constant(self.random.normal(0, spread, shape).astype(np.float32))
        pads = [kernel // 2] * 4
        strides = [stride, stride]
        if self.folded:
            bias = self.constant(np.zeros(taken, np.float32))
            return self.add("Conv", x, weight, bias, pads=pads, strides=strides)
        made = self.add("Conv", x, weight, pads=pads, strides=strides)
        ones, zeros = np.ones(taken, np.float32), np.zeros(taken, np.float32)
        return self.add(
            "BatchNormalization", made, *(self.constant(v) for v in (ones, zeros, zeros, ones))
        )

    def bottleneck(self, x: str, given: int, width: int, stride: int) -> str:
        inner = self.add("Relu", self.conv(x, given, width))
        inner = self.add("Relu", self.conv(inner, width, width, 3, stride))
        inner = self.conv(inner, width, 4 * width)
        same = given == 4 * width and stride == 1
        beside = x if same else self.conv(x, given, 4 * width, 1, stride)
        return self.add("Relu", self.add("Add", inner, beside))

    def head(self, x: str, given: int, side: int) -> onnx.ModelProto:
        flat = self.add("Flatten", self.add("GlobalAveragePool", x))
        weight = self.constant(self.random.normal(0, 0.01, (given, 1000)).astype(np.float32))
        output = self.add("Gemm", flat, weight)
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])
        logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 1000])
        graph = helper.make_graph(self.nodes, "network", [image], [logits], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet50(*, folded: bool = False) -> onnx.ModelProto:
    """Return a ResNet-50 for 224x224 with random weights: 102 MB."""
    net = _Network(folded=folded)
    x = net.add("Relu", net.conv("image", 3, 64, 7, 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    given = 64
    for stage, (count, width) in enumerate(RESNET50):
        for block in range(count):
            stride = 2 if stage and not block else 1
            x, given = net.bottleneck(x, given, width, stride), 4 * width
    return net.head(x, given, 224)


def chain(blocks: int, width: int) -> onnx.ModelProto:
    """Return `blocks` bottlenecks of one width, one behind the other."""
    net = _Network()
    x, given = net.add("Relu", net.conv("image", 3, 4 * width)), 4 * width
    for _ in range(blocks):
        x = net.bottleneck(x, given, width, 1)
    return net.head(x, given, 32)


def convert_once(path: Path) -> dict[str, float]:
    """Convert in this process; return seconds by stage, and the peak above what Python takes."""
    from converters.memory import give_back
    from converters.onnx_import.importer import import_onnx
    from converters.onnx_import.load import load
    from converters.passes import run_passes
    from converters.tflite.writer import check, write_float_tflite
    from edge.card import ModelCard
    from edge.preprocess import PreprocessSpec

    before_kib = _peak_kib()
    stamps = [time.monotonic()]
    model, _ = load(path)
    stamps.append(time.monotonic())
    graph = import_onnx(model, str(path))
    del model
    stamps.append(time.monotonic())
    graph, _ = run_passes(graph)
    give_back()
    check(graph, str(path))
    stamps.append(time.monotonic())
    data = write_float_tflite(graph, ModelCard("network", PreprocessSpec()))
    stamps.append(time.monotonic())
    after_kib = _peak_kib()
    seconds = (b - a for a, b in itertools.pairwise(stamps))
    return {
        **dict(zip(STAGES, seconds, strict=True)),
        "nodes": len(graph.nodes),
        "before_mib": before_kib * 1024 / MIB,
        "peak_mib": (after_kib - before_kib) * 1024 / MIB,
        "source_mib": path.stat().st_size / MIB,
        "written_mib": len(data) / MIB,
    }


def _peak_kib() -> int:
    """Return the largest resident set of this program; ru_maxrss knows its parent's as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _measured(path: Path, rounds: int) -> list[dict[str, float]]:
    command = [sys.executable, "-m", __spec__.name, "--once", str(path)]
    return [json.loads(subprocess.check_output(command)) for _ in range(rounds)]


def _whole(path: Path, rounds: int) -> list[Cost]:
    command = [sys.executable, "-m", "converters.cli", "--float32", str(path)]
    return [run(command, path.parent / "log.txt") for _ in range(rounds)]


def _rows(samples: dict[str, list[dict[str, float]]]) -> Iterator[tuple[str, ...]]:
    for name, rounds in samples.items():
        middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        total = sum(middle[stage] for stage in STAGES)
        yield (
            name,
            f"{middle['nodes']:.0f}",
            f"{middle['source_mib']:.1f}",
            *(f"{middle[stage]:.2f}" for stage in STAGES),
            f"{total:.2f}",
            f"{middle['peak_mib'] / middle['source_mib']:.1f}",
        )


def main() -> None:
    """Measure, print tables, keep the samples."""
    parser = record.parser(__doc__)
    parser.add_argument("--once", type=Path, metavar="FILE", help="convert it in this process")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(convert_once(args.once)))
        return
    out = args.work / "float_conversion"
    out.mkdir(parents=True, exist_ok=True)
    before = record.machine()
    models = {name: resnet50(folded=name == FOLDED) for name in RESNETS}
    models |= {f"{blocks} blocks of 16": chain(blocks, 16) for blocks in CHAINS}
    models |= {f"25 blocks of {width}": chain(25, width) for width in WIDTHS}
    samples = {}
    for name, model in models.items():
        path = out / f"{name.replace(' ', '_')}.onnx"
        path.write_bytes(model.SerializeToString())
        samples[name] = _measured(path, args.rounds)
    head = ("model", "nodes", "MiB", *(f"{s} s" for s in STAGES), "all s", "peak / file")
    print(record.heading("Float ONNX to float TFLite, without calibration, medians", before))
    print(record.table(head, list(_rows(samples))))
    whole = {name: _whole(out / f"{name.replace(' ', '_')}.onnx", args.rounds) for name in RESNETS}
    print()
    for name, costs in whole.items():
        wall_s = statistics.median(cost.wall_s for cost in costs)
        peak_mib = max(cost.peak_mib for cost in costs)
        taken_mib = peak_mib - statistics.median(r["before_mib"] for r in samples[name])
        ratio = taken_mib / samples[name][0]["source_mib"]
        print(
            f"edge-convert --float32, verification included, on {name}: {wall_s:.1f} s, "
            f"{peak_mib:.0f} MiB; above what Python takes: {ratio:.1f} times the file"
        )
    other: list[float] = []
    if args.onnx2tf and Path(args.onnx2tf).exists():
        source = str(out / "resnet50.onnx")
        command = [args.onnx2tf, "-i", source, "-o", str(out / "onnx2tf"), "-n"]
        costs = [run(command, out / "log.txt") for _ in range(args.rounds)]
        other = [cost.wall_s for cost in costs]
        peak = max(cost.peak_mib for cost in costs)
        middle = statistics.median(other)
        print(f"\nonnx2tf on resnet50, whole process: {middle:.1f} s, {peak:.0f} MiB")
    record.save(
        "float_conversion",
        before,
        samples=samples,
        whole={name: [asdict(cost) for cost in costs] for name, costs in whole.items()},
        onnx2tf_wall_s=other,
    )


if __name__ == "__main__":
    main()
