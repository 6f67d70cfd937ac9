from converters.structure.cost import Cost, four_ways, peak_values
from tests.converters.models import build, imported, normal


def test_four_ways_from_one_shape_to_another() -> None:
    found = four_ways((7, 5), 4, 6, 3, 2)
    area = 35
    regular = 3 * 3 * 4 * 6
    assert found["regular convolution"] == Cost(regular, regular * area, regular + (4 + 6) * area)
    separable = 3 * 3 * 4 + 4 * 6
    assert found["separable"].multiply_adds == separable * area
    assert found["separable"].moved == separable + (4 + 4 + 4 + 6) * area
    assert found["separable with linear bottleneck"] == found["separable"]
    expanded = 4 * 8 + 3 * 3 * 8 + 8 * 6
    assert found["bottleneck with expansion layer"].parameters == expanded
    assert found["bottleneck with expansion layer"].multiply_adds == expanded * area


def test_the_paper_s_ratio() -> None:
    # A 3x3 separable convolution costs 8 to 9 times less than a regular one (section 3.1).
    found = four_ways((14, 14), 256, 256, 3, 6)
    ratio = found["regular convolution"].multiply_adds / found["separable"].multiply_adds
    assert 8 < ratio < 9


def test_what_is_alive_at_once() -> None:
    body = "a = Conv(x, w) b = Relu(a) c = Conv(b, v) y = Add(c, b)"
    graph = imported(build(body, w=normal(8, 3, 1, 1), v=normal(8, 8, 1, 1, seed=1)))
    # b, c and their sum, of 8 channels of 8 x 8 each.
    assert peak_values(graph) == 3 * 8 * 64


def test_costs_add_up() -> None:
    assert Cost(1, 2, 4) + Cost(10, 20, 40) == Cost(11, 22, 44)
    assert Cost(1, 2, 4).intensity == 0.5
    assert Cost().intensity == 0
