"""The encoding against the `hdrhistogram` package, in both directions, and against the hostile."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.latency import hdr
from edge.latency.histogram import I64, LATENCY, MAX_COUNT, Histogram, HistogramError, Layout

VALUES = st.lists(
    st.tuples(st.integers(0, LATENCY.highest_ns), st.integers(1, MAX_COUNT // 200)), max_size=100
)


def ours(values: list[tuple[int, int]]) -> Histogram:
    histogram = Histogram()
    for value, count in values:
        index = LATENCY.index(np.array([value]))
        histogram.add_counts(index, np.array([count]), (value, value))
    return histogram


def theirs(values: list[tuple[int, int]]) -> HdrHistogram:
    histogram = HdrHistogram(LATENCY.lowest_ns, LATENCY.highest_ns, LATENCY.digits)
    for value, count in values:
        histogram.record_value(value, count)
    return histogram


def decoded(encoded: bytes, layout: Layout = LATENCY) -> I64:
    """Return the counts of all buckets."""
    all_counts = np.zeros(layout.counts_length, np.int64)
    index, counts = hdr.decode(encoded, layout)
    all_counts[index] = counts
    return all_counts


def inner(encoded: bytes) -> bytes:
    return zlib.decompress(encoded[8:])


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_what_we_write_is_what_hdrhistogram_writes(values: list[tuple[int, int]]) -> None:
    encoded = inner(hdr.encode(ours(values)))
    expected = inner(base64.b64decode(theirs(values).encode()))
    assert encoded == expected


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_hdrhistogram_reads_what_we_write(values: list[tuple[int, int]]) -> None:
    histogram = ours(values)
    read = HdrHistogram.decode(base64.b64encode(hdr.encode(histogram)))
    assert read.get_total_count() == histogram.count
    for value, count in values:
        assert read.get_count_at_value(value) >= count
    counts = [read.get_count_at_index(int(index)) for index in histogram.recorded()[0]]
    assert counts == histogram.recorded()[1].tolist()


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_we_read_what_hdrhistogram_writes(values: list[tuple[int, int]]) -> None:
    counts = decoded(base64.b64decode(theirs(values).encode()))
    assert np.array_equal(counts, ours(values).counts)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.lists(st.integers(0, 3_600_000), min_size=1, max_size=50))
def test_other_layouts_travel_too(digits: int, values: list[int]) -> None:
    layout = Layout(1, 3_600_000, digits)
    histogram = Histogram(layout)
    histogram.record_many(np.array(values))
    assert np.array_equal(decoded(hdr.encode(histogram), layout), histogram.counts)
    with pytest.raises(HistogramError, match="this version reads"):
        hdr.decode(hdr.encode(histogram))


def test_a_bucket_too_full_for_the_encoding_is_refused() -> None:
    full = ours([(1000, MAX_COUNT)])
    assert np.array_equal(decoded(hdr.encode(full)), full.counts)
    full.counts += full.counts > 0
    with pytest.raises(HistogramError, match="allowed: 1099511627776"):
        hdr.encode(full)


GOOD = hdr.encode(ours([(1_000_000, 3), (1_100_000, 700), (90_000_000, 1)]))


def wrapped(payload: bytes, **fields: float) -> bytes:
    """Return an encoding around `payload`, its header right but for `fields`."""
    header = {
        "cookie": hdr.COOKIE,
        "length": len(payload),
        "offset": 0,
        "digits": LATENCY.digits,
        "lowest": LATENCY.lowest_ns,
        "highest": LATENCY.highest_ns,
        "ratio": 1.0,
    } | fields
    body = zlib.compress(struct.pack(">iiiiqqd", *header.values()) + payload)
    return struct.pack(">ii", hdr.COMPRESSED_COOKIE, len(body)) + body


def test_the_helper_of_the_hostile_tests_makes_good_encodings() -> None:
    assert wrapped(inner(GOOD)[40:]) == GOOD


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_a_cut_encoding_is_refused(size: int) -> None:
    with pytest.raises(HistogramError):
        hdr.decode(GOOD[:size])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_noise_is_refused_or_read_but_never_crashes(noise: bytes) -> None:
    try:
        index, counts = hdr.decode(wrapped(noise))
    except HistogramError:
        return
    assert np.all(np.diff(index) > 0)
    assert np.all(counts > 0)
    assert np.all((index >= 0) & (index < LATENCY.counts_length))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_damaged_encoding_is_refused_or_means_the_same(place: int, flip: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= flip
    try:
        counts = decoded(bytes(damaged))
    except HistogramError:
        return
    # zlib's level and the bits that fill deflate's last byte carry nothing; a checksum guards all.
    assert np.array_equal(counts, decoded(GOOD))


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "cut off"),
        (GOOD + b"x", "length"),
        (struct.pack(">ii", 0x1C849304, len(GOOD) - 8) + GOOD[8:], "expected cookie"),
        (wrapped(b"\x02", cookie=7), "cookie 0x7"),
        (wrapped(b"\x02", length=2), "2 of 1 bytes"),
        (wrapped(b"\x02", offset=1), "offset 1"),
        (wrapped(b"\x02", ratio=2.0), "ratio 2.0"),
        (wrapped(b"\x02", ratio=float("nan")), "ratio nan"),
        (wrapped(b"\x02", digits=2), "2 digits"),
        (wrapped(b"\x02", highest=1000), "1000 ns"),
        (wrapped(b"\x02" * 29_697), "more than 29696"),
        (wrapped(b"\xff\xff\xff\xff\x07"), "allowed: 29696"),
        (wrapped(b"\x82\x80\x80\x80\x80\x40"), "allowed: 1099511627776"),
        (wrapped(b"\x80\x80\x80\x80\x80\x80\x01"), "7 bytes"),
        (wrapped(b"\x02\x80"), "last count is cut off"),
        (wrapped(bytes(1 << 20)), "too long"),
    ],
)
def test_each_field_is_checked(encoded: bytes, message: str) -> None:
    with pytest.raises(HistogramError, match=message):
        hdr.decode(encoded)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(16 << 20), 9)
    with pytest.raises(HistogramError, match="too long"):
        hdr.decode(struct.pack(">ii", hdr.COMPRESSED_COOKIE, len(bomb)) + bomb)
