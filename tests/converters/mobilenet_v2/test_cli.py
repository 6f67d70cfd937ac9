from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.mobilenet_v2.cli import main

DIGITS = Path(__file__).parents[3] / "converters/mobilenet_v2/digits/digits.onnx"


def test_describe_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(DIGITS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits: ")
    assert lines[2].split()[:6] == ["input", "operator", "t", "c", "n", "s"]
    assert any("increases 6 times" in line for line in lines)
    assert any(line.startswith("  bottleneck with expansion layer") for line in lines)
    assert max(map(len, lines)) <= 120


def test_describe_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(DIGITS), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["family"] == "MobileNetV2"
    assert sum(row["multiply_adds"] for row in found["rows"]) == found["multiply_adds"]
    blocks = [block for row in found["rows"] for block in row["blocks"]]
    inverted = [block for block in blocks if block["kind"] == "inverted residual"]
    assert inverted
    for block in inverted:
        reads, *inner, makes = block["channels"]
        assert inner[0] == inner[1] > reads
        assert block["activations"] == ["ReLU6", "ReLU6", "linear"]
        assert bool(block["shortcut"]) == (reads == makes and block["stride"] == 1)


def test_what_is_no_model_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\0" * 100)
    assert main(["describe", str(path)]) == 2
    assert capsys.readouterr().err.startswith("edge-mobilenet: error: ")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "examples:\n  edge-mobilenet " in capsys.readouterr().out
