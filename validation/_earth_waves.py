"""Stations on the turning Earth, and noise-free signals whose samples are known at any epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel

START = Epoch.from_iso("2026-03-01T10:00:00")
SKY = 8.4e9
BEFORE = 10.0  # s that delays begin before START
SPAN = 120.0  # s

EARTH_TURN, LIGHT = 7.292115e-5, 299792458.0
# distance from the axis and along it (m), longitude (rad); clock offset and rate
STATIONS = {
    "AA": (5.512e6, 3.20e6, 0.3, 2.3e-7, 1.1e-12),
    "BB": (5.120e6, 3.78e6, 1.1, -4.1e-7, -3.0e-12),
    "CC": (4.601e6, 4.40e6, 2.0, 1.7e-6, 6.0e-13),
}
DECLINATION = -0.31


def delay_of(station: str) -> StationDelay:
    """Return a station's delay and clock: Taylor series of a turning Earth, 10 s each."""
    out, along, longitude, offset, rate = STATIONS[station]
    pieces = []
    for k in range(int((SPAN + 2 * BEFORE) / 10.0)):
        angle = longitude + EARTH_TURN * 10.0 * k
        row = [-along * math.sin(DECLINATION) / LIGHT] + [0.0] * 5
        for n in range(6):
            turned = math.cos(angle + n * math.pi / 2) * EARTH_TURN**n / math.factorial(n)
            row[n] -= out * math.cos(DECLINATION) / LIGHT * turned
        pieces.append(row)
    begin = START.shifted(-BEFORE)
    clock = PiecewisePolynomial(begin, SPAN + 2 * BEFORE, np.array([[offset, rate]]))
    return StationDelay(PiecewisePolynomial(begin, 10.0, np.array(pieces)), clock)


def model_of(stations: Sequence[str], names: Sequence[str] | None = None) -> DelayModel:
    """Return the model of some stations (under other names)."""
    known = zip(names or stations, stations, strict=True)
    return DelayModel("scan", "J1230+1223", {name: delay_of(s) for name, s in known})


def total(station: str, seconds: np.ndarray) -> np.ndarray:
    """Return delay + clock at seconds after START, in the precision of `seconds`."""
    truth, kind = delay_of(station), seconds.dtype
    value = np.zeros_like(seconds)
    for poly in (truth.delay, truth.clock):
        since = seconds + kind.type(BEFORE)
        piece = np.floor(since / kind.type(poly.interval)).astype(np.int64)
        t = since - piece * kind.type(poly.interval)
        rows = poly.coefficients.astype(kind)
        part = np.zeros_like(seconds)
        for power in range(rows.shape[1] - 1, -1, -1):
            part = part * t + rows[piece, power]
        value += part
    return value


def label_of(station: str, reading: np.ndarray) -> np.ndarray:
    """Return the label t with t + T(t) = reading, all in seconds after START."""
    t = reading - total(station, reading)
    for _ in range(3):  # each gains a factor of T', 1e-6
        t = reading - total(station, t)
    return t


def turn(cycles: np.ndarray) -> np.ndarray:
    """Return exp(2 pi i cycles)."""
    rest = (cycles - np.rint(cycles)).astype(np.float64)
    return np.exp(2j * np.pi * rest)


def make_channel(kind: str, low: float, width: float, name: str) -> Channel:
    """Return a channel of a kind over low ... low + width: usb, lsb, edge, edge-, middle, ..."""
    if kind in ("usb", "lsb"):
        up = kind == "usb"
        return Channel(name, low if up else low + width, 1 if up else -1, 2 * width)
    up = not kind.endswith("-")
    zero = "edge" if kind.startswith("edge") else "middle"
    at = low + width / 2 if zero == "middle" else (low if up else low + width)
    return Channel(name, at, 1 if up else -1, width, True, zero=zero)


REACH, WIDTH = 8, 1.37  # taps to either side; the pulse's standard deviation in taps


@dataclass(frozen=True)
class Waves:
    """A noise-free recording whose samples are computed at their true epochs when they are read.

    The wave is a train of Gaussian pulses of random amplitudes, 1 / bandwidth apart: noise
    in which every epoch is defined, whose spectrum falls to 1e-4 at the edges of the band.
    Or it consists of lines, so many to a band from its lower edge on.
    """

    station: str
    channels: tuple[Channel, ...]
    lines: int = 0
    start: Epoch = START
    stop: Epoch = field(default_factory=lambda: START.shifted(SPAN))
    bits: int = 32

    @property
    def sample_rate(self) -> float:
        """Samples per second."""
        return self.channels[0].sample_rate

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return samples from index `first` on, as `Recording.read`."""
        chosen = range(len(self.channels)) if channels is None else channels
        readings = (first + np.arange(count)) / self.sample_rate
        epochs = label_of(self.station, readings)
        delay = total(self.station, epochs)
        kind = np.complex64 if self.channels[0].complex else np.float32
        rows = np.array(
            [samples(self.channels[c], self.lines, epochs, delay) for c in chosen], dtype=kind
        )
        return Block(first, rows, np.ones(rows.shape, dtype=bool))


def samples(channel: Channel, lines: int, epochs: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Return what a channel records of the wave at epochs that were so much delayed."""
    low, high = channel.sky_edges
    seed = round(low / 1e3)
    if lines:
        zero, signal = low, comb(seed, lines, epochs * ((high - low) / lines))
    else:
        zero, signal = (low + high) / 2, pulses(seed, epochs * (high - low))
    signal *= turn((zero - channel.sky_frequency) * epochs)
    signal *= turn(-channel.sky_frequency * delay)
    if channel.direction < 0:
        signal = signal.conj()
    return signal if channel.complex else signal.real


def comb(seed: int, lines: int, places: np.ndarray) -> np.ndarray:
    """Return the sum of lines of 1, 2, 3 ... cycles; those near the band's edges are left out."""
    step, signal = turn(places), np.zeros(len(places), dtype=complex)
    edge = lines // 20
    for height in amplitudes(seed, 0, lines - 2 * edge):  # from the highest, by Horner's rule
        signal *= step
        signal += height
    return signal * turn(edge * places)


def pulses(seed: int, places: np.ndarray) -> np.ndarray:
    """Return the sum of all pulses at places that count in taps."""
    nearest = np.rint(places).astype(np.int64)
    origin = int(nearest.min()) - REACH
    heights = amplitudes(seed, origin, int(nearest.max()) + REACH + 1)
    x, index = places - nearest, nearest - origin
    narrow = 0.5 / WIDTH**2
    signal = np.zeros(len(places), dtype=complex)
    for tap in range(-REACH, REACH + 1):
        signal += np.exp(-narrow * (x - tap) ** 2) * heights[index + tap]
    return signal


TAPS = 1 << 16


@lru_cache(maxsize=64)
def some_amplitudes(seed: int, block: int) -> np.ndarray:
    """Return the amplitudes of a block of pulses."""
    parts = np.random.default_rng([seed, block + 10]).standard_normal((TAPS, 2))
    return np.asarray(parts[:, 0] + 1j * parts[:, 1])


def amplitudes(seed: int, first: int, stop: int) -> np.ndarray:
    """Return the amplitudes of the pulses first ... stop; few lie before START."""
    low = first // TAPS
    blocks = [some_amplitudes(seed, k) for k in range(low, (stop - 1) // TAPS + 1)]
    return np.concatenate(blocks)[first - low * TAPS : stop - low * TAPS]
