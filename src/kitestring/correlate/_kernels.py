"""Numba kernels of the FX engine: plain arrays in, plain arrays out.

Phasors come from two levels: a table of a block's 32 steps and the phasor of
the block's start, both stepped in float64, so that float32 error does not grow
along a segment. Only `contract` (fused multiply-add) is allowed of fastmath: no
sum is reordered, so results do not depend on how a loop was vectorised.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kitestring._jit import kernel

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 32
ROUND = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to a whole number
CONTRACT = {"contract"}
TWO_PI = 2.0 * math.pi
COUNTED_WHOLE, COUNTED_BLOCK = 1 << 15, 512  # words of 64 bits


@kernel(fastmath=CONTRACT)
def fill_table(step: float, table: Singles) -> tuple[float, float]:
    """Fill table[:, j] with cos and sin of 2 pi step j; return the phasor of a whole block."""
    zr = math.cos(TWO_PI * step)
    zi = math.sin(TWO_PI * step)
    cr = 1.0
    ci = 0.0
    for j in range(BLOCK):
        table[0, j] = np.float32(cr)
        table[1, j] = np.float32(ci)
        cr, ci = cr * zr - ci * zi, cr * zi + ci * zr
    return cr, ci


@kernel(fastmath=CONTRACT)
def rotate_real(
    samples: Singles, first: Integers, start: Floats, step: Floats, piece: int, out: Singles
) -> None:
    """Cut real samples into segments and turn sample k of a piece by start + step k cycles.

    samples (n,) float32; first (segment,) int64; start, step (piece, segment) cycles;
    piece: samples in a piece, the last one may be shorter; out (segment, 2 N) float32:
    real and imaginary parts in turn.
    """
    table = np.empty((2, BLOCK), np.float32)
    length = out.shape[1] // 2
    for s in range(first.shape[0]):
        for p in range(start.shape[0]):
            sr, si = fill_table(step[p, s], table)
            pr = math.cos(TWO_PI * start[p, s])
            pi = math.sin(TWO_PI * start[p, s])
            end = min((p + 1) * piece, length)
            for low in range(p * piece, end, BLOCK):
                count = min(BLOCK, end - low)
                x = samples[first[s] + low : first[s] + low + count]
                y = out[s, 2 * low : 2 * (low + count)]
                ar = np.float32(pr)
                ai = np.float32(pi)
                for j in range(count):
                    y[2 * j] = x[j] * (ar * table[0, j] - ai * table[1, j])
                    y[2 * j + 1] = x[j] * (ar * table[1, j] + ai * table[0, j])
                pr, pi = pr * sr - pi * si, pr * si + pi * sr


@kernel(fastmath=CONTRACT)
def rotate_complex(
    samples: Singles, first: Integers, start: Floats, step: Floats, piece: int, out: Singles
) -> None:
    """As `rotate_real`, of complex samples given as (2 n,) float32."""
    table = np.empty((2, BLOCK), np.float32)
    length = out.shape[1] // 2
    for s in range(first.shape[0]):
        for p in range(start.shape[0]):
            sr, si = fill_table(step[p, s], table)
            pr = math.cos(TWO_PI * start[p, s])
            pi = math.sin(TWO_PI * start[p, s])
            end = min((p + 1) * piece, length)
            for low in range(p * piece, end, BLOCK):
                count = min(BLOCK, end - low)
                x = samples[2 * (first[s] + low) : 2 * (first[s] + low + count)]
                y = out[s, 2 * low : 2 * (low + count)]
                ar = np.float32(pr)
                ai = np.float32(pi)
                for j in range(count):
                    cr = ar * table[0, j] - ai * table[1, j]
                    ci = ar * table[1, j] + ai * table[0, j]
                    y[2 * j] = x[2 * j] * cr - x[2 * j + 1] * ci
                    y[2 * j + 1] = x[2 * j] * ci + x[2 * j + 1] * cr
                pr, pi = pr * sr - pi * si, pr * si + pi * sr


@kernel()
def decode(
    packed: NDArray[np.uint8], bits: int, parts: int, flip: int, levels: Singles, runs: Integers,
    out: Singles,
) -> None:  # fmt: skip
    """Decode the valid samples of a packed stream: runs (n, 2); out (sample * parts,)."""
    mask = (1 << bits) - 1
    for r in range(runs.shape[0]):
        for k in range(runs[r, 0] * parts, min(runs[r, 1] * parts, out.shape[0])):
            bit = k * bits
            word = np.int64(packed[bit >> 3]) | np.int64(packed[(bit >> 3) + 1]) << 8
            out[k] = levels[((word >> (bit & 7)) & mask) ^ flip]


@kernel(fastmath=CONTRACT)
def pick_bins(spectra: Singles, turn: Floats, out: Singles) -> None:
    """Take the first bins of spectra and turn bin k by turn k cycles.

    spectra (segment, 2 N) float32, real and imaginary parts in turn; turn
    (segment,) cycles. Writes out (segment, 2, bin) float32.
    """
    table = np.empty((2, BLOCK), np.float32)
    bins = out.shape[2]
    for s in range(spectra.shape[0]):
        sr, si = fill_table(turn[s], table)
        pr = 1.0
        pi = 0.0
        z = spectra[s]
        yr = out[s, 0]
        yi = out[s, 1]
        for low in range(0, bins, BLOCK):
            count = min(BLOCK, bins - low)
            ar = np.float32(pr)
            ai = np.float32(pi)
            for j in range(count):
                cr = ar * table[0, j] - ai * table[1, j]
                ci = ar * table[1, j] + ai * table[0, j]
                k = 2 * (low + j)
                yr[low + j] = z[k] * cr - z[k + 1] * ci
                yi[low + j] = z[k] * ci + z[k + 1] * cr
            pr, pi = pr * sr - pi * si, pr * si + pi * sr


@kernel(fastmath=CONTRACT)
def multiply(x: Singles, segments: int, pairs: Integers, total: Floats) -> None:
    """Add X1 conj(X2) of all segments to total.

    x (input, segment, 2, bin) float32; pairs (pair, 2): inputs; total (pair, 2, bin)
    float64. A tile is summed in float32: keep it below some hundred segments.
    """
    bins = x.shape[3]
    re = np.empty(bins, np.float32)
    im = np.empty(bins, np.float32)
    for p in range(pairs.shape[0]):
        a = pairs[p, 0]
        b = pairs[p, 1]
        re[:] = 0
        im[:] = 0
        for s in range(segments):
            ar = x[a, s, 0]
            ai = x[a, s, 1]
            br = x[b, s, 0]
            bi = x[b, s, 1]
            for k in range(bins):
                re[k] += ar[k] * br[k] + ai[k] * bi[k]
            for k in range(bins):
                im[k] += ai[k] * br[k] - ar[k] * bi[k]
        for k in range(bins):
            total[p, 0, k] += re[k]
        for k in range(bins):
            total[p, 1, k] += im[k]


@kernel(fastmath=CONTRACT)
def add_taylor(rows: Floats, piece: int, about: float, series: Floats) -> None:
    """Add a polynomial's Taylor series about a time after its piece's start to `series`."""
    order = rows.shape[1] - 1
    shifted = rows[piece].copy()
    for j in range(order):
        for k in range(order - 1, j - 1, -1):
            shifted[k] += about * shifted[k + 1]
    for k in range(order + 1):
        series[k] += shifted[k]


@kernel(fastmath=CONTRACT)
def follow(
    rows1: Floats, interval1: float, begin1: float, rows2: Floats, interval2: float,
    begin2: float, first: float, step: float, value: Floats, slope: Floats, bend: Floats,
) -> None:  # fmt: skip
    """Set the sum of two piecewise polynomials and its derivatives at times first + i step.

    rows (piece, order + 1): ascending powers of the seconds since a piece's start, each
    `interval` long; begin: seconds from the start of the first piece to time 0.
    """
    count = value.shape[0]
    order = max(rows1.shape[1], rows2.shape[1], 3) - 1
    series = np.empty(order + 1)
    x = np.empty(BLOCK)
    low = 0
    while low < count:
        piece1 = min(max(int((begin1 + first + low * step) / interval1), 0), rows1.shape[0] - 1)
        piece2 = min(max(int((begin2 + first + low * step) / interval2), 0), rows2.shape[0] - 1)
        end = count
        if piece1 < rows1.shape[0] - 1:
            end = min(end, math.ceil(((piece1 + 1) * interval1 - begin1 - first) / step))
        if piece2 < rows2.shape[0] - 1:
            end = min(end, math.ceil(((piece2 + 1) * interval2 - begin2 - first) / step))
        end = max(end, low + 1)
        about = first + (low + end) // 2 * step
        series[:] = 0.0
        add_taylor(rows1, piece1, begin1 + about - piece1 * interval1, series)
        add_taylor(rows2, piece2, begin2 + about - piece2 * interval2, series)
        for begin in range(low, end, BLOCK):
            stop = min(begin + BLOCK, end)
            v, once, twice = value[begin:stop], slope[begin:stop], bend[begin:stop]
            for i in range(stop - begin):
                x[i] = first + (begin + i) * step - about
                v[i] = series[order]
                once[i] = 0.0
                twice[i] = 0.0
            for k in range(order - 1, -1, -1):
                c = series[k]
                for i in range(stop - begin):
                    twice[i] = twice[i] * x[i] + once[i]
                    once[i] = once[i] * x[i] + v[i]
                    v[i] = v[i] * x[i] + c
            for i in range(stop - begin):
                twice[i] *= 2.0
        low = end


@kernel(fastmath=CONTRACT)
def place_segments(
    delay: Floats, whole: int, rest: float, first: int, samples: int, rate: float,
    out_first: Integers, out_rest: Floats, out_turn: Floats,
) -> None:  # fmt: skip
    """Place segments, delay (segment,) s; see `kitestring.correlate.steering.Steering`.

    Segment i begins at sample whole + rest + (first + i) * samples + delay * rate.
    """
    for i in range(delay.shape[0]):
        place = rest + delay[i] * rate
        shift = (place + ROUND) - ROUND
        out_first[i] = whole + (first + i) * samples + np.int64(shift)
        out_rest[i] = place - shift
        out_turn[i] = (place - shift) / samples


@kernel(fastmath=CONTRACT)
def turn_segments(
    delay: Floats, slope: Floats, bend: Floats, since: Floats, rest: Floats, count: int,
    rate: float, zero: float, middle: float, shift: float, constant: float, each: float,
    start: Floats, step: Floats,
) -> None:  # fmt: skip
    """Set what one piece of each segment is turned by; see `Steering.turns`.

    delay ... since (segment,): the piece's. count: its samples; zero: sky frequency of
    baseband zero; middle: of the middle of the band, from there; shift, each: cycles a
    sample and a segment, constant: cycles, to add. Sets start and step (segment,), cycles.
    """
    for i in range(delay.shape[0]):
        early = -rest[i] / rate - since[i]
        at = zero * (delay[i] + early * (slope[i] + 0.5 * early * bend[i])) + middle * since[i]
        turn = zero * (slope[i] * (1.0 - slope[i]) + early * bend[i]) + middle * slope[i]
        turn = turn / rate
        begin = at - turn * (0.5 * count)
        begin -= (begin + ROUND) - ROUND
        more = each * i + constant - rest[i] * shift
        start[i] = begin + (more - ((more + ROUND) - ROUND))
        step[i] = turn + shift


@kernel()
def count_valid(runs: Integers, first: Integers, samples: int, out: Integers) -> None:
    """Count the valid samples of each segment: runs (n, 2) ascending; out (segment,) int64."""
    for s in range(first.shape[0]):
        a, b = first[s], first[s] + samples
        n = 0
        for r in range(np.searchsorted(runs[:, 1], a, side="right"), runs.shape[0]):
            if runs[r, 0] >= b:
                break
            n += min(runs[r, 1], b) - max(runs[r, 0], a)
        out[s] = n


@kernel()
def count_both(
    runs1: Integers, first1: Integers, count1: Integers, n1: int,
    runs2: Integers, first2: Integers, count2: Integers, n2: int,
) -> float:  # fmt: skip
    """Return the segments' worth of samples valid at both ends.

    n1 and n2 are the samples in a segment (they differ between real and complex
    channels of one band): stretches are compared in units of 1 / (n1 n2) of a segment.
    """
    total = 0.0
    for s in range(first1.shape[0]):
        if count1[s] == n1:
            total += count2[s] / n2
        elif count2[s] == n2:
            total += count1[s] / n1
        elif count1[s] > 0 and count2[s] > 0:
            shared = 0
            begin = np.searchsorted(runs2[:, 1], first2[s], side="right")
            for r in range(np.searchsorted(runs1[:, 1], first1[s], side="right"), runs1.shape[0]):
                low = max(runs1[r, 0] - first1[s], 0) * n2
                high = min(runs1[r, 1] - first1[s], n1) * n2
                if low >= high:
                    break
                for q in range(begin, runs2.shape[0]):
                    a = max((runs2[q, 0] - first2[s]) * n1, low)
                    b = min((runs2[q, 1] - first2[s]) * n1, high)
                    if runs2[q, 0] - first2[s] >= n2:
                        break
                    if a < b:
                        shared += b - a
            total += shared / (n1 * n2)
    return total


@intrinsic  # type: ignore[untyped-decorator]
def _ones(typing: Any, word: Any) -> Any:
    """Return how many bits of a word are set: one instruction, which numba has no name for."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.uint64(types.uint64), emit


