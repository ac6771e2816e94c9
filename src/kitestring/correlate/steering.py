"""Delay tracking: which samples make a segment, and by how much their phase is turned.

A wave that passes the geocentre at t has, in a channel whose baseband zero is
at sky frequency f0, the baseband signal s(t) = e(t) exp(-2 pi i f0 t). The
station finds it when its clock reads u = t + T(t), T = delay + clock, and its
local oscillators run on that clock, so it records

    b(u) = s(t) exp(-2 pi i f0 T(t))            (conjugated for direction -1).

For labels t_k = t_mid + x_k of a segment the samples taken are those of the
readings u_k = t_k + T_mid - e, e being the less-than-half-sample rest of a
whole-sample shift. They belong to t'_k = t_k - e - T' x_k, so

    s(t'_k) = b(u_k) exp(+2 pi i f0 T(t'_k)).

What is left between t'_k and t_k is e, undone after the FFT by a ramp of phase
over the band, and T' x_k, undone at the middle of the band along with the
rotation. At the band's edges it leaves up to T' bins / 4 cycles, odd about the
segment's middle: 0.0002 cycle for 256 bins and a T' of 3e-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate import _kernels
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Channel, Recording

if TYPE_CHECKING:
    from kitestring.correlate.plan import Chunk, Plan

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Steering:
    """How a station's samples are placed for each segment of a chunk.

    Attributes
    ----------
    first : ndarray of int64, shape (segment,)
        Index of the first sample, counted from `Recording.start`.
    rest : ndarray, shape (segment,)
        What the whole-sample shift leaves, samples, -0.5 to 0.5: the samples
        are this much too early.
    delay, rate, acceleration : ndarray, shape (segment,)
        delay + clock (s) at the segment's middle, and its derivatives.
    samples : int
        Samples in a segment.
    sample_rate : float
        Samples per second.
    """

    first: NDArray[np.int64]
    rest: Floats
    delay: Floats
    rate: Floats
    acceleration: Floats
    samples: int
    sample_rate: float

    def phase(self, channel: Channel) -> tuple[Floats, Floats]:
        """Return the phase that a channel's samples are to be turned by.

        Returns
        -------
        start : ndarray, shape (segment,)
            Phase of the first sample, cycles, -0.5 to 0.5.
        step : ndarray, shape (segment,)
            Cycles per sample. Over a segment phase is linear: the next term is
            below 1e-6 cycle for stations on Earth and segments to 1 ms.
        """
        low, high = channel.sky_edges
        start, step = np.empty_like(self.rest), np.empty_like(self.rest)
        _kernels.segment_phases(
            self.delay, self.rate, self.acceleration, self.rest, self.samples, self.sample_rate,
            channel.sky_frequency, (low + high) / 2 - channel.sky_frequency, channel.direction,
            start, step,
        )  # fmt: skip
        return start, step


@dataclass(frozen=True)
class Placement:
    """What places a station's samples, the same for a whole correlation.

    Attributes
    ----------
    whole, rest : int, float
        The first label's place among the recording's samples, in samples.
    within : float
        The first label, seconds after a whole second.
    delay, clock : PiecewisePolynomial
        The station's model.
    begin : (float, float)
        Seconds from the start of `delay` and of `clock` to the whole second before
        the first label.
    """

    whole: int
    rest: float
    within: float
    delay: PiecewisePolynomial
    clock: PiecewisePolynomial
    begin: tuple[float, float]


def place(recording: Recording, model: StationDelay, start: Epoch) -> Placement:
    """Return how a recording is placed in a correlation whose first label is `start` (UTC)."""
    origin = Epoch("utc", start.day, np.floor(start.second))
    within = float(start.second - origin.second)
    whole, rest = _label_in_samples(recording, origin, within)
    begin = (float(origin.since(model.delay.start)), float(origin.since(model.clock.start)))
    return Placement(whole, rest, within, model.delay, model.clock, begin)


def steer(plan: Plan, station: int, chunk: Chunk) -> Steering:
    """Return the steering of one station's segments.

    Raises
    ------
    SpanError
        Where the delay model does not cover the chunk.
    """
    placed = plan.placements[station]
    samples = plan.samples(station)
    rate = plan.recordings[station].sample_rate
    count = chunk.segments
    found = Steering(
        first=np.empty(count, dtype=np.int64),
        rest=np.empty(count),
        delay=np.empty(count),
        rate=np.empty(count),
        acceleration=np.empty(count),
        samples=samples,
        sample_rate=rate,
    )
    segments = chunk.first + np.arange(count, dtype=np.float64)
    middles: Floats = placed.within + (segments * samples + samples / 2) / rate
    for low, high in _one_piece(placed, middles):
        about = float(middles[(low + high) // 2])
        _kernels.place_segments(
            _taylor(placed, about), middles[low:high] - about, placed.whole, placed.rest,
            chunk.first + low, samples, rate, found.first[low:high], found.rest[low:high],
            found.delay[low:high], found.rate[low:high], found.acceleration[low:high],
        )  # fmt: skip
    return found


def _one_piece(placed: Placement, middles: Floats) -> list[tuple[int, int]]:
    """Cut segments where a polynomial of the model ends."""
    edges = {0, len(middles)}
    for poly, begin in zip((placed.delay, placed.clock), placed.begin, strict=True):
        poly.at_offset(begin + middles[[0, -1]])  # SpanError here, not silently clipped
        first = int((begin + middles[0]) // poly.interval)
        last = int((begin + middles[-1]) // poly.interval)
        for piece in range(first + 1, last + 1):
            edges.add(int(np.searchsorted(middles, piece * poly.interval - begin)))
    return list(pairwise(sorted(edges)))


def _taylor(placed: Placement, about: float) -> Floats:
    """Return the coefficients of delay + clock in seconds from `about`, ascending."""
    orders = [poly.coefficients.shape[1] for poly in (placed.delay, placed.clock)]
    result = np.zeros(max(*orders, 3))
    for poly, begin in zip((placed.delay, placed.clock), placed.begin, strict=True):
        at = np.array([begin + about])
        for k in range(poly.coefficients.shape[1]):
            result[k] += poly.at_offset(at, k)[0] / math.factorial(k)
    return result


def _label_in_samples(recording: Recording, origin: Epoch, within: float) -> tuple[int, float]:
    """Return the label `within` seconds after `origin` as a sample index: whole and rest."""
    rate = recording.sample_rate
    start = recording.start.to("utc")
    start_second = Epoch("utc", start.day, np.floor(start.second))
    seconds = round(float(origin.since(start_second)))
    parts = [
        seconds * rate,
        _near_whole(within * rate, rate),
        -_near_whole(float(start.second - start_second.second) * rate, rate),
    ]
    whole = [int(np.floor(p)) for p in parts]
    return sum(whole), sum(p - w for p, w in zip(parts, whole, strict=True))


def _near_whole(samples: float, rate: float) -> float:
    # sample epochs lie a whole number of samples apart, to what an epoch resolves
    nearest = round(samples)
    return float(nearest) if abs(samples - nearest) < EPOCH_QUANTUM * rate else samples
