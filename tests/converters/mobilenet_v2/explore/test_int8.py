from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from converters.anatomy import BOTTLENECK, DEPTHWISE, EXPAND, RESIDUAL
from converters.errors import ConvertError
from converters.mobilenet_v2.explore import int8
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.int8 import Int8Result, rank_order
from converters.mobilenet_v2.explore.int8_chapter import chapter
from tests.converters.mobilenet_v2.explore import networks
from tests.converters.models import build, normal


@pytest.fixture(scope="module")
def asked(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return networks.asked(networks.network(), pictures, tmp_path_factory.mktemp("int8"))


@pytest.fixture(scope="module")
def result(asked: Asked) -> Int8Result:
    return int8.run(asked)


def test_each_part_of_the_block_is_there(result: Int8Result) -> None:
    block = [row for row in result.rows if row.block == "block 1"]
    assert [row.part for row in block][:4] == [EXPAND, DEPTHWISE, BOTTLENECK, RESIDUAL]
    assert result.parts[:4] == (EXPAND, DEPTHWISE, BOTTLENECK, RESIDUAL)
    assert result.of(EXPAND, "block 1") == (block[0],)
    assert result.of(EXPAND, "head") == ()


def test_the_conversion_is_what_is_shown(asked: Asked, result: Int8Result) -> None:
    found = asked.subject.conversion.sensitivity
    assert found is not None
    assert set(result.rows) <= set(found.rows)
    hidden = set(found.rows) - set(result.rows)
    # The picture, and what only gives integers another shape.
    assert {row.kind for row in hidden} == {"Input", "Reshape"}
    shares = sum(row.share for row in result.rows) + sum(row.share for row in hidden)
    assert shares == pytest.approx(1)
    checks = asked.subject.conversion.verification.tensors
    assert {row.name for row in result.rows} <= {check.name for check in checks}


def test_rank_order_is_spearman() -> None:
    some = normal(40, seed=1).astype(np.float64)
    others = some + normal(40, seed=2)
    assert rank_order(some, others) == pytest.approx(stats.spearmanr(some, others).statistic)
    assert rank_order(some, -(some**3)) == pytest.approx(-1)
    assert rank_order(some[:1], some[:1]) == 0


def test_the_chapter_names_what_is_worst(result: Int8Result) -> None:
    found = chapter(result)
    worst = max(result.rows, key=lambda row: row.share)
    least = min(result.rows, key=lambda row: row.cumulative_db or 0)
    assert f"{worst.block} {worst.part} {100 * worst.share:.0f} %" in found.findings[-1]
    assert f"Lowest: {least.block} {least.part}, {least.cumulative_db:.1f} dB" in found.findings[1]
    picture = 1 - sum(row.share for row in result.rows)
    assert f"rounding the picture itself {100 * picture:.0f} %" in found.findings[3]
    assert len(found.tables[0].rows) == len(result.rows)
    assert len(found.numbers["rows"]) == len(result.rows)


def test_a_network_without_blocks_is_refused(pictures: Path, tmp_path: Path) -> None:
    side = networks.SIDE
    model = build(
        "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) g = GlobalAveragePool(b) h = Flatten(g) "
        "y = Gemm<transB=1>(h, v)",
        f"float[1,3,{side},{side}]",
        w=normal(8, 3, 3, 3),
        v=normal(5, 8, seed=1),
    )
    with pytest.raises(ConvertError, match="it has no blocks"):
        int8.run(networks.asked(model, pictures, tmp_path))
