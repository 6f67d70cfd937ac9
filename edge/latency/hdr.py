"""HdrHistogram's V2 compressed encoding, so that its tools in any language read our logs.

Outer: cookie, length, zlib stream. Inner: cookie, payload length, normalizing offset (0), digits
(int32 each), lowest and highest value (int64), conversion ratio (double), all big-endian; then the
counts as ZigZag LEB128, where -n stands for a run of n empty buckets.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from edge.latency.histogram import I64, LATENCY, MAX_COUNT, Histogram, HistogramError, Layout

# Base cookies of the format, with the word size field that V2 demands (0x10).
COOKIE = 0x1C849303 | 0x10
COMPRESSED_COOKIE = 0x1C849304 | 0x10
_OUTER = struct.Struct(">ii")
_INNER = struct.Struct(">iiiiqqd")
_GROUP_BITS = 7
# Counts are at most MAX_COUNT and runs are shorter: six groups of 7 bits hold either, zigzagged.
_MAX_GROUPS = 6


def encode(histogram: Histogram) -> bytes:
    """Return the histogram in the compressed encoding, up to its last filled bucket.

    Raises: HistogramError: a bucket holds more than 2**40 values.
    """
    payload = _encode_counts(*histogram.recorded())
    layout = histogram.layout
    inner = _INNER.pack(
        COOKIE, len(payload), 0, layout.digits, layout.lowest_ns, layout.highest_ns, 1.0
    )
    compressed = zlib.compress(inner + payload)
    return _OUTER.pack(COMPRESSED_COOKIE, len(compressed)) + compressed


def decode(data: bytes, layout: Layout = LATENCY) -> tuple[I64, I64]:
    """Return the filled buckets, ascending, and their counts (at least 1), int64 both.

    `data` may come from anyone: it is decompressed to at most what `layout` can need.
    Raises: HistogramError: `data` is not such an encoding, or is of another layout.
    """
    if len(data) < _OUTER.size:
        raise HistogramError(f"an encoded histogram of {len(data)} bytes; it is cut off")
    cookie, length = _OUTER.unpack_from(data)
    if cookie != COMPRESSED_COOKIE or length != len(data) - _OUTER.size:
        raise HistogramError(
            f"an encoded histogram with cookie {cookie:#x} and length {length} in {len(data)} "
            f"bytes; expected cookie {COMPRESSED_COOKIE:#x} (HdrHistogram V2, compressed)"
        )
    inner = _decompress(data[_OUTER.size :], _INNER.size + _MAX_GROUPS * layout.counts_length)
    if len(inner) < _INNER.size:
        raise HistogramError("an encoded histogram whose header is cut off")
    cookie, length, offset, digits, lowest, highest, ratio = _INNER.unpack_from(inner)
    payload = inner[_INNER.size :]
    if cookie != COOKIE or length != len(payload) or offset != 0 or ratio != 1.0:
        raise HistogramError(
            f"an encoded histogram with cookie {cookie:#x}, {length} of {len(payload)} bytes, "
            f"offset {offset}, ratio {ratio}; expected {COOKIE:#x}, all bytes, 0 and 1"
        )
    if (lowest, highest, digits) != (layout.lowest_ns, layout.highest_ns, layout.digits):
        raise HistogramError(
            f"an encoded histogram of {lowest} to {highest} ns with {digits} digits; "
            f"this version reads {layout}"
        )
    return _decode_counts(np.frombuffer(payload, np.uint8), layout.counts_length)


def _decompress(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        inner = stream.decompress(data, limit + 1)
    except zlib.error as cause:
        raise HistogramError(f"an encoded histogram does not decompress ({cause})") from cause
    if len(inner) > limit or not stream.eof or stream.unused_data:
        raise HistogramError("an encoded histogram is cut off, too long, or has a tail")
    return inner


def _encode_counts(index: I64, counts: I64) -> bytes:
    if not index.size:
        return b""
    if int(counts.max()) > MAX_COUNT:
        raise HistogramError(f"a bucket of {counts.max()} values; allowed: {MAX_COUNT}")
    gaps = np.diff(index, prepend=-1) - 1
    words = np.empty((index.size, 2), np.int64)
    words[:, 0] = -gaps
    words[:, 1] = counts
    wanted = np.ones_like(words, bool)
    wanted[:, 0] = gaps > 0
    return _pack(words[wanted])


def _pack(words: I64) -> bytes:
    zigzag = (words << 1) ^ (words >> 63)
    groups = zigzag[:, None] >> (_GROUP_BITS * np.arange(_MAX_GROUPS))
    wanted = groups > 0
    wanted[:, 0] = True
    more = (groups >> _GROUP_BITS > 0).astype(np.int64) << _GROUP_BITS
    return ((groups & 0x7F) | more)[wanted].astype(np.uint8).tobytes()


def _decode_counts(payload: NDArray[np.uint8], length: int) -> tuple[I64, I64]:
    words = _unpack(payload)
    if words.size > length:
        raise HistogramError(f"an encoded histogram of more than {length} buckets")
    steps = np.where(words < 0, -words, 1)
    # A step is at most 2**41 and there are at most 2**20: the sum does not overflow.
    after = np.cumsum(steps)
    if words.size and after[-1] > length:
        raise HistogramError(f"an encoded histogram of {after[-1]} buckets; allowed: {length}")
    filled = words > 0
    counts = words[filled]
    if counts.size and int(counts.max()) > MAX_COUNT:
        raise HistogramError(f"an encoded count of {counts.max()}; allowed: {MAX_COUNT}")
    return after[filled] - 1, counts


def _unpack(payload: NDArray[np.uint8]) -> I64:
    if not payload.size:
        return np.empty(0, np.int64)
    ends = np.flatnonzero(payload < 0x80)
    if not ends.size or ends[-1] != payload.size - 1:
        raise HistogramError("an encoded histogram whose last count is cut off")
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    if int(sizes.max()) > _MAX_GROUPS:
        raise HistogramError(f"an encoded count of {sizes.max()} bytes; allowed: {_MAX_GROUPS}")
    place = np.arange(payload.size) - np.repeat(starts, sizes)
    groups = (payload & 0x7F).astype(np.int64) << (_GROUP_BITS * place)
    zigzag = np.add.reduceat(groups, starts)
    words: I64 = (zigzag >> 1) ^ -(zigzag & 1)
    return words
