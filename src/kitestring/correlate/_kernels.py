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
    samples: Singles, first: Integers, start: Floats, step: Floats, out: Singles
) -> None:
    """Cut real samples into segments and turn each by start + step k cycles.

    samples (n,) float32; first (segment,) int64; start, step (segment,) cycles;
    out (segment, 2 N) float32: real and imaginary parts in turn.
    """
    table = np.empty((2, BLOCK), np.float32)
    length = out.shape[1] // 2
    for s in range(first.shape[0]):
        sr, si = fill_table(step[s], table)
        pr = math.cos(TWO_PI * start[s])
        pi = math.sin(TWO_PI * start[s])
        for low in range(0, length, BLOCK):
            count = min(BLOCK, length - low)
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
    samples: Singles, first: Integers, start: Floats, step: Floats, out: Singles
) -> None:
    """As `rotate_real`, of complex samples given as (2 n,) float32."""
    table = np.empty((2, BLOCK), np.float32)
    length = out.shape[1] // 2
    for s in range(first.shape[0]):
        sr, si = fill_table(step[s], table)
        pr = math.cos(TWO_PI * start[s])
        pi = math.sin(TWO_PI * start[s])
        for low in range(0, length, BLOCK):
            count = min(BLOCK, length - low)
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


@kernel(fastmath=CONTRACT)
def pick_bins(spectra: Singles, rest: Floats, lowest: int, direction: int, out: Singles) -> None:
    """Take the bins of a band, undo the fractional sample and set ascending sky frequency.

    spectra (segment, 2 N) float32, real and imaginary parts in turn; rest
    (segment,) samples; lowest: signed FFT index of the band's lowest bin; from
    there the index ascends or descends (direction). Writes out (segment, 2,
    bin) float32, conjugated where it descends.
    """
    table = np.empty((2, BLOCK), np.float32)
    length = spectra.shape[1] // 2
    bins = out.shape[2]
    sign = np.float32(direction)
    for s in range(spectra.shape[0]):
        turn = rest[s] / length
        sr, si = fill_table(turn * direction, table)
        pr = math.cos(TWO_PI * turn * lowest)
        pi = math.sin(TWO_PI * turn * lowest)
        z = spectra[s]
        yr = out[s, 0]
        yi = out[s, 1]
        for low in range(0, bins, BLOCK):
            count = min(BLOCK, bins - low)
            ar = np.float32(pr)
            ai = np.float32(pi)
            for j in range(count):
                at = lowest + direction * (low + j)
                if at < 0:
                    at += length
                elif at >= length:
                    at -= length
                cr = ar * table[0, j] - ai * table[1, j]
                ci = ar * table[1, j] + ai * table[0, j]
                yr[low + j] = z[2 * at] * cr - z[2 * at + 1] * ci
                yi[low + j] = sign * (z[2 * at] * ci + z[2 * at + 1] * cr)
            pr, pi = pr * sr - pi * si, pr * si + pi * sr


@kernel(fastmath=CONTRACT)
def multiply(x: Singles, segments: int, pairs: Integers, total: Floats) -> None:
    """Add X1 conj(X2) of all segments to total.

    x (input, segment, 2, bin) float32; pairs (pair, 4) with the inputs in
    columns 2 and 3; total (pair, 2, bin) float64. A tile is summed in float32:
    keep it below some hundred segments.
    """
    bins = x.shape[3]
    re = np.empty(bins, np.float32)
    im = np.empty(bins, np.float32)
    for p in range(pairs.shape[0]):
        a = pairs[p, 2]
        b = pairs[p, 3]
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


@kernel()
def count_valid(valid: Flags, first: Integers, samples: int, out: Integers) -> None:
    """Count the valid samples of each segment: valid (n,) bool; out (segment,) int64."""
    for s in range(first.shape[0]):
        n = 0
        for k in range(first[s], first[s] + samples):
            n += valid[k]
        out[s] = n


@kernel()
def count_both(
    valid1: Flags,
    first1: Integers,
    count1: Integers,
    n1: int,
    valid2: Flags,
    first2: Integers,
    count2: Integers,
    n2: int,
) -> float:
    """Return the segments' worth of samples valid at both ends.

    n1 and n2 are the samples in a segment (they differ between real and complex
    channels of one band).
    """
    total = 0.0
    for s in range(first1.shape[0]):
        if count1[s] == n1:
            total += count2[s] / n2
        elif count2[s] == n2:
            total += count1[s] / n1
        elif count1[s] > 0 and count2[s] > 0:
            n = 0
            for k in range(n1):
                n += valid1[first1[s] + k] & valid2[first2[s] + k * n2 // n1]
            total += n / n1
    return total
