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
from itertools import pairwise
from typing import TYPE_CHECKING

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
    delay, rate, acceleration : ndarray, shape (segment, piece)
        delay + clock (s) at the middle of each piece of a segment, and its derivatives.
    since : ndarray, shape (segment, piece)
        What delay + clock has grown by since the segment's middle, s.
    broken : ndarray of bool, shape (segment,)
        Whether a clock jumps within the segment: its samples belong to no one place.
    samples, piece : int
        Samples in a segment and in a piece; the last piece may be shorter.
    sample_rate : float
        Samples per second.
    """

    first: NDArray[np.int64]
    rest: Floats
    delay: Floats
    rate: Floats
    acceleration: Floats
    since: Floats
    broken: NDArray[np.bool_]
    samples: int
    piece: int
    sample_rate: float

    def phase(self, zero: float, middle: float) -> tuple[Floats, Floats]:
        """Return the phase that samples are to be turned by, for ascending sky frequency.

        Parameters
        ----------
        zero : float
            Sky frequency of the channel's baseband zero, Hz.
        middle : float
            Sky frequency at which nothing is left over, Hz: the band's middle.

        Returns
        -------
        start : ndarray, shape (segment, piece)
            Phase of a piece's first sample, cycles, -0.5 to 0.5.
        step : ndarray, shape (segment, piece)
            Cycles per sample.
        """
        start, step = np.empty_like(self.delay), np.empty_like(self.delay)
        _kernels.segment_phases(
            self.delay, self.rate, self.acceleration, self.since, self.rest, self.samples,
            self.piece, self.sample_rate, zero, middle - zero, start, step,
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
    segments = chunk.first + np.arange(chunk.segments, dtype=np.float64)
    begins: Floats = placed.within + segments * samples / sample_rate
    delay, rate, acceleration = _follow(placed, begins + samples / 2 / sample_rate)
    first, rest = np.empty(chunk.segments, dtype=np.int64), np.empty(chunk.segments)
    _kernels.place_segments(
        delay, placed.whole, placed.rest, chunk.first, samples, sample_rate, first, rest
    )
    piece = -(-samples // math.ceil(samples / sample_rate / PIECE))
    if piece == samples:
        pieces = [x[:, np.newaxis] for x in (delay, rate, acceleration, np.zeros_like(delay))]
    else:
        edges = np.minimum(np.arange(-(-samples // piece) + 1) * piece, samples) / sample_rate
        middles = begins[:, np.newaxis] + (edges[1:] + edges[:-1]) / 2
        pieces = [x.reshape(middles.shape) for x in _follow(placed, middles.ravel())]
        pieces.append(pieces[0] - delay[:, np.newaxis])
    delay, rate, acceleration, since = pieces
    return Steering(
        first,
        rest,
        delay,
        rate,
        acceleration,
        since,
        _broken(placed, begins, samples / sample_rate),
        samples,
        piece,
        sample_rate,
    )


def _broken(placed: Placement, begins: Floats, length: float) -> NDArray[np.bool_]:
    """Tell in which segments delay + clock jumps, where two pieces of the model meet."""
    broken = np.zeros(len(begins), dtype=np.bool_)
    first, last = float(begins[0]), float(begins[-1]) + length
    for poly, begin in zip((placed.delay, placed.clock), placed.begin, strict=True):
        rows, span = poly.coefficients, poly.interval
        low = max(math.floor((begin + first) / span) + 1, 1)
        high = min(math.ceil((begin + last) / span) - 1, len(rows) - 1)
        if low > high:
            continue
        ends = np.polynomial.polynomial.polyval(span, rows[low - 1 : high].T)
        jumps = np.flatnonzero(np.abs(rows[low : high + 1, 0] - ends) > JUMP)
        since = np.asarray((low + jumps) * span - begin - first, dtype=np.float64)
        segment = since // length
        into = since - segment * length
        # at a segment's edge, to what epochs are rounded to, nothing is broken
        within = (into > EPOCH_QUANTUM) & (into < length - EPOCH_QUANTUM)
        broken[segment[within].astype(np.int64)] = True
    return broken


def _follow(placed: Placement, at: Floats) -> list[Floats]:
    """Return delay + clock at ascending times (s after `within`'s second), and derivatives."""
    found = [np.empty_like(at) for _ in range(3)]
    for low, high in _one_piece(placed, at):
        about = float(at[(low + high) // 2])
        _kernels.evaluate(
            _taylor(placed, about), at[low:high] - about, *(x[low:high] for x in found)
        )
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
