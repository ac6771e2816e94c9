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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.plan import Chunk, Plan
from kitestring.model.polynomials import PiecewisePolynomial
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Channel, Recording

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
        middle = (low + high) / 2 - channel.sky_frequency
        shift = -self.rest / self.sample_rate
        at_middle = channel.sky_frequency * (
            self.delay + shift * (self.rate + 0.5 * shift * self.acceleration)
        )
        slope = (
            channel.sky_frequency * (self.rate * (1.0 - self.rate) + shift * self.acceleration)
            + middle * self.rate
        ) / self.sample_rate
        start = at_middle - slope * (self.samples / 2)
        start -= np.rint(start)
        return channel.direction * start, channel.direction * slope


def steer(plan: Plan, station: int, chunk: Chunk) -> Steering:
    """Return the steering of one station's segments.

    Raises
    ------
    SpanError
        Where the delay model does not cover the chunk.
    """
    recording = plan.recordings[station]
    samples = plan.samples(station)
    rate = recording.sample_rate
    origin = Epoch("utc", plan.start.day, np.floor(plan.start.second))
    within = float(plan.start.second - origin.second)
    segments = chunk.first + np.arange(chunk.segments, dtype=np.int64)
    middle = np.asarray(within + (segments * samples + samples / 2) / rate, dtype=np.float64)
    model = plan.model.stations[recording.station]

    def total(derivative: int) -> Floats:
        return _at(model.delay, origin, middle, derivative) + _at(
            model.clock, origin, middle, derivative
        )

    delay = total(0)
    whole, rest = _label_in_samples(recording, origin, within)
    place = rest + delay * rate
    shift = np.rint(place)
    return Steering(
        first=whole + segments * samples + shift.astype(np.int64),
        rest=place - shift,
        delay=delay,
        rate=total(1),
        acceleration=total(2),
        samples=samples,
        sample_rate=rate,
    )


def _at(poly: PiecewisePolynomial, origin: Epoch, seconds: Floats, derivative: int) -> Floats:
    return poly.at_offset(float(origin.since(poly.start)) + seconds, derivative)


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
