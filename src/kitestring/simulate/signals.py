"""What arrives: a quasar's noise, a spacecraft's tones, and when a station samples them.

A wave that passes the geocentre at t is found where the station's clock reads
r = t + D, D = delay + clock. Its local oscillator runs on that clock. With e(t)
the (analytic) wave at the geocentre, a channel whose baseband zero is at f0 records

    b(r) = e(t) exp(-2 pi i f0 r)               (conjugated for direction -1),

real channels the real part of it. Nothing of this is shared with the
correlator: it is written from readings to labels, the other way round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kitestring.model.polynomials import PiecewisePolynomial
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate._kernels import BLOCK, crossfade, fill_gaussian
from kitestring.simulate.retardation import Retardation
from kitestring.simulate.types import (
    LocalTone,
    ModulatedCarrier,
    SpacecraftSignal,
    Telemetry,
    Tone,
)

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

DOR_OFFSETS = (-19.0e6, -3.8e6, 3.8e6, 19.0e6)  # Hz, of a Tianwen-like transponder

_PIECE = 16384  # grid points of a piece of noise, a multiple of 2 x BLOCK
_FADE = 2048  # grid points over which one piece gives way to the next
_HOP = _PIECE - _FADE


def spacecraft_signal(
    name: str,
    carrier: float,
    light_time: PiecewisePolynomial,
    *,
    offset: float = 0.0,
    drift: float = 0.0,
    dor_offsets: Sequence[float] = DOR_OFFSETS,
    carrier_cn0: float | Mapping[str, float] = 50.0,
    dor_cn0: float | Mapping[str, float] = 40.0,
) -> SpacecraftSignal:
    """Make a carrier and DOR tones that are coherent with it.

    Parameters
    ----------
    name : str
        Name of the spacecraft.
    carrier : float
        Transmitted carrier frequency as it is told, Hz.
    light_time : PiecewisePolynomial
        Arrival at the geocentre (UTC) minus proper time of transmission, s.
    offset : float
        True frequency over told frequency, minus one. It scales all tones.
    drift : float
        Fraction of the frequency per second.
    dor_offsets : sequence of float
        DOR tones minus carrier, as told, Hz.
    carrier_cn0, dor_cn0 : float or mapping of str to float
        Power over noise density of the carrier and of each DOR tone, dBHz.

    Examples
    --------
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> light_time = PiecewisePolynomial(start, 600.0, np.array([[143.0, 1e-5]]))
    >>> probe = spacecraft_signal("Probe", 8.4e9, light_time, offset=1e-7)
    >>> [tone.name for tone in probe.tones]
    ['carrier', 'DOR-19', 'DOR-3.8', 'DOR+3.8', 'DOR+19']
    >>> round(float(probe.received_frequency("carrier", start)) - 8.4e9, 3)
    -83160.008
    """
    tones = [Tone("carrier", carrier * (1.0 + offset), carrier_cn0)]
    for apart in dor_offsets:
        label = f"DOR{apart / 1e6:+.10g}"
        tones.append(Tone(label, (carrier + apart) * (1.0 + offset), dor_cn0))
    return SpacecraftSignal(name, tuple(tones), light_time, drift)


def modulated_signal(
    name: str,
    carrier: float,
    light_time: PiecewisePolynomial,
    *,
    offset: float = 0.0,
    drift: float = 0.0,
    tones: Sequence[tuple[float, float]] = (),
    telemetry: Telemetry | None = None,
    cn0: float | Mapping[str, float] = 50.0,
    polarization: str = "",
) -> SpacecraftSignal:
    """Make a carrier that is phase-modulated by sine waves and bits, all of one oscillator.

    Parameters
    ----------
    name, carrier, light_time, offset, drift
        As of `spacecraft_signal`; the offset scales tones and bits too.
    tones : sequence of (float, float)
        Frequencies as told, Hz, and modulation indices, rad.
    telemetry : Telemetry, optional
        As told.
    cn0 : float or mapping of str to float
        Power of all lines together over noise density, dBHz.
    polarization : str
        See `SpacecraftSignal`.

    Examples
    --------
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> light_time = PiecewisePolynomial(start, 600.0, np.array([[143.0, 1e-5]]))
    >>> probe = modulated_signal("Probe", 8.4e9, light_time, tones=[(3.8e6, 0.6), (19e6, 0.6)])
    >>> probe.modulated.tones
    ((3800000.0, 0.6), (19000000.0, 0.6))
    """
    true = 1.0 + offset
    if telemetry is not None:
        telemetry = replace(
            telemetry,
            bit_rate=telemetry.bit_rate * true,
            subcarrier=telemetry.subcarrier * true,
        )
    modulated = ModulatedCarrier(
        carrier * true, cn0, tuple((f * true, m) for f, m in tones), telemetry
    )
    return SpacecraftSignal(name, (), light_time, drift, modulated, polarization)


def random_key(*parts: object) -> tuple[int, int]:
    """Return a key of two 32-bit words that depends on all parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


