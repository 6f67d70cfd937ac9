from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.synthetic import dead_leaves
from edge.backends import open_model
from edge.doctor import child_timing
from edge.doctor.checks import kernels
from edge.doctor.checks.kernels import PROBE
from edge.doctor.finding import Finding
from edge.doctor.machine import Said
from edge.preprocess import Preprocessor
from tests.edge.backends.tiny_models import tflite_model
from tests.edge.doctor.machines import PACKAGES, pi, timed, timings, venv

FLOAT, INT8 = (str(PROBE / f"probe.{width}.tflite") for width in ("float32", "int8"))
A76 = "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp\nCPU part\t: 0xd0b\n"
A72 = "processor\t: 0\nFeatures\t: fp asimd crc32 cpuid\nCPU part\t: 0xd08\n"


def int8(root: Path, said: Said, cpuinfo: str = A76) -> Finding:
    machine = pi(root, {"proc/cpuinfo": cpuinfo}, {"edge.doctor.child_timing": said})
    return kernels.int8("tflite", machine)


def ratio(value: float) -> Said:
    return timings(timed(FLOAT, 10 * value, quantized=False), timed(INT8, 10, quantized=True))


@pytest.mark.parametrize(
    ("cpuinfo", "value", "state"),
    [
        (A76, 2.50, "ok"),
        (A76, 1.30, "ok"),
        (A76, 1.29, "warn"),
        (A72, 1.00, "ok"),
        (A72, 0.99, "warn"),
        ("flags\t: avx512f avx512_vnni\n", 1.29, "warn"),
        ("flags\t: avx2\n", 1.29, "ok"),
        ("", 1.29, "ok"),
    ],
)
def test_int8_must_be_worth_it(tmp_path: Path, cpuinfo: str, value: float, state: str) -> None:
    finding = int8(tmp_path, ratio(value), cpuinfo)
    assert finding.state == state
    assert f"int8 is {value:.2f} times as fast as float (10.00 ms against" in finding.found
    assert finding.mend.endswith("install --upgrade ai-edge-litert" if state == "warn" else "")


@pytest.mark.parametrize(
    "said",
    [Said(-4), Said(None), Said(0, ""), Said(0, "what"), Said(0, "[]"), Said(0, '[{"a":1}]')],
)
def test_a_runtime_that_dies_stops_the_loop(tmp_path: Path, said: Said) -> None:
    finding = int8(tmp_path, said)
    assert finding.state == "fail"
    assert finding.mend.endswith("-m pip install ai-edge-litert")


def test_a_runtime_that_refuses_is_unknown(tmp_path: Path) -> None:
    rows = [{**timed(path, 0, quantized=False), "error": "no"} for path in (FLOAT, INT8)]
    finding = int8(tmp_path, timings(*rows))
    assert (finding.state, finding.found) == ("unknown", "could not be timed (no)")


def test_a_format_without_a_runtime_is_not_timed(tmp_path: Path) -> None:
    machine = pi(tmp_path, python=venv(tmp_path, packages=PACKAGES))
    finding = kernels.int8("onnx", machine)
    assert (finding.state, finding.found) == ("skip", "no runtime for .onnx is installed")


def models(root: Path, *rows: dict[str, object]) -> list[Finding]:
    names = tuple(str(row["path"]) for row in rows)
    machine = pi(
        root, {"proc/cpuinfo": A76}, {"edge.doctor.child_timing": timings(*rows)}, models=names
    )
    return [kernels.model(name, machine) for name in names]


def test_models_of_the_user(tmp_path: Path) -> None:
    plain, quantized = models(
        tmp_path, timed("a", 20, quantized=False), timed("b", 8, quantized=True)
    )
    assert (plain.state, quantized.state) == ("ok", "ok")
    assert plain.found == (
        "20.00 ms (at most 50 frames/s on 1 thread), ai-edge-litert 2.3.0, XNNPACK"
    )
    assert quantized.found.endswith("XNNPACK; 2.50 times as fast as a")


def test_a_model_that_is_no_faster_in_int8(tmp_path: Path) -> None:
    slow, _ = models(tmp_path, timed("a", 21, quantized=True), timed("b", 20, quantized=False))
    assert slow.state == "warn"


def test_an_int8_model_alone_is_not_compared(tmp_path: Path) -> None:
    [alone] = models(tmp_path, timed("a", 21, quantized=True))
    assert (alone.state, "times as fast" in alone.found) == ("ok", False)


def test_runtimes_are_not_compared_with_each_other(tmp_path: Path) -> None:
    other = {**timed("b", 1, quantized=False), "runtime": "onnxruntime 1.32.0"}
    alone, _ = models(tmp_path, timed("a", 21, quantized=True), other)
    assert (alone.state, "times as fast" in alone.found) == ("ok", False)


@pytest.mark.parametrize(
    "words",
    ["XNNPACK for 3 part(s) of the graph, else built-in ones", "built-in kernels, no XNNPACK"],
)
def test_a_graph_that_falls_out_of_xnnpack(tmp_path: Path, words: str) -> None:
    [finding] = models(tmp_path, timed("a", 9, quantized=True, kernels=words))
    assert finding.state == "warn"
    assert words in finding.found


def test_a_model_that_cannot_be_opened_stops_the_loop(tmp_path: Path) -> None:
    [finding] = models(tmp_path, {**timed("a", 0, quantized=False), "error": "a is damaged"})
    assert (finding.state, finding.found) == ("fail", "a is damaged")


def test_the_child_times_what_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    good.write_bytes(tflite_model())
    bad.write_bytes(b"not a model")
    child_timing.main([str(bad), str(good)])
    first, second = json.loads(capsys.readouterr().out)
    assert "is not a TFLite model" in first["error"]
    assert (second["error"], second["kernels"], second["quantized"]) == ("", "XNNPACK", True)
    assert 0 < second["best_ms"] < 1000


def test_the_child_without_a_model_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    child_timing.main([])
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_probes_are_one_network_in_float_and_int8(kind: str) -> None:
    plain, quantized = (
        open_model(PROBE / f"probe.{width}.{kind}", threads=1) for width in ("float32", "int8")
    )
    assert not plain.spec.input.is_quantized
    assert quantized.spec.input.is_quantized
    if kind == "tflite":
        assert plain.kernels() == quantized.kernels() == "XNNPACK"
    assert quantized.spec.card is not None
    [picture] = dead_leaves(1, 112, 112, seed=1)
    for model in (plain, quantized):
        prepare = Preprocessor(quantized.spec.card.preprocess, model.spec.input)
        prepare.run(picture.pixels, picture.color, model.input_view())
    expected, got = (model.spec.output.dequantize(model.run()) for model in (plain, quantized))
    assert abs(got - expected).max() < 0.1 * np.ptp(expected)
