from __future__ import annotations

import onnx
import pytest

from converters.mobilenet_v2 import probe


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return probe.make()


def test_the_files_of_the_doctor_are_those_that_are_made(files: dict[str, bytes]) -> None:
    assert sorted(files) == sorted(path.name for path in probe.OUT.iterdir())
    made, held = (
        onnx.load_from_string(data)
        for data in (
            files["probe.float32.onnx"],
            (probe.OUT / "probe.float32.onnx").read_bytes(),
        )
    )
    assert made.graph == held.graph


def test_they_are_small(files: dict[str, bytes]) -> None:
    assert sum(map(len, files.values())) < 130_000
    assert len(files["probe.int8.tflite"]) < len(files["probe.float32.tflite"])
