from ai_edge_litert import schema_py_generated as schema
from hypothesis import example, given, settings
from hypothesis import strategies as st

from converters.tflite.padding import choose, same_pads

# One axis: (size, kernel, stride, dilation, before, after).
Axis = tuple[int, int, int, int, int, int]
Windows = list[list[int | None]]


def windows(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Windows:
    """Slide a window over indices that were really padded; None is padding."""
    line: list[int | None] = [None] * pads[0] + list(range(size)) + [None] * pads[1]
    taps = range(0, kernel * dilation, dilation)
    starts = range(0, len(line) - taps[-1], stride)
    return [[line[start + tap] for tap in taps] for start in starts]


def same(size: int, kernel: int, stride: int, dilation: int) -> Windows:
    """Return SAME's windows: ceil(size / stride) of them, padding spread with the odd one after."""
    count = -(-size // stride)
    reach = (kernel - 1) * dilation + 1
    total = 0
    while len(windows(size, kernel, stride, dilation, (0, total))) < count:
        total += 1
    assert total <= max(0, reach + stride)
    pads = (total // 2, total - total // 2)
    return windows(size, kernel, stride, dilation, pads)[:count]


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    size = draw(st.integers(1, 12))
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 3)) if stride == 1 else 1
    reach = (kernel - 1) * dilation + 1
    like_same = same_pads(size, kernel, stride, dilation)
    pads = draw(
        st.sampled_from([(0, 0), like_same, like_same[::-1], (kernel // 2, kernel // 2)])
        | st.tuples(st.integers(0, 6), st.integers(0, 6))
    )
    missing = max(0, reach - size - sum(pads))
    return (size, kernel, stride, dilation, pads[0], pads[1] + missing)


@given(axes(), axes())
@example((8, 3, 2, 1, 1, 1), (8, 3, 2, 1, 1, 1))  # PyTorch's symmetric padding
@example((8, 3, 2, 1, 0, 1), (9, 3, 2, 1, 1, 1))
@example((1, 1, 1, 1, 0, 0), (1, 4, 1, 2, 1, 5))  # the taps straddle the only pixel
@example((7, 3, 2, 1, 1, 9), (7, 3, 2, 1, 1, 1))  # a window more
@settings(max_examples=300, deadline=None)
def test_choose_gives_the_very_same_windows(a: Axis, b: Axis) -> None:
    ours = [windows(*axis[:4], axis[4:]) for axis in (a, b)]
    (h, kh, sh, dh, top, bottom), (w, kw, sw, dw, left, right) = a, b
    pads = (top, left, bottom, right)
    chosen = choose((1, 3, h, w), (kh, kw), (sh, sw), pads, (dh, dw))
    as_same = [same(*axis[:4]) for axis in (a, b)]
    as_valid = [windows(*axis[:4], (0, 0)) for axis in (a, b)]
    if chosen.scheme == schema.Padding.SAME:
        assert chosen.explicit is None
        assert as_same == ours
    elif chosen.explicit is None:
        assert as_valid == ours
    else:
        # A PAD operator, the last resort: neither scheme would have done, unless on one axis no
        # window reaches a pixel, so that where it starts does not show.
        assert chosen.explicit == pads
        blind = any(all(tap is None for window in axis for tap in window) for axis in ours)
        assert blind or ours not in (as_same, as_valid)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(1, 3))
@settings(deadline=None)
def test_same_pads_keeps_ceil_of_size_over_stride(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    before, after = same_pads(size, kernel, stride, dilation)
    assert 0 <= after - before <= 1
    found = windows(size, kernel, stride, dilation, (before, after))
    assert len(found) == -(-size // stride)
    # One less, and a window would be missing.
    if after:
        assert len(windows(size, kernel, stride, dilation, (before, after - 1))) < len(found)
