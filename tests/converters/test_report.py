from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from converters.blocks import blocks
from converters.inventory import Inventory, inventory
from converters.onnx_qdq.writer import write_float
from converters.operators import multiply_adds
from converters.pipeline import Conversion
from converters.report import render
from converters.sqnr_plot import sqnr_plot
from edge import figures
from tests.converters.artifacts import make
from tests.converters.models import int64, normal

SVG = "{http://www.w3.org/2000/svg}"


def test_the_report_says_what_was_measured(conversion: Conversion) -> None:
    page = render(conversion)
    score = conversion.verification.scores["tflite"]
    assert score.agreement is not None
    assert figures.percent(score.agreement) in page
    assert figures.decibels(score.sqnr_db) in page
    assert conversion.card.source_sha256 in page
    worst = min(conversion.verification.tensors, key=lambda c: min(c.sqnr_db.values()))
    assert worst.name in page


def test_the_report_lists_the_other_outputs(two_heads: Conversion, conversion: Conversion) -> None:
    page = render(two_heads)
    (check,) = two_heads.verification.outputs
    row = ("features", "1x8x16x16", *(figures.decibels(db) for db in check.sqnr_db.values()))
    assert row in [tuple(re.findall(r"<td[^>]*>([^<]*)</td>", part)) for part in page.split("<tr>")]
    assert "The figures above are of the classes&#39; scores, output &#39;logits&#39;." in page
    assert "1: features for the output, as in the source" in page
    assert "The other outputs" not in render(conversion)


def test_the_headline_is_of_the_scores_wherever_they_stand(two_heads: Conversion) -> None:
    checks = two_heads.verification.tensors
    (scores,) = (c for c in checks if c.name == "logits")
    marked = replace(scores, equal=0.12345, steps=3)
    others = tuple(c for c in checks if c is not scores)
    for tensors in ((marked, *others), (*others, marked)):
        verification = replace(two_heads.verification, tensors=tensors)
        assert "12.35 %" in render(replace(two_heads, verification=verification))


def test_the_report_shows_the_network_block_by_block(conversion: Conversion) -> None:
    page = render(conversion)
    source = conversion.source
    # Before and after: BatchNormalizations and clamps are gone.
    assert f"{source.operators['BatchNormalization']} BatchNormalization" in page
    assert f"{conversion.inventories['tflite'].count('CONV_2D')} CONV_2D" in page
    for block in blocks(source.graph):
        assert f"<td>{block.name}</td>" in page
    total = sum(
        multiply_adds(n.operator, source.graph.shapes[n.output]) for n in source.graph.nodes
    )
    assert f"{total / 1e6:.2f}" in page


def test_the_report_says_what_is_moved_and_for_whom(conversion: Conversion) -> None:
    assert conversion.moves == ()
    page = render(replace(conversion, moves=("a.tensor for a.reader",)))
    assert "a.tensor for a.reader" in page


def test_the_report_fetches_nothing_and_escapes_names(conversion: Conversion) -> None:
    card = replace(conversion.source.card, name="<script>alert(1)</script>")
    page = render(replace(conversion, source=replace(conversion.source, card=card)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_operators_in_float_are_shown(conversion: Conversion) -> None:
    held = Inventory({"QLinearConv": 3, "Sin": 1}, ("sin_of_something",))
    page = render(replace(conversion, inventories={"onnx": held}))
    assert "sin_of_something" in page
    assert "1 Sin" in page


def test_the_inventory_tells_a_float_model_from_an_int8_one(conversion: Conversion) -> None:
    graph = conversion.source.graph
    as_float = inventory("onnx", write_float(graph).SerializeToString())
    assert len(as_float.in_float) > 20
    assert as_float.count("QLinearConv") == 0
    assert inventory("onnx", conversion.artifacts["onnx"]).in_float == ()


def test_what_moves_integers_is_not_in_float_and_what_moves_floats_is() -> None:
    body = "c = Conv(x, w) s = Slice(c, one, two, one) e = Exp(s) y = Slice(e, one, two, one)"
    made = make(body, one=int64(1), two=int64(3), w=normal(4, 3, 1, 1))
    held = inventory("onnx", made.onnx.SerializeToString())
    # Between Q and DQ the first Slice is one of integers; Exp has no integer kernel.
    assert not any(name.startswith("Slice:s/") for name in held.in_float)
    assert any(name.startswith("Exp") for name in held.in_float)


def test_the_plot_has_a_line_for_each_artifact_and_scales_to_its_values() -> None:
    lines: dict[str, list[float | None]] = {"one": [30.0, None, 10.0], "two": [12.0, 25.0, -5.0]}
    root = ET.fromstring(sqnr_plot(["a", "<b>", "c"], lines))  # noqa: S314 (our own drawing)
    drawn = root.findall(f"{SVG}polyline")
    counts = [len(line.attrib["points"].split()) for line in drawn]
    assert counts == [2, 3]
    levels = [float(text.text or "") for text in root.iter(f"{SVG}text") if _is_number(text.text)]
    assert (min(levels), max(levels)) == (-10, 30)
    # Higher is better and higher up: y grows downwards.
    (_, high), (_, low) = (map(float, p.split(",")) for p in drawn[0].attrib["points"].split())
    assert high < low


def test_long_names_do_not_run_into_each_other() -> None:
    names = ["/features/features.0/conv/Relu_output_0", "logits"]
    root = ET.fromstring(sqnr_plot(names, {"one": [1.0, 2.0]}))  # noqa: S314
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "…onv/Relu_output_0" in texts
    assert max(map(len, texts)) < 20


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"-?\d+", text) is not None
