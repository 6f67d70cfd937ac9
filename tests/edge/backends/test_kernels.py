from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.backends import open_model
from edge.backends.litert import LiteRtBackend
from tests.edge.backends.tiny_models import onnx_model, tflite_model


def piece(*, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"op_name": "DELEGATE", "inputs": inputs, "outputs": outputs}


def test_onnx_runtime_says_which_it_was_told_to_take(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(onnx_model())
    for exact, words in ((True, "exact kernels"), (False, "default kernels")):
        assert open_model(tmp_path / "a.onnx", exact_kernels=exact).kernels() == words


def test_litert_says_what_xnnpack_takes(tmp_path: Path) -> None:
    for dtype in ("float32", "int8"):
        (tmp_path / "a.tflite").write_bytes(tflite_model(dtype=dtype))
        assert open_model(tmp_path / "a.tflite").kernels() == "XNNPACK"


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([piece(inputs=[0, 1], outputs=[2])], "XNNPACK"),
        ([piece(inputs=[1], outputs=[2])], "XNNPACK for 1 part(s) of the graph"),
        ([piece(inputs=[0], outputs=[7])], "XNNPACK for 1 part(s) of the graph"),
        (
            [piece(inputs=[0], outputs=[7]), piece(inputs=[8], outputs=[2])],
            "XNNPACK for 2 part(s) of the graph",
        ),
        ([{"op_name": "MEAN", "inputs": [0], "outputs": [2]}], "built-in kernels, no XNNPACK"),
    ],
)
def test_a_piece_with_both_ends_is_all_of_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[dict[str, Any]], words: str
) -> None:
    (tmp_path / "a.tflite").write_bytes(tflite_model())
    backend = open_model(tmp_path / "a.tflite")
    assert isinstance(backend, LiteRtBackend)
    told = SimpleNamespace(_get_ops_details=lambda: pieces)
    monkeypatch.setattr(backend, "_interpreter", told)
    assert backend.kernels().startswith(words)
    monkeypatch.setattr(backend, "_interpreter", SimpleNamespace())
    assert backend.kernels() == "kernels unknown"