# -- where on the grid and at which phase ----------------------------------------------


def grid_rate(channel: Channel) -> float:
    """Return the rate of the grid that a channel's wave is made on, Hz."""
    return 2.0 * channel.bandwidth


def place_on_grid(channel: Channel, first_block: int, when: Retardation) -> tuple[int, Floats]:
    """Return where samples of consecutive blocks lie on the wave's grid.

    The grid's point 0 passes the geocentre at the start of the scan. `when`
    holds the readings of the blocks' middles.

    Returns
    -------
    first : int
        Grid point that positions are counted from.
    place : ndarray, shape (block, 3)
        Coefficients of the position; see `_kernels`.
    """
    rate = grid_rate(channel)
    step = round(rate / channel.sample_rate)
    late = (first_block * BLOCK + (BLOCK - 1) / 2) / channel.sample_rate - when.reading[0]
    first = first_block * BLOCK * step - int(np.ceil((when.value.max() + late) * rate)) - BLOCK
    # whole numbers are exact, so that long scans lose nothing
    blocks = np.arange(first_block, first_block + len(when.value), dtype=np.int64)
    whole = (blocks * (BLOCK * step) - first).astype(np.float64)
    place = np.empty((len(blocks), 3))
    place[:, 0] = whole + step * (BLOCK - 1) / 2 - (when.value + late) * rate
    place[:, 1] = step * (1.0 - when.rate)
    place[:, 2] = -0.5 * step * when.acceleration / channel.sample_rate
    return first, place


def noise_cycles(
    channel: Channel, start: Epoch, first: int, place: Floats, when: Retardation
) -> Floats:
    """Return the phase of a wave about the channel's middle, shape (block, 3), cycles.

    e(t) = a(t) exp(2 pi i fc t), fc the middle of the band, so that the phase
    of a is turned by fc t - f0 r = (fc - f0) t - f0 D.
    """
    f0, rate = channel.sky_frequency, channel.sample_rate
    # (fc - f0) / grid rate: whole grid points are turned by whole quarters
    quarter = 0.0 if channel.zero == "middle" else 0.25 * channel.direction
    cycles = quarter * place
    cycles[:, 0] += quarter * (first % 4) - f0 * when.value - oscillator_start(channel, start)
    cycles[:, 1] -= f0 * when.rate / rate
    cycles[:, 2] -= 0.5 * f0 * when.acceleration / rate**2
    return cycles


@dataclass(frozen=True)
class Transmission:
    """When what is found at some readings was sent.

    Attributes
    ----------
    since : Fraction
        Start of the scan minus start of the signal's `light_time`, s.
    label : ndarray, shape (n,)
        Arrival at the geocentre, s since the start of the scan.
    path : ndarray, shape (n,)
        Light time minus that at its start, s.
    slope, bend : ndarray, shape (n,)
        Its derivatives by arrival.
    theta : ndarray, shape (n,)
        The transmitter's time since its start, s.
    """

    since: Fraction
    label: Floats
    path: Floats
    slope: Floats
    bend: Floats
    theta: Floats


def transmission(signal: SpacecraftSignal, start: Epoch, when: Retardation) -> Transmission:
    """Return when a spacecraft sent what is found at readings.

    Raises
    ------
    SpanError
        Where the light time does not cover them.
    """
    light_time = signal.light_time
    apart = float(start.since(light_time.start))
    exact = _exact(start) - _exact(light_time.start)
    exact += round(apart - float(exact))  # days are whole seconds
    label = when.reading - when.value
    at = apart + label
    path = path_change(light_time, at)
    slope, bend = light_time.at_offset(at, 1), light_time.at_offset(at, 2)
    return Transmission(exact, label, path, slope, bend, at - path)


