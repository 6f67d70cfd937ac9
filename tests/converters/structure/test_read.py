from __future__ import annotations

from pathlib import Path

import pytest

from converters.errors import ConvertError
from converters.graph import Graph
from converters.structure.read import read_network
from converters.structure.table import table
from tests.converters.artifacts import make
from tests.converters.models import Constants, f32, normal

CONSTANTS: Constants = {
    "stem": normal(8, 3, 3, 3),
    "expand": normal(24, 8, 1, 1, seed=1, spread=3),
    "deep": normal(24, 1, 3, 3, seed=2, spread=3),
    "project": normal(8, 24, 1, 1, seed=3),
    "zero": f32(0),
    "six": f32(6),
}
BODY = (
    "a = Conv<pads=[1,1,1,1]>(x, stem) s = Relu(a) b = Conv(s, expand) c = Clip(b, zero, six) "
    "d = Conv<group=24, pads=[1,1,1,1]>(c, deep) e = Clip(d, zero, six) f = Conv(e, project) "
    "y = Add(f, s)"
)


def activations(graph: Graph) -> list[str]:
    return [x.activation for row in table(graph).rows for b in row.blocks for x in b.layers]


def test_an_int8_file_has_the_structure_of_its_float_model(tmp_path: Path) -> None:
    made = make(BODY, **CONSTANTS)
    path = tmp_path / "m.int8.onnx"
    path.write_bytes(made.write_onnx("uint8").SerializeToString())
    found = read_network(path)
    assert {node.kind for node in found.nodes} == {"Conv", "Add"}
    # No Clip is in the file: its ranges are the clamps.
    assert activations(found) == ["ReLU", "ReLU6", "ReLU6", "linear"]
    assert activations(found) == activations(made.quantized.graph)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    with pytest.raises(ConvertError, match=r"no\.onnx: cannot be read"):
        read_network(path)
    path.write_bytes(b"no model")
    with pytest.raises(ConvertError):
        read_network(path)
