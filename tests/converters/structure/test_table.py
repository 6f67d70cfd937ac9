from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.mobilenet_v2.architecture import PAPER_STAGES, Architecture
from converters.mobilenet_v2.build import build as build_mobilenet
from converters.mobilenet_v2.build import initial_weights
from converters.structure.block import BASIC, OTHER
from converters.structure.describe import describe
from converters.structure.read import read_network
from converters.structure.table import Table, table
from converters.structure.textbook import Textbook
from tests.converters.models import build, normal


def of_file(path: Path, model: onnx.ModelProto) -> Table:
    path.write_bytes(model.SerializeToString())
    return table(read_network(path))


@pytest.mark.parametrize("width", [0.35, 1.0])
def test_the_paper_s_table_is_recovered(tmp_path: Path, width: float) -> None:
    architecture = Architecture(width=width, image_hw=(64, 64), classes=10)
    model = build_mobilenet(architecture, initial_weights(architecture, 0))
    found = of_file(tmp_path / "m.onnx", model)
    stages = [row for row in found.rows if row.blocks[0].kind != OTHER]
    layers = architecture.layers()
    widths = [
        [layer for layer in layers if layer.block == f"block{1 + sum(s.repeats for s in before)}"]
        for before in (PAPER_STAGES[:i] for i in range(len(PAPER_STAGES)))
    ]
    expected = [
        (stage.expansion, built[-1].out_channels, stage.repeats, stage.stride)
        for stage, built in zip(PAPER_STAGES, widths, strict=True)
    ]
    if width == 1.0:
        assert [(r.expansion, r.channels, r.repeats, r.stride) for r in stages] == expected
    else:
        # Narrow, two stages may come out alike: what counts is what the blocks are together.
        assert sum(row.repeats for row in stages) == 17
    assert found.family == "MobileNetV2"
    assert found.cost.multiply_adds == architecture.multiply_adds()
    # Two numbers a channel are left of a folded norm's: the bias alone, and the classifier's.
    norms = sum(layer.out_channels for layer in layers[:-1])
    assert found.cost.parameters == architecture.parameters() - norms
    assert describe(read_network(tmp_path / "m.onnx"), "m").textbook == Textbook(width, ())


def test_another_network_is_no_textbook(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    body = "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, v) "
    body += "d = Relu(c) e = Conv<pads=[1,1,1,1]>(d, v) s = Add(e, b) r = Relu(s) "
    body += "p = GlobalAveragePool(r) f = Flatten(p) y = Gemm(f, g)"
    model = build(body, w=normal(8, 3, 3, 3), v=normal(8, 8, 3, 3), g=normal(8, 5))
    found = of_file(path, model)
    assert found.family == "ResNet"
    kinds = [row.blocks[0].kind for row in found.rows]
    assert kinds == [OTHER, BASIC, OTHER]  # stem, block, classifier
    assert [row.expansion for row in found.rows] == [None] * 3
    assert describe(read_network(path), "m").textbook is None
    plain = build(
        "a = Conv(x, w) r = Relu(a) y = Conv(r, v)", w=normal(8, 3, 3, 3), v=normal(8, 8, 3, 3)
    )
    assert of_file(path, plain).family == ""


def test_rows_are_what_the_whole_costs(tmp_path: Path) -> None:
    architecture = Architecture(width=0.35, image_hw=(32, 32), classes=7)
    model = build_mobilenet(architecture, initial_weights(architecture, 1))
    found = of_file(tmp_path / "m.onnx", model)
    for of in ("parameters", "multiply_adds", "moved"):
        assert sum(getattr(row.cost, of) for row in found.rows) == getattr(found.cost, of)
    dense = found.rows[-1].cost
    # 1280 weights and inputs, a bias and an output for each of 7 classes.
    assert (dense.parameters, dense.multiply_adds) == (1280 * 7 + 7, 1280 * 7)
    assert dense.moved == 1280 * 7 + 7 + 1280 + 7
    assert dense.intensity == pytest.approx(1280 * 7 / dense.moved)
    assert np.isclose(found.cost.intensity, found.cost.multiply_adds / found.cost.moved)