_LOW_BITS = np.uint64(0x5555555555555555)


@kernel()
def count_words(words: NDArray[np.uint64], bits: int, out: Integers) -> None:
    """Add to out (4,) how often each code of 1 or 2 bits occurs in packed words (n,)."""
    high, low, both = np.uint64(0), np.uint64(0), np.uint64(0)
    for k in range(words.shape[0]):
        one, two = (words[k] >> np.uint64(1)) & _LOW_BITS, words[k] & _LOW_BITS
        high += _ones(one)
        low += _ones(two)
        both += _ones(one & two)
    h, x, b = np.int64(high), np.int64(low), np.int64(both)
    if bits == 1:
        out[0] += 64 * words.shape[0] - h - x
        out[1] += h + x
    else:
        out[0] += 32 * words.shape[0] - h - x + b
        out[1] += x - b
        out[2] += h - b
        out[3] += b


@kernel()
def count_codes(
    packed: NDArray[np.uint8], bits: int, low: int, high: int, whole: bool, out: Integers
) -> None:
    """Add to out (4,) how often each code of 1 or 2 bits occurs from value `low` up to `high`.

    Unless `whole`, of more than `COUNTED_WHOLE` words `COUNTED_BLOCK` of four times as many
    are looked at: they come from the slow end of the memory, and gains are known well
    enough. Which ones depends on `low` alone, not on where the stream lies in memory.
    """
    words = packed[: packed.shape[0] // 8 * 8].view(np.uint64)
    each = 64 // bits
    begin = -(-low // each)
    end = max(high // each, begin)
    middle = (begin * each, end * each)
    mask = (1 << bits) - 1
    if end - begin > COUNTED_WHOLE and not whole:
        for k in range(begin, end, 4 * COUNTED_BLOCK):
            count_words(words[k : min(k + COUNTED_BLOCK, end)], bits, out)
    elif end > begin:
        count_words(words[begin:end], bits, out)
    else:
        middle = (high, high)
    for a, z in ((low, middle[0]), (middle[1], high)):
        for k in range(a, z):
            out[(packed[k * bits >> 3] >> (k * bits & 7)) & mask] += 1


@kernel()
def count_parts(
    packed: NDArray[np.uint8], bits: int, parts: int, runs: Integers, edges: Integers,
    whole: bool, out: Integers,
) -> None:  # fmt: skip
    """Add to out (n, 4) how often each code occurs in the valid samples of n stretches.

    runs (m, 2): stretches of valid samples; edges (n, 2): begin and end of those that are
    counted. Both parts of complex samples count. whole: see `count_codes`.
    """
    for p in range(edges.shape[0]):
        low, high = edges[p, 0], edges[p, 1]
        for r in range(np.searchsorted(runs[:, 1], low, side="right"), runs.shape[0]):
            if runs[r, 0] >= high:
                break
            first, last = parts * max(runs[r, 0], low), parts * min(runs[r, 1], high)
            count_codes(packed, bits, first, last, whole, out[p])


@kernel()
def count_values(values: Singles, low: int, high: int, levels: Singles, out: Integers) -> bool:
    """Add to out (state,) how often each value occurs from `low` up to `high`.

    levels (state,): the values, NaN where none is known yet: they are set as they are found.
    Returns whether no other values occur.
    """
    known = 0
    for s in range(levels.shape[0]):
        if known == high - low:
            break
        if np.isnan(levels[s]):
            for k in range(low, high):
                if not (levels[:s] == values[k]).any():
                    levels[s] = values[k]
                    break
        level, count = levels[s], 0
        for k in range(low, high):
            count += values[k] == level
        out[s] += count
        known += count
    return known == high - low
