from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from converters import error_trace
from converters.cli import main
from converters.error_trace import PICTURES
from converters.ladder import Climb
from converters.outputs import to_json, to_text
from converters.pipeline import Conversion
from converters.refine import Steps
from converters.report import render
from converters.report_sensitivity import TOO_LARGE, most_noise
from converters.sensitivity import Row, Sensitivity
from tests.converters.artifacts import quantized_of


def row(block: str, part: str, weights: float, activations: float) -> Row:
    return Row(
        name=f"{block}/{part}",
        kind="Conv",
        block=block,
        part=part,
        alone_db=40.0,
        weights_db=50.0,
        activations_db=41.0,
        cumulative_db=30.0,
        scores_db=35.5,
        weights_share=weights,
        activations_share=activations,
    )


PICTURE = replace(row("input", "other", 0, 0.02), kind="Input", weights_db=None)
FOUND = Sensitivity(
    rows=(
        PICTURE,
        row("stem", "convolution", 0.01, 0.03),
        row("block 1", "depthwise", 0.04, 0.1),
        replace(row("block 1", "linear bottleneck", 0.25, 0.05), scores_db=22.25),
        row("block 2", "expand", 0.2, 0.2),
        row("head", "dense", 0.05, 0.05),
    ),
    parts_db=21.93,
    measured_db=22.14,
    pictures=4,
)


def with_found(conversion: Conversion, found: Sensitivity | None) -> Conversion:
    return replace(conversion, sensitivity=found)


def rows_of(page: str) -> list[tuple[str, ...]]:
    parts = page.split("<tr>")
    return [tuple(re.findall(r"<td[^>]*>([^<]*)</td>", part)) for part in parts]


def test_the_page_shows_every_block_and_the_worst_layers_first(conversion: Conversion) -> None:
    page = render(with_found(conversion, FOUND))
    for block, share in (("input", "2.0"), ("block 1", "44.0"), ("block 2", "40.0")):
        assert f">{block}</text>" in page
        assert f">{share} %</text>" in page
    assert "block 1, linear bottleneck, weights: 25.0 %" in page
    assert "add up to 21.9 dB of SQNR; measured with all of them: 22.1 dB." in page
    assert "over 4 pictures" in page
    shown = [cells for cells in rows_of(page) if len(cells) == 7]
    assert shown[0][:2] == ("block 2 expand", "block 2/expand")
    bottleneck = ("block 1 linear bottleneck", "block 1/linear bottleneck", "25.0 %", "5.0 %")
    assert shown[1] == (*bottleneck, "22.2 dB", "40.0 dB", "30.0 dB")
    assert [cells[0] for cells in shown[-2:]] == ["stem convolution", "input"]
    assert shown[-1][2] == "-"  # a picture has no weights


def test_the_terminal_has_one_line(conversion: Conversion) -> None:
    line = "most noise: block 2 expand 40%, block 1 linear bottleneck 30%, "
    line += "block 1 depthwise 14%; weights make 55% of it, activations 45%"
    assert most_noise(FOUND) == line
    assert line in to_text(with_found(conversion, FOUND), []).splitlines()


def test_nothing_lost_is_nothing_shown(conversion: Conversion) -> None:
    rows = tuple(replace(r, weights_share=0.0, activations_share=0.0) for r in FOUND.rows)
    silent = replace(FOUND, rows=rows, parts_db=math.inf)
    assert most_noise(silent) == ""
    assert "most noise" not in to_text(with_found(conversion, silent), [])
    assert "most noise" not in render(with_found(conversion, silent))


def test_what_was_not_traced_is_said(conversion: Conversion) -> None:
    assert TOO_LARGE in render(with_found(conversion, None))
    assert TOO_LARGE not in render(with_found(conversion, FOUND))
    assert "most noise" not in to_text(with_found(conversion, None), [])


def test_a_correction_is_no_loss_and_the_page_says_so(conversion: Conversion) -> None:
    assert conversion.calibrated is not None
    quantized, ranges = quantized_of(conversion), conversion.calibrated.ranges
    for steps, is_said in ((Steps(), True), (Steps(biases=False), False), (None, False)):
        climb = Climb(quantized, ranges, before=quantized if steps else None, steps=steps)
        corrected = replace(conversion, calibrated=replace(conversion.calibrated, climb=climb))
        page = render(with_found(corrected, FOUND))
        assert ("Biases were corrected" in page) is is_said


def test_machines_get_every_row(conversion: Conversion) -> None:
    found = conversion.sensitivity
    assert found is not None
    exact = replace(found.rows[1], weights_db=math.inf)
    held = to_json(with_found(conversion, replace(found, rows=(found.rows[0], exact))))
    data = json.loads(json.dumps(held, allow_nan=False))["sensitivity"]
    assert (data["parts_db"], data["measured_db"]) == (found.parts_db, found.measured_db)
    assert [row["kind"] for row in data["rows"]] == ["Input", "Conv"]
    assert [row["cumulative_db"] for row in data["rows"]] == [None, exact.cumulative_db]
    assert data["rows"][1]["weights_db"] is None
    assert data["rows"][1]["scores_db"] == exact.scores_db
    assert to_json(with_found(conversion, None))["sensitivity"] is None


@pytest.mark.parametrize("asked", [False, True])
def test_a_large_network_is_traced_where_it_is_asked_for(
    model_file: Path,
    pictures: Path,
    tmp_path: Path,
    asked: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(error_trace, "BUDGET", 0)
    args = [str(model_file), "-o", str(tmp_path), "--calibration", str(pictures), "--json"]
    flags = ["--preprocess", "tf", "--resize", "none", "--samples", "8", "--formats", "tflite"]
    assert main([*args, *flags, *(["--sensitivity"] if asked else [])]) == 0
    found = json.loads(capsys.readouterr().out)["sensitivity"]
    if not asked:
        assert found is None
        return
    assert found["pictures"] == min(PICTURES, 4)  # twelve, of which eight are calibrated on
    assert len(found["rows"]) == 66
    assert found["rows"][-1]["name"] == "logits"
    assert "What each block adds" in (tmp_path / "net.int8.html").read_text()


def test_what_has_no_roundings_of_ours_is_not_traced(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--float32", str(model_file), "-o", str(tmp_path), "--sensitivity"]) == 2
    assert "--float32 makes none" in capsys.readouterr().err
