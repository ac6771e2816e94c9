"""Compiled evaluation of the ephemeris; usable inside other kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Six = tuple[float, float, float, float, float, float]

# columns of the segment table
OFFSET, RECORDS, ORDER, START_DAY, INTERVAL, PARENT = range(6)
DAY = 86400.0


@kernel()
def segment_state(
    coefficients: Floats, segments: Integers, index: int, day: int, second: float
) -> Six:
    """Return the six state components of one segment relative to its own centre.

    Chebyshev coefficients lie as [record, axis, order] from OFFSET on, in
    metres; the day is taken apart from the second so that no epoch is rounded.
    """
    order = segments[index, ORDER]
    interval = segments[index, INTERVAL]
    whole = day + np.int64(np.floor(second / DAY)) - segments[index, START_DAY]
    record = whole // interval
    record = min(max(record, 0), segments[index, RECORDS] - 1)
    length = interval * DAY
    elapsed = (day - segments[index, START_DAY] - record * interval) * DAY + second
    x = 2.0 * elapsed / length - 1.0
    base = segments[index, OFFSET] + record * 3 * order
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
    scale = 2.0 / length
    return p0, p1, p2, v0 * scale, v1 * scale, v2 * scale


@kernel()
def body_state(coefficients: Floats, segments: Integers, body: int, day: int, second: float) -> Six:
    """Return (x, y, z, vx, vy, vz) of a body relative to the SSB, m and m/s.

    `body` is an index into the segment table (-1 is the SSB itself); `day` and
    `second` are TDB (MJD; the second may lie outside 0..86400).
    """
    x = y = z = vx = vy = vz = 0.0
    index = body
    while index >= 0:
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
