from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from converters.anatomy import DEPTHWISE, EXPAND
from converters.calibrate import FloatGraph
from converters.errors import ConvertError
from converters.mobilenet_v2.explore import units
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.moments import RANK_THRESHOLD, Spectrum
from converters.mobilenet_v2.explore.relu import F64
from converters.mobilenet_v2.explore.units import Unit, UnitsResult, activations, apart
from converters.mobilenet_v2.explore.units_chapter import chapter
from tests.converters.mobilenet_v2.explore import networks
from tests.converters.mobilenet_v2.explore.networks import AT_TOP, DEAD, FAINT, READ, WIDE


@pytest.fixture(scope="module")
def asked(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return networks.asked(networks.network(), pictures, tmp_path_factory.mktemp("units"))


@pytest.fixture(scope="module")
def result(asked: Asked) -> UnitsResult:
    return units.run(asked)


@pytest.fixture(scope="module")
def expanded(asked: Asked) -> F64:
    """The values before the expansion's activation, float64 [positions, channels], by NumPy."""
    held = networks.weights()
    rows = [x[0].reshape(3, -1).T.astype(np.float64) for x in asked.subject.inputs()]
    read = np.maximum(np.vstack(rows) @ held["stem"].T, 0)
    return np.asarray(read @ held["expand"].T + held["bias"], np.float64)


def ranks(matrix: F64) -> Spectrum:
    singular = np.linalg.svd(matrix, compute_uv=False)
    shares = singular[singular > 0] / singular.sum()
    return Spectrum(
        int(np.sum(singular > RANK_THRESHOLD * singular[0])),
        float(np.exp(-np.sum(shares * np.log(shares)))),
    )


def expansion(result: UnitsResult) -> Unit:
    (found,) = (unit for unit in result.units if unit.site.place.part == EXPAND)
    return found


def test_every_activation_is_found_where_it_stands(result: UnitsResult) -> None:
    assert [unit.site.function for unit in result.units] == ["ReLU", "ReLU6", "ReLU6"]
    assert [unit.site.channels for unit in result.units] == [READ, WIDE, WIDE]
    assert [unit.site.place.part for unit in result.units][1:] == [EXPAND, DEPTHWISE]
    assert [unit.site.needed for unit in result.units] == [None, READ, None]


def test_dead_and_saturated_channels_are_counted(result: UnitsResult, expanded: F64) -> None:
    unit = expansion(result)
    never = np.flatnonzero((expanded <= 0).all(axis=0))
    always = np.flatnonzero((expanded >= 6).all(axis=0))
    assert DEAD in never
    assert FAINT not in never
    assert AT_TOP in always
    assert (unit.dead, unit.at_top) == (len(never), len(always))
    assert unit.positions == len(expanded)


def test_active_channels_are_counted_at_each_place(result: UnitsResult, expanded: F64) -> None:
    active = np.sum((expanded > 0) & (expanded < 6), axis=1)
    unit = expansion(result)
    least, mean, most = unit.active
    assert (least, most) == (active.min(), active.max())
    assert mean == pytest.approx(active.mean())
    assert unit.short == pytest.approx(np.mean(active < READ))


def test_ranks_are_those_of_the_full_matrices(result: UnitsResult, expanded: F64) -> None:
    unit = expansion(result)
    for found, expected in (
        (unit.before, ranks(expanded)),
        (unit.after, ranks(np.clip(expanded, 0, 6))),
    ):
        assert found.rank == expected.rank
        # Float32 values of the runtime; squares of the smallest of them are lost in the sums.
        assert found.effective_rank == pytest.approx(expected.effective_rank, rel=1e-3)
    # It spans what it read and its bias, and ReLU6 bends that.
    assert unit.before.rank <= READ + 1 < unit.after.rank


def test_int8_counts_integers(asked: Asked, result: UnitsResult, expanded: F64) -> None:
    """Against the scale of the file and NumPy's rounding."""
    unit = expansion(result)
    held = asked.subject.quantized.activations[unit.site.value]
    assert unit.int8.channels == WIDE  # nothing proves that a channel is constant
    tops = np.clip(expanded, 0, 6).max(axis=0)
    assert tops[FAINT] < held.scale[0] / 4
    # Other channels are far from half a step.
    rounded = np.rint(tops / held.scale[0])
    assert unit.int8.dead == np.count_nonzero(rounded == 0) > unit.dead
    assert unit.int8.at_top == unit.at_top
    assert abs(unit.int8.after.rank - unit.int8.after_float.rank) <= 2
    assert unit.int8.after.effective_rank == pytest.approx(
        unit.int8.after_float.effective_rank, rel=0.05
    )


def test_what_the_conversion_leaves_out_is_said(pictures: Path, tmp_path: Path) -> None:
    """A channel that is 0 whatever comes goes, with as many as make a multiple of eight."""
    model = networks.network()
    for constant in model.graph.initializer:
        if constant.name in ("expand", "bias"):
            array = np.frombuffer(constant.raw_data, np.float32).copy().reshape(WIDE, -1)
            array[:8] = 0 if constant.name == "expand" else -1
            constant.raw_data = array.tobytes()
    found = units.run(networks.asked(model, pictures, tmp_path))
    unit = expansion(found)
    assert unit.dead >= 8
    assert (unit.site.channels, unit.int8.channels) == (WIDE, WIDE - 8)
    assert "; 16 are not in the int8 file" in chapter(found).findings[-1]  # of two layers


def test_activations_apart_give_the_same(asked: Asked) -> None:
    graph = asked.subject.graph
    split = apart(graph, activations(graph))
    split.verify()
    assert [node.kind for node in split.nodes].count("Clamp") == 3
    x = next(iter(asked.subject.inputs()))
    before, after = (FloatGraph(g, [graph.output]).run(x)[graph.output] for g in (graph, split))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_the_same_pictures_give_the_same_numbers(asked: Asked, result: UnitsResult) -> None:
    assert asdict(units.run(asked)) == asdict(result)


def test_the_chapter_says_what_was_found(result: UnitsResult) -> None:
    found = chapter(result)
    unit = expansion(result)
    assert any(f"block 1 expand {unit.dead} of {WIDE}" in words for words in found.findings)
    assert any("fewer than" in words for words in found.findings)
    (table,) = found.tables
    assert len(table.rows) == len(result.units)
    assert table.rows[1][:5] == (
        "block 1 expand",
        "ReLU6",
        str(WIDE),
        str(unit.dead),
        str(unit.int8.dead),
    )
    assert found.numbers["units"][1]["dead"] == unit.dead


def test_a_network_without_such_an_activation_is_refused(pictures: Path, tmp_path: Path) -> None:
    model = networks.network()
    for node in model.graph.node:
        if node.op_type in ("Relu", "Clip"):
            node.op_type = "HardSwish"
            del node.input[1:]
    with pytest.raises(ConvertError, match="no activation in it cuts off below zero"):
        units.run(networks.asked(model, pictures, tmp_path))
