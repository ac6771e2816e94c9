"""A phase-modulated carrier, taken apart into lines and bits without approximation.

With exp(i m sin a) = sum of J_n(m) exp(i n a) (Jacobi and Anger), each sine wave
makes lines at n times its frequency, and several of them lines at all sums: the
sidebands and their intermodulation. Telemetry is +1 or -1 times a wave w:

- w = 1 or a square wave: exp(i m d w) = cos m + i d w sin m;
- w = sin c: exp(i m d w) = sum of J_q(m) d^q exp(i q c), d^q = 1 for even q.

So each line comes in up to two kinds, with and without bits. Lines without are
pure tones; those with bits are waves of some bandwidth, made on the grid that
a quasar's noise is made on, limited to the channel's band there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.signal
import scipy.special
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate._kernels import BLOCK, add_tone
from kitestring.simulate._telemetry import REACH, bit_wave, step_response
from kitestring.simulate.retardation import Retardation
from kitestring.simulate.signals import (
    Transmission,
    grid_rate,
    oscillator_start,
    tone_cycles,
    transmission,
)
from kitestring.simulate.types import ModulatedCarrier, SpacecraftSignal, Telemetry, Tone

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MOST_LINES = 50_000  # before the weak ones are left out
LEAST = 1e-6  # of the carrier's amplitude: weaker lines are left out (-120 dB)
_SMALLEST = 1e-10  # products weaker than this add nothing to the lines that they fall on
NEAR = 0.7  # bandwidths from a channel's middle within which lines with bits count
FASTEST = 0.25  # of the grid's rate: edges of telemetry

_HALF_FILTER = 512  # grid points; the band's edge is then 0.5 % of the bandwidth wide
_ATTENUATION = 80.0  # dB
_MEASURED = 128  # blocks of the grid that a wave's power is taken from
_RESPONSE = step_response()


@dataclass(frozen=True)
class Line:
    """One line of a phase-modulated carrier.

    Attributes
    ----------
    apart : Fraction
        Frequency minus the carrier's, Hz.
    amplitude : complex
        Of the whole signal's.
    with_bits : bool
        Whether telemetry's bits turn its sign.
    """

    apart: Fraction
    amplitude: complex
    with_bits: bool = False

    @property
    def name(self) -> str:
        """``"carrier"``, or its place in MHz such as ``"+3.8 MHz"``."""
        return f"{float(self.apart) / 1e6:+.10g} MHz" if self.apart else "carrier"


def lines_of(carrier: ModulatedCarrier) -> tuple[Line, ...]:
    """Return all lines that are stronger than `LEAST`, ascending in frequency.

    Lines that fall on each other exactly are summed.

    Raises
    ------
    ConfigurationError
        For more than `MOST_LINES`: many sine waves, or large indices.

    Examples
    --------
    >>> both = ModulatedCarrier(8.4e9, 60.0, tones=((3.8e6, 0.6), (19e6, 0.6)))
    >>> {line.name: round(abs(line.amplitude), 4) for line in lines_of(both)}["+22.8 MHz"]
    0.0822
    """
    found = {(Fraction(0), False): 1.0 + 0.0j}
    for frequency, index in carrier.tones:
        found = _product(found, _sine(frequency, index))
    if carrier.telemetry is not None:
        found = _product(found, _bits(carrier.telemetry))
    lines = [
        Line(apart, amplitude, bits)
        for (apart, bits), amplitude in found.items()
        if abs(amplitude) > LEAST
    ]
    return tuple(sorted(lines, key=lambda line: (line.apart, line.with_bits)))


_Lines = dict[tuple[Fraction, bool], complex]


def _sine(frequency: float, index: float) -> _Lines:
    numbers = np.arange(-60, 61)
    values = scipy.special.jv(numbers, index)
    return {
        (int(n) * Fraction(frequency), False): complex(v)
        for n, v in zip(numbers, values, strict=True)
        if abs(v) > _SMALLEST
    }


def _bits(telemetry: Telemetry) -> _Lines:
    if telemetry.subcarrier and telemetry.wave == "sine":
        pure = _sine(telemetry.subcarrier, telemetry.index)
        step = Fraction(telemetry.subcarrier)
        return {(at, bool(at / step % 2)): value for (at, _), value in pure.items()}
    return {
        (Fraction(0), False): complex(np.cos(telemetry.index)),
        (Fraction(0), True): 1j * complex(np.sin(telemetry.index)),
    }


def _product(one: _Lines, other: _Lines) -> _Lines:
    found: _Lines = {}
    for (a, a_bits), x in one.items():
        for (b, b_bits), y in other.items():
            if abs(x * y) > _SMALLEST:
                key = (a + b, a_bits or b_bits)
                found[key] = found.get(key, 0.0) + x * y
        if len(found) > MOST_LINES:
            raise ConfigurationError(
                f"what modulates the carrier makes more than {MOST_LINES} lines.",
                next_step="Give fewer tones, or smaller modulation indices.",
            )
    return found


def pure_tones(carrier: ModulatedCarrier) -> tuple[Tone, ...]:
    """Return the lines without bits as tones."""
    return tuple(
        Tone(
            line.name,
            Fraction(carrier.frequency) + line.apart,
            _less(carrier.cn0, -20.0 * float(np.log10(abs(line.amplitude)))),
            float(np.angle(line.amplitude)) / (2.0 * np.pi),
        )
        for line in lines_of(carrier)
        if not line.with_bits
    )


def _less(cn0: float | Mapping[str, float], decibels: float) -> float | dict[str, float]:
    if isinstance(cn0, Mapping):
        return {station: value - decibels for station, value in cn0.items()}
    return cn0 - decibels


def band_filter() -> Singles:
    """Return the low-pass filter that limits a wave to half of its grid's band."""
    width = 0.006  # cycles a grid point: the transition ends at the band's edge
    beta = scipy.signal.kaiser_beta(_ATTENUATION)
    taps = scipy.signal.firwin(
        2 * _HALF_FILTER + 1, 0.25 - 0.5 * width, window=("kaiser", beta), fs=1.0
    )
    return np.asarray(taps, dtype=np.float32)


