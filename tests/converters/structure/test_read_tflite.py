from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from converters.errors import ConvertError
from converters.graph import Graph
from converters.structure.read import read_network
from converters.structure.read_tflite import read_tflite
from converters.structure.table import Table, table
from converters.tflite.writer import write_float_tflite
from edge.errors import EdgeError
from tests.converters.artifacts import CARD, Artifacts, make
from tests.converters.models import Constants, f32, normal

CONSTANTS: Constants = {
    "stem": normal(8, 3, 3, 3),
    "expand": normal(24, 8, 1, 1, seed=1, spread=3),
    "deep": normal(24, 1, 3, 3, seed=2, spread=3),
    "project": normal(8, 24, 1, 1, seed=3),
    "widen": normal(16, 24, 1, 1, seed=4),
    "down": normal(6, 24, 1, 1, seed=5),
    "up": normal(24, 6, 1, 1, seed=6),
    "classes": normal(16, 5, seed=7),
    "zero": f32(0),
    "six": f32(6),
}
BODY = (
    "a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, stem) s = Relu(a) b = Conv(s, expand) "
    "c = Clip(b, zero, six) d = Conv<group=24, pads=[1,1,1,1]>(c, deep) e = Clip(d, zero, six) "
    "f = Conv(e, project) g = Add(f, s) h = Conv(g, expand) i = HardSwish(h) "
    "j = Conv<group=24, pads=[1,1,1,1]>(i, deep) k = HardSwish(j) p = GlobalAveragePool(k) "
    "q = Conv(p, down) r = Relu(q) t = Conv(r, up) u = Sigmoid(t) v = Mul(k, u) "
    "w = Conv(v, widen) m = GlobalAveragePool(w) n = Flatten(m) l = MatMul(n, classes) "
    "y = Softmax(l)"
)


def in_float(made: Artifacts) -> bytes:
    return write_float_tflite(made.graph, CARD)


def shape_of(graph: Graph) -> list[tuple[object, ...]]:
    """Return what there is to know of each block, but for the classifier's."""
    found: Table = table(graph)
    return [
        (
            *(b.kind, b.input, b.output, b.channels, b.shortcut, b.has_excitation),
            *((layer.kernel, layer.activation) for layer in b.layers),
        )
        for row in found.rows
        for b in row.blocks
        if b.name.startswith(("stem", "block"))
    ]


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_file_has_the_structure_of_the_graph_it_was_written_from(
    tmp_path: Path, kind: str
) -> None:
    made = make(BODY, **CONSTANTS)
    path = tmp_path / "m.tflite"
    path.write_bytes(made.tflite if kind == "int8" else in_float(made))
    found, expected = read_network(path), made.quantized.graph
    assert len(shape_of(found)) == 3
    assert shape_of(found) == shape_of(expected)
    assert table(found).cost.multiply_adds == table(expected).cost.multiply_adds
    assert table(found).cost.parameters == table(expected).cost.parameters


def test_what_is_not_known_is_named(tmp_path: Path) -> None:
    made = make(
        "a = Conv(x, w) b = Exp(a) c = Log(b) y = GlobalAveragePool(c)", w=normal(4, 3, 3, 3)
    )
    path = tmp_path / "m.tflite"
    path.write_bytes(in_float(made))
    with pytest.raises(ConvertError, match=r"holds EXP, LOG; describe the ONNX file"):
        read_tflite(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\0" * 64)
    with pytest.raises(EdgeError):
        read_tflite(path)


def test_a_shape_that_no_operator_makes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make("a = Conv<strides=[2,2]>(x, w) y = Relu(a)", w=normal(4, 3, 3, 3))
    model: Any = schema.ModelT.InitFromPackedBuf(in_float(made), 0)
    (conv,) = model.subgraphs[0].operators
    conv.builtinOptions.strideH = 1
    builder = Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(builder.Output()))

    class Opened:
        def close(self) -> None:
            pass

    monkeypatch.setattr("converters.structure.read_tflite.open_model", lambda *_, **__: Opened())
    with pytest.raises(ConvertError, match=r"has shape .*, not .*; describe the ONNX file"):
        read_tflite(path)
    conv.builtinOptions = None
    builder = Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    with pytest.raises(ConvertError, match="an operator lacks what it needs"):
        read_tflite(path)
