"""Numba kernels of the FX engine: plain arrays in, plain arrays out.

Phasors come from two levels: a table of a block's 32 steps and the phasor of
the block's start, both stepped in float64, so that float32 error does not grow
along a segment. Only `contract` (fused multiply-add) is allowed of fastmath: no
sum is reordered, so results do not depend on how a loop was vectorised.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 32
CONTRACT = {"contract"}
TWO_PI = 2.0 * math.pi


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

    samples (n,) float32; first (segment,) int64; start, step (segment, piece) cycles;
    piece: samples in a piece, the last one may be shorter; out (segment, 2 N) float32:
    real and imaginary parts in turn.
    """
    table = np.empty((2, BLOCK), np.float32)
    length = out.shape[1] // 2
    for s in range(first.shape[0]):
        for p in range(start.shape[1]):
            sr, si = fill_table(step[s, p], table)
            pr = math.cos(TWO_PI * start[s, p])
            pi = math.sin(TWO_PI * start[s, p])
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
        for p in range(start.shape[1]):
            sr, si = fill_table(step[s, p], table)
            pr = math.cos(TWO_PI * start[s, p])
            pi = math.sin(TWO_PI * start[s, p])
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
def evaluate(total: Floats, at: Floats, value: Floats, slope: Floats, bend: Floats) -> None:
    """Set a polynomial and its two derivatives at each time: total (order + 1,) ascends in powers.

    The other arrays are (n,).
    """
    order = total.shape[0] - 1
    for i in range(at.shape[0]):
        x = at[i]
        v, once, twice = total[order], 0.0, 0.0
        for k in range(order - 1, -1, -1):
            twice = twice * x + once
            once = once * x + v
            v = v * x + total[k]
        value[i] = v
        slope[i] = once
        bend[i] = 2.0 * twice


@kernel(fastmath=CONTRACT)
def place_segments(
    delay: Floats, whole: int, rest: float, first: int, samples: int, rate: float,
    out_first: Integers, out_rest: Floats,
) -> None:  # fmt: skip
    """Place segments, delay (segment,) s; see `kitestring.correlate.steering.Steering`.

    Segment i begins at sample whole + rest + (first + i) * samples + delay * rate.
    """
    for i in range(delay.shape[0]):
        place = rest + delay[i] * rate
        shift = np.rint(place)
        out_first[i] = whole + (first + i) * samples + np.int64(shift)
        out_rest[i] = place - shift


@kernel(fastmath=CONTRACT)
def segment_phases(
    delay: Floats, slope: Floats, bend: Floats, since: Floats, rest: Floats, samples: int,
    piece: int, rate: float, zero: float, middle: float, start: Floats, step: Floats,
) -> None:  # fmt: skip
    """Set the phase of a piece's first sample and the step, cycles; see `Steering.phase`.

    since: what delay has grown by since the segment's middle; zero: sky frequency of
    baseband zero; middle: of the middle of the band, from there.
    """
    for i in range(delay.shape[0]):
        for p in range(delay.shape[1]):
            count = min(piece, samples - p * piece)
            shift = -rest[i] / rate - since[i, p]
            at = zero * (delay[i, p] + shift * (slope[i, p] + 0.5 * shift * bend[i, p]))
            at += middle * since[i, p]
            each = zero * (slope[i, p] * (1.0 - slope[i, p]) + shift * bend[i, p])
            each = (each + middle * slope[i, p]) / rate
            begin = at - each * (count / 2)
            start[i, p] = begin - np.rint(begin)
            step[i, p] = each


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