_PIECE = 8192  # grid points that are transformed at a time
_FILTER = scipy.fft.fft(band_filter(), _PIECE).astype(np.complex64)


def _filtered(wave: NDArray[np.complex64], first: int, count: int) -> tuple[Singles, Singles]:
    """Return real and imaginary part of points first .. first + count - 1 behind the filter.

    Each piece of the circular convolution is right but for its first 2 _HALF_FILTER points.
    """
    hop = _PIECE - 2 * _HALF_FILTER
    pieces = -(count // -hop)
    whole = np.zeros(pieces * hop + 2 * _HALF_FILTER, dtype=np.complex64)
    given = wave[first - _HALF_FILTER :][: min(len(whole), count + 2 * _HALF_FILTER)]
    whole[: len(given)] = given
    rows = np.lib.stride_tricks.sliding_window_view(whole, _PIECE)[::hop]
    spectra = scipy.fft.fft(rows, axis=1)
    spectra *= _FILTER
    made = scipy.fft.ifft(spectra, axis=1, overwrite_x=True)
    kept = made[:, 2 * _HALF_FILTER :]
    return kept.real.reshape(-1)[:count], kept.imag.reshape(-1)[:count]


@dataclass(frozen=True)
class TelemetryWave:
    """All lines with bits of one carrier that a channel may see, on the geocentre's grid.

    Of unit amplitude: the whole carrier has 1. What of a line's spectrum lies
    more than 0.6 bandwidths from the line, or outside the channel, is left out.

    Attributes
    ----------
    signal : SpacecraftSignal
        Gives light time and drift.
    carrier : ModulatedCarrier
        With telemetry.
    channel : Channel
        Whose band it is.
    start : Epoch, shape ()
        When grid point 0 passes the geocentre.
    key : tuple of int
        Settles the bits.
    """

    signal: SpacecraftSignal
    carrier: ModulatedCarrier
    channel: Channel
    start: Epoch
    key: tuple[int, int]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Lines near enough to the channel."""
        low, high = self.channel.sky_edges
        reach = NEAR * (high - low)
        middle = Fraction(low + high) / 2
        doppler = 1.0 - float(self.signal.light_time(self.start, 1))
        return tuple(
            line
            for line in lines_of(self.carrier)
            if line.with_bits
            and abs(float(Fraction(self.carrier.frequency) + line.apart) * doppler - float(middle))
            < reach
        )

    @cached_property
    def power(self) -> float:
        """Mean square inside the band, at the start."""
        if not self.lines:
            return 0.0
        real, imag = self.grid(0, _MEASURED * BLOCK)
        return float(np.mean(real.astype(np.float64) ** 2 + imag.astype(np.float64) ** 2))

    def grid(self, first: int, count: int) -> tuple[Singles, Singles]:
        """Return real and imaginary part of grid points first .. first + count - 1.

        Raises
        ------
        ConfigurationError
            For telemetry that is too fast for the channel.
        """
        margin = _HALF_FILTER + REACH
        begin = (first - margin) // BLOCK
        end = -((first + count + margin) // -BLOCK)
        middles = np.arange(begin, end) * BLOCK + (BLOCK - 1) / 2
        rate = grid_rate(self.channel)
        label: Floats = np.asarray(middles / rate, dtype=np.float64)
        none = np.zeros_like(label)
        when = Retardation(label, none, none, none)
        low, high = self.channel.sky_edges
        grid = Channel("grid", 0.5 * (low + high), 1, rate, complex=True, zero="middle")
        back = oscillator_start(grid, self.start)
        sent = transmission(self.signal, self.start, when)
        lines = np.zeros(2 * BLOCK * len(label), dtype=np.float32)
        for line in self.lines:
            phase = float(np.angle(line.amplitude)) / (2.0 * np.pi)
            tone = Tone(line.name, Fraction(self.carrier.frequency) + line.apart, 0.0, phase)
            cycles, _ = tone_cycles(grid, self.signal, tone, self.start, when, sent)
            cycles[:, 0] += back
            add_tone(cycles, np.full(len(label), abs(line.amplitude)), False, lines)
        wave = lines.view(np.complex64)
        wave *= self._bits(sent, rate)
        return _filtered(wave, first - begin * BLOCK, count)

    def _bits(self, sent: Transmission, rate: float) -> Singles:
        telemetry = self.carrier.telemetry
        assert telemetry is not None  # there are no lines with bits otherwise
        square = telemetry.subcarrier > 0.0 and telemetry.wave == "square"
        half_waves = 2.0 * telemetry.subcarrier if square else 0.0
        if max(telemetry.bit_rate, half_waves) > FASTEST * rate:
            raise ConfigurationError(
                f"telemetry of {telemetry.bit_rate:g} bit/s on a subcarrier of "
                f"{telemetry.subcarrier:g} Hz is too fast for a channel of "
                f"{self.channel.bandwidth:g} Hz.",
                next_step="Simulate wider channels, or slower telemetry.",
            )
        drift, own = self.signal.drift, sent.theta
        slope, bend = 1.0 - sent.slope, -sent.bend
        theta = np.stack(
            [
                own * (1.0 + 0.5 * drift * own),
                slope * (1.0 + drift * own) / rate,
                0.5 * (bend * (1.0 + drift * own) + drift * slope**2) / rate**2,
            ],
            axis=1,
        )
        out = np.zeros(len(own) * BLOCK, dtype=np.float32)
        bit_wave(theta, telemetry.bit_rate, half_waves, *self.key, _RESPONSE, out)
        return out
