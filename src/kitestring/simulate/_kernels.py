"""Random numbers, interpolation and tones, sample by sample.

Samples are made in blocks of `BLOCK`, counted from the first sample of the
scan. Inside a block positions and phases are quadratic in the sample number u,
counted from the block's middle: coefficients (c0, c1, c2) stand for
c0 + c1 u + c2 u^2. A block is made in runs of `RUN` samples, for which the
interpolator's taps are held: a delay rate of 1e-6 moves them by 2e-5 sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]

BLOCK = 1024
RUN = 32
TAPS = 16
PHASES = 1024  # tabulated fractions of a grid step

_MIDDLE = (BLOCK - 1) / 2
_RUN_MIDDLE = (RUN - 1) / 2
_TURN = 2 * math.pi
_BENT = 1e-6  # cycles; where the frequency's change adds more to a run, each has its own

# Contracting a * b + c into one instruction is all that is allowed here.
_CONTRACT = {"contract"}

_U32, _F32 = np.uint32, np.float32
_Word = np.uint32

# -- random numbers ------------------------------------------------------------


@kernel(inline="always")
def philox(
    c0: _Word, c1: _Word, c2: _Word, c3: _Word, k0: _Word, k1: _Word
) -> tuple[_Word, _Word, _Word, _Word]:
    """Return four random words (uint32) for a counter of four words and a key of two.

    Philox4x32-10 of Salmon et al. 2011, Parallel random numbers: as easy as
    1, 2, 3 (doi:10.1145/2063384.2063405), section 3.3.
    """
    for _ in range(10):
        p0 = np.uint64(c0) * np.uint64(0xD2511F53)
        p1 = np.uint64(c2) * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            _U32(p1 >> np.uint64(32)) ^ c1 ^ k0,
            _U32(p1),
            _U32(p0 >> np.uint64(32)) ^ c3 ^ k1,
            _U32(p0),
        )
        k0 = _U32(k0 + _U32(0x9E3779B9))
        k1 = _U32(k1 + _U32(0xBB67AE85))
    return c0, c1, c2, c3


@kernel(inline="always")
def gaussian_pair(a: _Word, b: _Word) -> tuple[Any, Any]:
    """Return two independent normal numbers from two random words (Box & Muller 1958).

    31 bits make the radius, which reaches 6.6; one bit its sign; 32 bits an
    angle of half a turn. Logarithm, sine and cosine are series that are good to
    2e-7, free of branches and calls, so that the loop around runs in vectors.
    """
    v = np.float32(np.int32(a >> _U32(1))) + _F32(0.5)
    bits = np.float32(v).view(np.int32)
    mantissa = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    exponent = _F32((bits >> np.int32(23)) - np.int32(127 + 31))
    # ln m = ln(sqrt 2) + 2 artanh((m - sqrt 2) / (m + sqrt 2)) for m in 1 .. 2
    s = (mantissa - _F32(math.sqrt(2))) / (mantissa + _F32(math.sqrt(2)))
    s2 = s * s
    log = s * (_F32(2) + s2 * (_F32(2 / 3) + s2 * (_F32(2 / 5) + s2 * _F32(2 / 7))))
    log = log + (exponent + _F32(0.5)) * _F32(math.log(2))
    radius = np.sqrt(max(_F32(-2) * log, _F32(0)))
    radius = radius if (a & _U32(1)) else -radius
    x = _F32(np.int32(b)) * _F32(math.pi / 2**32)
    x2 = x * x
    sine = _F32(1 / 362880) + x2 * _F32(-1 / 39916800)
    sine = _F32(1 / 120) + x2 * (_F32(-1 / 5040) + x2 * sine)
    sine = x * (_F32(1) + x2 * (_F32(-1 / 6) + x2 * sine))
    cosine = _F32(1 / 40320) + x2 * (_F32(-1 / 3628800) + x2 * _F32(1 / 479001600))
    cosine = _F32(1 / 24) + x2 * (_F32(-1 / 720) + x2 * cosine)
    cosine = _F32(1) + x2 * (_F32(-0.5) + x2 * cosine)
    return radius * sine, radius * cosine


@kernel(fastmath=_CONTRACT)
def fill_gaussian(key0: int, key1: int, first: int, scale: float, out: Singles) -> None:
    """Fill `out` with normal numbers of rms `scale`; `first` counts blocks of the sequence.

    `len(out)` is a multiple of `BLOCK`. What stands in a block depends on the
    key (two uint32) and on the block's number only.
    """
    quarter = BLOCK // 4
    amplitude = _F32(scale)
    k0, k1 = _U32(key0), _U32(key1)
    for block in range(len(out) // BLOCK):
        number = np.int64(first + block)
        low, high = _U32(number & 0xFFFFFFFF), _U32((number >> 32) & 0xFFFFFFFF)
        row = out[block * BLOCK : (block + 1) * BLOCK]
        for i in range(quarter):
            a, b, c, d = philox(_U32(i), low, high, _U32(0), k0, k1)
            x, y = gaussian_pair(a, b)
            z, w = gaussian_pair(c, d)
            row[i] = amplitude * x
            row[i + quarter] = amplitude * y
            row[i + 2 * quarter] = amplitude * z
            row[i + 3 * quarter] = amplitude * w


# -- the wave at the geocentre ---------------------------------------------------


@kernel(fastmath=_CONTRACT)
def crossfade(
    pieces: Singles, window: Singles, hop: int, at: int, real: Singles, imag: Singles
) -> None:
    """Add up overlapping pieces of noise.

    Parameters
    ----------
    pieces : ndarray, shape (piece, 2 x length)
        Real and imaginary parts in turn.
    window : ndarray, shape (length,)
        Weight of each sample of a piece.
    hop : int
        Distance from the start of a piece to that of the next.
    at : int
        Place of ``real[0]``, counted from the start of the first piece.
    real, imag : ndarray
        Sums; must hold zeros.
    """
    length = len(window)
    for p in range(len(pieces)):
        begin = max(p * hop, at)
        end = min(p * hop + length, at + len(real))
        piece = pieces[p]
        for i in range(begin, end):
            weight = window[i - p * hop]
            real[i - at] += weight * piece[2 * (i - p * hop)]
            imag[i - at] += weight * piece[2 * (i - p * hop) + 1]


# -- at a station ------------------------------------------------------------------


@kernel()
def _run_rotors(cycles_per_sample: float, cosine: Singles, sine: Singles) -> None:
    """Write exp(2 pi i c r) for the samples r of a run, counted from its middle."""
    angle = _TURN * (cycles_per_sample - math.floor(cycles_per_sample))
    step_r, step_i = math.cos(angle), math.sin(angle)
    start = -_RUN_MIDDLE * cycles_per_sample
    start -= math.floor(start)
    r, i = math.cos(_TURN * start), math.sin(_TURN * start)
    for k in range(RUN):
        cosine[k], sine[k] = r, i
        r, i = r * step_r - i * step_i, r * step_i + i * step_r


@kernel(inline="always")
def _quadratic(coefficients: Floats, u: float) -> Any:
    return coefficients[0] + u * (coefficients[1] + u * coefficients[2])


@kernel(fastmath=_CONTRACT)
def _filter(a: Singles, step: int, h: Singles, out: Singles) -> None:
    """Write the sums of h[k] a[r step + k] for the samples r of a run."""
    if step != 1:
        for r in range(RUN):
            total = _F32(0)
            for k in range(TAPS):
                total += h[k] * a[r * step + k]
            out[r] = total
        return
    # written out, so that the loop over samples is the one that runs in vectors
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    h8, h9, h10, h11, h12, h13, h14, h15 = h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]
    for r in range(RUN):
        first = (h0 * a[r] + h1 * a[r + 1]) + (h2 * a[r + 2] + h3 * a[r + 3])
        second = (h4 * a[r + 4] + h5 * a[r + 5]) + (h6 * a[r + 6] + h7 * a[r + 7])
        third = (h8 * a[r + 8] + h9 * a[r + 9]) + (h10 * a[r + 10] + h11 * a[r + 11])
        fourth = (h12 * a[r + 12] + h13 * a[r + 13]) + (h14 * a[r + 14] + h15 * a[r + 15])
        out[r] = (first + second) + (third + fourth)


@kernel(fastmath=_CONTRACT)
def add_wave(
    real: Singles,
    imag: Singles,
    step: int,
    place: Floats,
    cycles: Floats,
    amplitude: float,
    table: Singles,
    conjugate: bool,
    out: Singles,
) -> None:
    """Interpolate a band-limited complex wave, turn its phase and add it to samples.

    Parameters
    ----------
    real, imag : ndarray
        The wave on its grid.
    step : int
        Grid steps a sample.
    place : ndarray, shape (block, 3)
        Where samples lie on the grid, in steps; within ``TAPS / 2`` of neither end.
    cycles : ndarray, shape (block, 3)
        Phase that is added to the wave's, cycles.
    amplitude : float
        Factor on the wave.
    table : ndarray, shape (PHASES + 1, TAPS)
        Taps of the interpolator.
    conjugate : bool
        Whether complex samples are conjugated.
    out : ndarray, shape (block * BLOCK,) or (2 * block * BLOCK,)
        Real samples get the real part, complex ones real and imaginary in turn.
    """
    parts = len(out) // (len(place) * BLOCK)
    wave_r, wave_i = np.empty(RUN, np.float32), np.empty(RUN, np.float32)
    rotor_r, rotor_i = np.empty(RUN, np.float32), np.empty(RUN, np.float32)
    h = np.empty(TAPS, np.float32)
    sign = _F32(-1.0) if conjugate else _F32(1.0)
    for b in range(len(place)):
        bent = abs(cycles[b, 2]) * (BLOCK * RUN / 2) > _BENT
        for first in range(0, BLOCK, RUN):
            u = first + _RUN_MIDDLE - _MIDDLE
            if first == 0 or bent:
                slope = cycles[b, 1] + (2 * u * cycles[b, 2] if bent else 0.0)
                _run_rotors(slope, rotor_r, rotor_i)
            position = _quadratic(place[b], u) - _RUN_MIDDLE * step
            whole = math.floor(position)
            fraction = (position - whole) * PHASES
            row = int(fraction)
            rest = _F32(fraction - row)
            for k in range(TAPS):
                h[k] = table[row, k] + rest * (table[row + 1, k] - table[row, k])
            begin = int(whole) - (TAPS // 2 - 1)
            end = begin + (RUN - 1) * step + TAPS
            _filter(real[begin:end], step, h, wave_r)
            _filter(imag[begin:end], step, h, wave_i)
            turn = _quadratic(cycles[b], u)
            angle = _TURN * (turn - math.floor(turn))
            gain_r, gain_i = _F32(amplitude * math.cos(angle)), _F32(amplitude * math.sin(angle))
            samples = out[(b * BLOCK + first) * parts : (b * BLOCK + first + RUN) * parts]
            if parts == 1:
                for r in range(RUN):
                    c = rotor_r[r] * gain_r - rotor_i[r] * gain_i
                    s = rotor_r[r] * gain_i + rotor_i[r] * gain_r
                    samples[r] += c * wave_r[r] - s * wave_i[r]
            else:
                for r in range(RUN):
                    c = rotor_r[r] * gain_r - rotor_i[r] * gain_i
                    s = rotor_r[r] * gain_i + rotor_i[r] * gain_r
                    samples[2 * r] += c * wave_r[r] - s * wave_i[r]
                    samples[2 * r + 1] += sign * (c * wave_i[r] + s * wave_r[r])


@kernel(fastmath=_CONTRACT)
def add_tone(cycles: Floats, amplitude: Floats, conjugate: bool, out: Singles) -> None:
    """Add a tone of phase `cycles` to samples; see `add_wave`.

    `amplitude` has shape (block,): a tone that leaves the band ends there.
    """
    parts = len(out) // (len(cycles) * BLOCK)
    rotor_r, rotor_i = np.empty(RUN, np.float32), np.empty(RUN, np.float32)
    sign = -1.0 if conjugate else 1.0
    for b in range(len(cycles)):
        if amplitude[b] == 0.0:
            continue
        bent = abs(cycles[b, 2]) * (BLOCK * RUN / 2) > _BENT
        for first in range(0, BLOCK, RUN):
            u = first + _RUN_MIDDLE - _MIDDLE
            if first == 0 or bent:
                slope = cycles[b, 1] + (2 * u * cycles[b, 2] if bent else 0.0)
                _run_rotors(slope, rotor_r, rotor_i)
            turn = _quadratic(cycles[b], u)
            angle = _TURN * (turn - math.floor(turn))
            gain_r = _F32(amplitude[b] * math.cos(angle))
            gain_i = _F32(amplitude[b] * math.sin(angle))
            samples = out[(b * BLOCK + first) * parts : (b * BLOCK + first + RUN) * parts]
            if parts == 1:
                for r in range(RUN):
                    samples[r] += rotor_r[r] * gain_r - rotor_i[r] * gain_i
            else:
                other = _F32(sign)
                for r in range(RUN):
                    samples[2 * r] += rotor_r[r] * gain_r - rotor_i[r] * gain_i
                    samples[2 * r + 1] += other * (rotor_r[r] * gain_i + rotor_i[r] * gain_r)


def interpolation_table() -> Singles:
    """Return the taps of a Kaiser-windowed sinc for fractions 0 .. 1 of a grid step.

    The wave fills half of the grid's band, so that the transition is half as
    wide as the grid's rate, and `TAPS` taps reach A = 8 + 14.36 x 0.5 x (TAPS - 1)
    = 116 dB (Kaiser 1974, as in Oppenheim & Schafer, Discrete-Time Signal
    Processing, eqs. 7.75 and 7.76). Taps k = 0 .. TAPS - 1 act on the grid points
    1 - TAPS / 2 + k around the point before.
    """
    attenuation = 8.0 + 14.36 * 0.5 * (TAPS - 1)
    beta = 0.1102 * (attenuation - 8.7)
    fraction = np.arange(PHASES + 1)[:, np.newaxis] / PHASES
    distance = fraction - (np.arange(TAPS) - (TAPS // 2 - 1))
    inside = np.clip(1.0 - (distance / (TAPS / 2)) ** 2, 0.0, None)
    taps: Any = np.sinc(distance) * np.i0(beta * np.sqrt(inside)) / np.i0(beta)
    return np.asarray(taps, dtype=np.float32)
