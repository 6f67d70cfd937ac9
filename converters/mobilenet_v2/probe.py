"""The four files that edge-doctor times: one block of MobileNetV2, float and int8, both formats.

They are package data of `edge`, which cannot convert anything itself: `python -m
converters.mobilenet_v2.probe` writes them again.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edge.doctor
from calibration.progress import silent
from converters.pipeline import convert
from converters.request import Request
from edge.files import write_bytes
from edge.tensors import F32

OUT = Path(edge.doctor.__file__).parent / "probe"
# The third block of MobileNetV2 1.0/224 (Sandler et al., 2018, table 2): 24 channels, expanded to
# 144, at 56 x 56. It holds 8.2 thousand weights, and computes 26 million products with them.
SIDE, CHANNELS, EXPANDED, CLASSES = 112, 24, 144, 4
SEED = 0


def build() -> onnx.ModelProto:
    """Return the float model: `image` [1, 3, 112, 112] to `scores` [1, 4], with seeded weights."""
    random = np.random.default_rng(SEED)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, value: F32) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    def convolution(source: str, name: str, shape: tuple[int, int, int, int], stride: int) -> str:
        outputs, inputs, side, _ = shape
        std = np.sqrt(2 / (inputs * side * side))
        kernel = random.normal(0, std, shape).astype(np.float32)
        bias = random.normal(0, 0.1, outputs).astype(np.float32)
        nodes.append(
            helper.make_node(
                "Conv",
                [source, constant(f"{name}.weight", kernel), constant(f"{name}.bias", bias)],
                [name],
                name=name,
                group=outputs if name == "depthwise" else 1,
                strides=[stride, stride],
                pads=[side // 2] * 4,
            )
        )
        return name

    def relu6(source: str) -> str:
        limits = ["zero", "six"]
        nodes.append(helper.make_node("Clip", [source, *limits], [f"{source}.relu6"]))
        return f"{source}.relu6"

    constant("zero", np.array(0, np.float32))
    constant("six", np.array(6, np.float32))
    stem = relu6(convolution("image", "stem", (CHANNELS, 3, 3, 3), 2))
    expanded = relu6(convolution(stem, "expand", (EXPANDED, CHANNELS, 1, 1), 1))
    filtered = relu6(convolution(expanded, "depthwise", (EXPANDED, 1, 3, 3), 1))
    convolution(filtered, "project", (CHANNELS, EXPANDED, 1, 1), 1)
    classifier = random.normal(0, 1, (CLASSES, CHANNELS)).astype(np.float32)
    nodes += [
        helper.make_node("Add", [stem, "project"], ["sum"], name="sum"),
        helper.make_node("ReduceMean", ["sum"], ["mean"], axes=[2, 3], keepdims=0, name="mean"),
        helper.make_node(
            "Gemm",
            ["mean", constant("classifier.weight", classifier)],
            ["scores"],
            transB=1,
            name="classifier",
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def make() -> dict[str, bytes]:
    """Return the files by name: probe.float32 and probe.int8, each .onnx and .tflite.

    Raises: EdgeError: the block is not converted.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.onnx"
        source.write_bytes(build().SerializeToString())
        files = {"probe.float32.onnx": source.read_bytes()}
        int8 = Request(source, Path(folder), samples=16, optimize="none")
        for request in (int8, replace(int8, kind="float32", formats=("tflite",))):
            for form, data in convert(request, silent).artifacts.items():
                files[f"probe.{request.kind}.{form}"] = data
    return files


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for name, data in make().items():
        write_bytes(OUT / name, data)
        print(f"{OUT / name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