def tone_cycles(
    channel: Channel,
    signal: SpacecraftSignal,
    tone: Tone,
    start: Epoch,
    when: Retardation,
    sent: Transmission,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a tone's phase in a channel, shape (block, 3), cycles, and whether it is inside.

    The phase is phi(t) - f0 r. Products of a frequency and a long time are
    formed as exact fractions, or of differences of frequencies. `sent` belongs to `when`.
    """
    exact, f0, rate = Fraction(tone.frequency), channel.sky_frequency, channel.sample_rate
    f, apart = float(exact), float(exact - Fraction(f0))
    begin = exact * sent.since % 1
    slope, theta, drift = sent.slope, sent.theta, signal.drift
    constant = float(begin) - oscillator_start(channel, start) + tone.phase
    phase = constant + apart * sent.label - f * sent.path - f0 * when.value
    phase += 0.5 * f * drift * theta**2
    by_label = apart - f * slope + f * drift * theta * (1.0 - slope)
    by_label2 = -f * sent.bend + f * drift * (1.0 - slope) ** 2
    by_reading = by_label * (1.0 - when.rate) - f0 * when.rate
    by_reading2 = by_label2 * (1.0 - when.rate) ** 2 - (by_label + f0) * when.acceleration
    cycles = np.stack([phase, by_reading / rate, 0.5 * by_reading2 / rate**2], axis=1)
    low, high = channel.sky_edges
    received = f0 + by_reading
    return cycles, (received > low) & (received < high)


def local_cycles(
    channel: Channel, tone: LocalTone, start: Epoch, first_block: int, blocks: int, late: float
) -> Floats:
    """Return the phase of a line of the station's own clock, shape (block, 3), cycles.

    `late` is the channel's delay after the mixer.
    """
    exact, f0, rate = Fraction(tone.frequency), channel.sky_frequency, channel.sample_rate
    apart = exact - Fraction(f0)
    begin = exact * _exact(start) - apart * Fraction(late) + Fraction(tone.phase)
    number = np.arange(first_block, first_block + blocks)
    cycles = np.zeros((blocks, 3))
    middle = (number * BLOCK + (BLOCK - 1) / 2) / rate
    cycles[:, 0] = float(begin % 1) + float(apart) * middle - oscillator_start(channel, start)
    cycles[:, 1] = float(apart) / rate
    return cycles


def oscillator_start(channel: Channel, start: Epoch) -> float:
    """Return the local oscillator's phase at the start, cycles; it is zero at a whole second."""
    return float(Fraction(channel.sky_frequency) * (_exact(start) % 1) % 1)


def _exact(epoch: Epoch) -> Fraction:
    """Return the second of the day; a whole nanosecond where the double is next to one."""
    second = float(epoch.to("utc").second)
    ticks = round(second * 1e9)
    meant = abs(second - ticks * 1e-9) < EPOCH_QUANTUM
    return Fraction(ticks, 10**9) if meant else Fraction(second)


def path_change(polynomial: PiecewisePolynomial, offset: Floats) -> Floats:
    """Return the value minus that at the start, with no rounding of large constants."""
    coefficients = polynomial.coefficients.copy()
    coefficients[:, 0] -= polynomial.coefficients[0, 0]
    changed = PiecewisePolynomial(polynomial.start, polynomial.interval, coefficients)
    return changed.at_offset(offset)


# -- noise that all stations see ---------------------------------------------------------


@dataclass(frozen=True)
class BandNoise:
    """Stationary complex Gaussian noise on a grid, whose band fills half of the grid's.

    Pieces of periodic noise with a sharp band follow each other, each faded
    into the next with cos and sin, whose squares add up to one. Real and
    imaginary part have variance 1. Any part of the sequence can be made alone.

    Attributes
    ----------
    key : tuple of int
        Two 32-bit words that settle all values.
    """

    key: tuple[int, int]

    def grid(self, first: int, count: int) -> tuple[Singles, Singles]:
        """Return real and imaginary part of grid points first .. first + count - 1."""
        begin = (first - _PIECE) // _HOP + 1
        end = (first + count - 1) // _HOP + 1
        spectra = np.empty((end - begin, _PIECE), dtype=np.complex64)
        half, quarter = _PIECE // 2, _PIECE // 4
        spectra[:, quarter : 3 * quarter + 1] = 0.0  # the bin at the edge has no partner
        numbers = np.empty(_PIECE, dtype=np.float32)
        for number, spectrum in zip(range(begin, end), spectra, strict=True):
            fill_gaussian(*self.key, number * (_PIECE // BLOCK), 1.0, numbers)
            values = numbers.view(np.complex64)
            spectrum[:quarter] = values[:quarter]
            spectrum[3 * quarter + 1 :] = values[quarter + 1 :]
        pieces = scipy.fft.ifft(spectra, axis=1, norm="forward", overwrite_x=True)
        window = np.ones(_PIECE)
        fade = np.sin(0.5 * np.pi * (np.arange(_FADE) + 0.5) / _FADE)
        window[:_FADE], window[-_FADE:] = fade, fade[::-1]
        window /= np.sqrt(half - 1)
        real, imag = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=np.float32)
        weights = window.astype(np.float32)
        crossfade(pieces.view(np.float32), weights, _HOP, first - begin * _HOP, real, imag)
        return real, imag
