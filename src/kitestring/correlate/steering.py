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

Over a long segment (narrow channels, zoom bands) the phase bends. It is therefore
laid in pieces, the phase being linear in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate import _kernels
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Recording

if TYPE_CHECKING:
    from kitestring.correlate.plan import Chunk, Plan

Floats = NDArray[np.float64]


JUMP = 1e-11
"""From how many seconds on two pieces of a model that do not meet are taken for a jump."""
PIECE = 4e-3
"""Longest piece of linear phase, s: for stations on Earth the next term stays below 2e-6 cycle
at 8.4 GHz."""


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
    turn : ndarray, shape (segment,)
        The same in cycles a bin.
    delay, rate, acceleration : ndarray, shape (piece, segment)
        delay + clock (s) at the middle of each piece of a segment, and its derivatives.
    since : ndarray, shape (piece, segment)
        What delay + clock has grown by since the segment's middle, s.
    broken : ndarray of bool, shape (segment,), or None
        Whether a clock jumps within the segment: its samples belong to no one place.
        None where it does in no segment.
    samples, piece : int
        Samples in a segment and in a piece; the last piece may be shorter.
    sample_rate : float
        Samples per second.
    """

    first: NDArray[np.int64]
    rest: Floats
    turn: Floats
    delay: Floats
    rate: Floats
    acceleration: Floats
    since: Floats
    broken: NDArray[np.bool_] | None
    samples: int
    piece: int
    sample_rate: float

    def turns(
        self, zero: float, middle: float, shift: float = 0.0, constant: float = 0.0,
        each: float = 0.0,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Return the phase that samples are to be turned by, for ascending sky frequency.

        Parameters
        ----------
        zero : float
            Sky frequency of the channel's baseband zero, Hz.
        middle : float
            Sky frequency at which nothing is left over, Hz: the band's middle.
        shift : float
            Bins to move the spectrum by, as seen at the labels.
        constant, each : float
            Cycles to add at the first segment, and more from one segment to the next.

        Returns
        -------
        start : ndarray, shape (piece, segment)
            Phase of a piece's first sample, cycles.
        step : ndarray, shape (piece, segment)
            Cycles per sample.
        """
        start, step = np.empty_like(self.delay), np.empty_like(self.delay)
        a_sample = shift / self.samples
        for p in range(len(start)):
            before = p * self.piece
            _kernels.turn_segments(
                self.delay[p], self.rate[p], self.acceleration[p], self.since[p], self.rest,
                min(self.piece, self.samples - before), self.sample_rate, zero, middle - zero,
                a_sample, constant + before * a_sample, each, start[p], step[p],
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


def place(
    recordings: Sequence[Recording], models: Sequence[StationDelay], start: Epoch
) -> tuple[Placement, ...]:
    """Return how recordings are placed in a correlation whose first label is `start` (UTC)."""
    origin = Epoch("utc", start.day, np.floor(start.second))
    within = float(start.second - origin.second)
    for rate in sorted({r.sample_rate for r in recordings}):
        # a label on anyone's grid of samples is taken as exact, for all alike
        nearest = _near_whole(within * rate, rate) / rate
        if nearest != within:
            within = nearest
            break
    placed = []
    for recording, model in zip(recordings, models, strict=True):
        whole, rest = _label_in_samples(recording, origin, within)
        begin = (float(origin.since(model.delay.start)), float(origin.since(model.clock.start)))
        placed.append(Placement(whole, rest, within, model.delay, model.clock, begin))
    return tuple(placed)


def steer(plan: Plan, station: int, chunk: Chunk) -> Steering:
    """Return the steering of one station's segments.

    Raises
    ------
    SpanError
        Where the delay model does not cover the chunk.
    """
    placed = plan.placements[station]
    samples = plan.samples(station)
    sample_rate = plan.recordings[station].sample_rate
    count, length = chunk.segments, samples / sample_rate
    begin = placed.within + chunk.first * length
    last = begin + (count - 1) * length
    for poly, offset in zip((placed.delay, placed.clock), placed.begin, strict=True):
        if offset + begin < 0.0 or offset + last + length > poly.interval * len(poly.coefficients):
            poly.at_offset(offset + np.array([begin, last]) + length / 2)  # raises SpanError
    delay, rate, acceleration = _follow(placed, begin + length / 2, length, count)
    first, rest, turn = np.empty(count, dtype=np.int64), np.empty(count), np.empty(count)
    _kernels.place_segments(
        delay,
        placed.whole,
        placed.rest,
        chunk.first,
        samples,
        sample_rate,
        first,
        rest,
        turn,
    )
    piece = -(-samples // math.ceil(length / PIECE))
    pieces = -(-samples // piece)
    if pieces == 1:
        parts = [x[np.newaxis] for x in (delay, rate, acceleration)]
        since = np.zeros((1, count))
    else:
        edges = np.minimum(np.arange(pieces + 1) * piece, samples) / sample_rate
        middles = (edges[1:] + edges[:-1]) / 2
        found = [_follow(placed, begin + m, length, count) for m in middles.tolist()]
        parts = [np.array(x) for x in zip(*found, strict=True)]
        since = parts[0] - delay
    broken = _broken(placed, begin, length, count)
    return Steering(
        first, rest, turn, parts[0], parts[1], parts[2], since, broken, samples, piece, sample_rate
    )


def _follow(placed: Placement, first: float, step: float, count: int) -> tuple[Floats, ...]:
    """Return delay + clock at times first + i step (s after `within`'s second), and derivatives."""
    found = np.empty(count), np.empty(count), np.empty(count)
    _kernels.follow(
        placed.delay.coefficients, placed.delay.interval, placed.begin[0],
        placed.clock.coefficients, placed.clock.interval, placed.begin[1],
        first, step, *found,
    )  # fmt: skip
    return found


def jumps_of(placed: Placement, begin: float, end: float) -> Floats:
    """Return when delay + clock jumps between two times: where pieces of the model do not meet.

    All in seconds after the whole second before the first label.
    """
    found: list[NDArray[Any]] = [np.zeros(0)]
    for poly, offset in zip((placed.delay, placed.clock), placed.begin, strict=True):
        rows, span = poly.coefficients, poly.interval
        low = max(math.floor((offset + begin) / span) + 1, 1)
        high = min(math.ceil((offset + end) / span) - 1, len(rows) - 1)
        if low <= high:
            ends = np.polynomial.polynomial.polyval(span, rows[low - 1 : high].T)
            apart = np.abs(rows[low : high + 1, 0] - ends)
            found.append(np.asarray((low + np.flatnonzero(apart > JUMP)) * span - offset))
    return np.asarray(np.sort(np.concatenate(found)), dtype=np.float64)


def _broken(placed: Placement, begin: float, length: float, count: int) -> NDArray[np.bool_] | None:
    """Tell in which segments delay + clock jumps."""
    since = jumps_of(placed, begin, begin + count * length) - begin
    segment = since // length
    into = since - segment * length
    # at a segment's edge, to what epochs are rounded to, nothing is broken
    within = (into > EPOCH_QUANTUM) & (into < length - EPOCH_QUANTUM)
    if not within.any():
        return None
    broken = np.zeros(count, dtype=np.bool_)
    broken[segment[within].astype(np.int64)] = True
    return broken


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
