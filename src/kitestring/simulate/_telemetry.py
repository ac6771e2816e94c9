"""Bits as a wave of +1 and -1 without what lies beyond the grid's band."""

from __future__ import annotations

import math

import numpy as np

from kitestring._jit import kernel
from kitestring.simulate._kernels import BLOCK, Floats, Singles, philox

REACH = 32  # grid points on either side of an edge that it is spread over
STEPS = 256  # tabulated points of a grid step

_CUTOFF = 0.35  # cycles a grid point: the middle of the transition
_ATTENUATION = 90.0  # dB

_MIDDLE = (BLOCK - 1) / 2
_RUN = 16  # points that are looked at together, for most hold no edge
_U32, _F32 = np.uint32, np.float32
_STREAM = 0x5B175  # keeps these numbers apart from the noise's


def step_response() -> Floats:
    """Return a low-pass filtered unit step at -REACH .. REACH, `STEPS` points a grid step.

    The filter is a sinc of cut-off 0.35 under Kaiser's window; its transition is
    0.09 cycles a grid point wide (Oppenheim & Schafer, Discrete-Time Signal
    Processing, eqs. 7.75 and 7.76).
    """
    x = np.arange(-REACH * STEPS, REACH * STEPS + 1) / STEPS
    beta = 0.1102 * (_ATTENUATION - 8.7)
    window = np.i0(beta * np.sqrt(np.clip(1.0 - (x / REACH) ** 2, 0.0, None))) / np.i0(beta)
    taps = np.sinc(2.0 * _CUTOFF * x) * window
    sums = np.concatenate([[0.0], np.cumsum(0.5 * (taps[1:] + taps[:-1]))])
    return np.asarray(sums / sums[-1])


@kernel()
def _bit(number: int, k0: int, k1: int) -> float:
    """Return +1 or -1 for the bit of this number."""
    low, high = _U32(number & 0xFFFFFFFF), _U32((number >> 32) & 0xFFFFFFFF)
    word, _, _, _ = philox(low, high, _U32(_STREAM), _U32(0), _U32(k0), _U32(k1))
    return 1.0 if word & _U32(1) else -1.0


@kernel()
def _spread(jump: float, at: float, response: Floats, out: Singles) -> None:
    """Replace a sharp step of `jump` at the point `at` by the filtered one."""
    first = max(math.ceil(at) - REACH, 0)
    last = min(math.floor(at) + REACH, len(out) - 1)
    for n in range(first, last + 1):
        x = n - at
        place = (x + REACH) * STEPS
        whole = min(int(place), len(response) - 2)
        rest = place - whole
        value = response[whole] + rest * (response[whole + 1] - response[whole])
        out[n] += jump * (value - (1.0 if x >= 0.0 else 0.0))


@kernel()
def bit_wave(
    theta: Floats,
    bit_rate: float,
    half_waves: float,
    key0: int,
    key1: int,
    response: Floats,
    out: Singles,
) -> None:
    """Write bits, times a square subcarrier where there is one, over grid points.

    Parameters
    ----------
    theta : ndarray, shape (block, 3)
        Transmitter's time, s, quadratic in the point's number from the block's middle.
    bit_rate : float
        Bits a second of it.
    half_waves : float
        Half waves of the square subcarrier a second, or 0 for none.
    key0, key1 : int
        Settle the bits.
    response : ndarray
        `step_response`.
    out : ndarray, shape (block * BLOCK,)
        The wave; `REACH` points at either end are not right.
    """
    number = half_number = 0
    bit = half = 1.0
    before = 0.0
    for b in range(len(theta)):
        for first in range(0, BLOCK, _RUN):
            u = first + _RUN - 1 - _MIDDLE
            last = theta[b, 0] + u * (theta[b, 1] + u * theta[b, 2])
            calm = math.floor(last * bit_rate) == number
            if calm and math.floor(last * half_waves) == half_number and b + first > 0:
                begin = b * BLOCK + first
                value = _F32(bit * half)
                for n in range(begin, begin + _RUN):
                    out[n] += value
                before = last
                continue
            for k in range(first, first + _RUN):
                u = k - _MIDDLE
                now = theta[b, 0] + u * (theta[b, 1] + u * theta[b, 2])
                new, new_half = math.floor(now * bit_rate), math.floor(now * half_waves)
                n = b * BLOCK + k
                if n == 0:
                    number, half_number = new, new_half
                    bit = _bit(number, key0, key1)
                    half = -1.0 if half_number & 1 else 1.0
                elif new != number or new_half != half_number:
                    old_bit, old_half = bit, half
                    step = now - before
                    bit_at = half_at = 0.0  # how far before this point, in steps
                    if new != number:
                        number = new
                        bit = _bit(number, key0, key1)
                        bit_at = min(max((now - number / bit_rate) / step, 0.0), 1.0)
                    if new_half != half_number:
                        half_number = new_half
                        half = -1.0 if half_number & 1 else 1.0
                        half_at = min(max((now - half_number / half_waves) / step, 0.0), 1.0)
                    # the earlier edge meets the other's old value
                    if bit_at >= half_at:
                        by_bit, by_half = (bit - old_bit) * old_half, bit * (half - old_half)
                    else:
                        by_bit, by_half = (bit - old_bit) * half, old_bit * (half - old_half)
                    if by_bit != 0.0:
                        _spread(by_bit, n - bit_at, response, out)
                    if by_half != 0.0:
                        _spread(by_half, n - half_at, response, out)
                out[n] += bit * half
                before = now
