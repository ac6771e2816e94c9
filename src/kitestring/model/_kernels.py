"""Compiled evaluation of the ephemeris; usable inside other kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Six = tuple[float, float, float, float, float, float]

# columns of the segment table; PARENT and NEXT are rows of it, or -1
OFFSET, RECORDS, ORDER, START_DAY, AXES, PARENT, NEXT = range(7)
# before a segment's coefficients stand, in seconds: the begin of its first record
# and its coverage (both from START_DAY on), the length of a record and its inverse
BEGIN, LENGTH, INVERSE, FIRST, LAST = range(-5, 0)
HEADER = 5
DAY = 86400.0


@kernel()
def segment_state(
    coefficients: Floats, segments: Integers, index: int, day: int, second: float
) -> Six:
    """Return the six state components of one segment relative to its own centre.

    Chebyshev coefficients lie as [record, axis, order] from OFFSET on, in
    metres; the day is taken apart from the second so that no epoch is rounded.
    Velocity is the derivative, or what three more axes say (SPK type 3).
    """
    order = segments[index, ORDER]
    axes = segments[index, AXES]
    offset = segments[index, OFFSET]
    length = coefficients[offset + LENGTH]
    inverse = coefficients[offset + INVERSE]
    days = (day - segments[index, START_DAY]) * DAY
    rest = second - coefficients[offset + BEGIN]
    record = np.int64(np.floor((days + rest) * inverse))
    record = min(max(record, np.int64(0)), segments[index, RECORDS] - 1)
    elapsed = (days - record * length) + rest
    x = 2.0 * elapsed / length - 1.0
    base = offset + record * axes * order
    p0, p1, p2 = 0.0, 0.0, 0.0
    v0, v1, v2 = 0.0, 0.0, 0.0
    t_before, t = 1.0, x
    d_before, d = 0.0, 1.0
    p0 += coefficients[base]
    p1 += coefficients[base + order]
    p2 += coefficients[base + 2 * order]
    for k in range(1, order):
        a = coefficients[base + k]
        b = coefficients[base + order + k]
        c = coefficients[base + 2 * order + k]
        p0 += a * t
        p1 += b * t
        p2 += c * t
        v0 += a * d
        v1 += b * d
        v2 += c * d
        t_next = 2.0 * x * t - t_before
        d_next = 2.0 * t + 2.0 * x * d - d_before
        t_before, t = t, t_next
        d_before, d = d, d_next
    if axes == 6:
        v0, v1, v2 = 0.0, 0.0, 0.0
        base += 3 * order
        t_before, t = x, 1.0
        for k in range(order):
            v0 += coefficients[base + k] * t
            v1 += coefficients[base + order + k] * t
            v2 += coefficients[base + 2 * order + k] * t
            t_next = 2.0 * x * t - t_before
            t_before, t = t, t_next
        return p0, p1, p2, v0, v1, v2
    scale = 2.0 * inverse
    return p0, p1, p2, v0 * scale, v1 * scale, v2 * scale


@kernel()
def covering(coefficients: Floats, segments: Integers, index: int, day: int, second: float) -> int:
    """Return the first segment of a body that covers an epoch; the last one where none does."""
    while segments[index, NEXT] >= 0:
        offset = segments[index, OFFSET]
        elapsed = (day - segments[index, START_DAY]) * DAY + second
        if coefficients[offset + FIRST] <= elapsed <= coefficients[offset + LAST]:
            break
        index = segments[index, NEXT]
    return index


@kernel()
def body_state(coefficients: Floats, segments: Integers, body: int, day: int, second: float) -> Six:
    """Return (x, y, z, vx, vy, vz) of a body relative to the SSB, m and m/s.

    `body` is an index into the segment table (-1 is the SSB itself); `day` and
    `second` are TDB (MJD; the second may lie outside 0..86400).
    """
    x = y = z = vx = vy = vz = 0.0
    index = body
    while index >= 0:
        if segments[index, NEXT] >= 0:  # asked here: the call costs a third of an evaluation
            index = covering(coefficients, segments, index, day, second)
        a, b, c, d, e, f = segment_state(coefficients, segments, index, day, second)
        x += a
        y += b
        z += c
        vx += d
        vy += e
        vz += f
        index = segments[index, PARENT]
    return x, y, z, vx, vy, vz


@kernel()
def body_states(
    coefficients: Floats,
    segments: Integers,
    body: int,
    day: Integers,
    second: Floats,
    out: Floats,
) -> None:
    """Add the states of a body relative to the SSB, one row an epoch, to `out`."""
    for i in range(len(day)):
        s = body_state(coefficients, segments, body, day[i], second[i])
        for k in range(6):
            out[i, k] += s[k]
