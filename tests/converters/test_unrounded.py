from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters import confirm as confirm_module
from converters.confirm import confirm
from converters.errors import ConvertError
from converters.onnx_import.importer import import_quantized
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from converters.unrounded import unrounded, unrounded_source
from tests.converters.models import f32, normal, run
from tests.converters.qdq import pair, text

BODY = (
    pair("x", "xd", "s, z")
    + "wd = DequantizeLinear(w, s) c = Conv(xd, wd) "
    + "q = QuantizeLinear(c, s, z) k = Clip(q, low) e = DequantizeLinear(k, s, z) "
    + pair("e", "f", "t, z")
    + "r = Relu(f) "
    + pair("r", "y", "s, z")
)


def model() -> onnx.ModelProto:
    return text(
        BODY,
        s=f32(0.5),
        t=f32(0.7),
        z=np.asarray(0, np.int8),
        w=np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3),
        low=np.asarray(-3, np.int8),
    )


def test_both_compute_the_same_floats() -> None:
    source = model()
    plain, gone = unrounded_source(source)
    # A clamp of integers, and the output, are rounded still.
    assert gone == {"xd_q", "f_q"}
    graph = unrounded(import_quantized(source, "tiny")[0], gone)
    x = normal(1, 3, 8, 8, spread=0.1)  # less than half a step: rounded, all would be 0
    (ours,), (theirs,) = run(write_float(graph), x), run(plain, x)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert ours.any()
    assert not run(source, x)[0].any()


@pytest.fixture
def no_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a network so deep that what tips moves the output beyond any bound."""
    monkeypatch.setattr(confirm_module, "QUANTIZED_TOLERANCE", -1.0)


@pytest.mark.usefixtures("no_tolerance")
def test_a_network_whose_roundings_tip_is_confirmed_without(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "tiny.onnx")
    graph, _ = import_quantized(model(), "tiny")
    assert confirm(graph, tmp_path / "tiny.onnx") == 1
    nodes = list(graph.nodes)
    index = next(i for i, node in enumerate(nodes) if isinstance(node.operator, Conv))
    conv = nodes[index].operator
    assert isinstance(conv, Conv)
    nodes[index] = replace(nodes[index], operator=replace(conv, weight=conv.weight[::-1]))
    with pytest.raises(ConvertError, match="was not understood"):
        confirm(graph.with_nodes(nodes), tmp_path / "tiny.onnx")
