"""What is multiplied: a channel's samples, segment by segment, with their phases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate import _kernels
from kitestring.correlate.channels import Band
from kitestring.correlate.plan import Plan
from kitestring.correlate.samples import StationSamples, Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class BandInput:
    """One channel of one station for some segments.

    With samples x of a segment (their conjugate where `conjugate`), bin k of
    N points is the Fourier sum of x exp(2 pi i (start + step n)), n counting from the
    piece of a segment on that the sample is in, times exp(2 pi i turn k): every input
    then ascends in sky frequency from the band's lowest bin, k = 0.

    Attributes
    ----------
    stream : Stream
        The samples.
    conjugate : bool
        Whether complex samples are conjugated.
    samples, piece : int
        Samples in a segment, and in each of its pieces but the last.
    first : ndarray of int64, shape (segment,)
        First sample of each segment, counted from the stream's first. This array and the
        rows of those that follow are contiguous.
    start, step : ndarray, shape (piece, segment)
        Cycles; step is a sample's.
    turn : ndarray, shape (segment,)
        Cycles a bin: what the whole-sample shift leaves.
    valid : ndarray of int64, shape (segment,), or None
        Number of valid samples; None where all are.
    """

    stream: Stream
    conjugate: bool
    samples: int
    piece: int
    first: Integers
    start: Floats
    step: Floats
    turn: Floats
    valid: Integers | None

    @property
    def parts(self) -> int:
        """1 of real samples, 2 of complex ones."""
        return self.stream.form[1]


def band_input(
    plan: Plan, band: Band, index: int, stations: Mapping[int, StationSamples]
) -> BandInput:
    """Return an input of a band for all segments of a chunk.

    Beside delay tracking the rotation brings the band's lowest bin to bin 0. Channels of
    one band may have different zeros: what their oscillators differ by turns with the
    label, counted from the beginning of the UTC day that the correlation begins in. A
    channel that descends in sky frequency is conjugated: for real samples that is a
    rotation the other way.
    """
    item = band.inputs[index]
    station = stations[item.station]
    channel, steering = station.channel(item), station.steering
    above = channel.sky_frequency - band.zero  # Hz
    whole, within = math.floor(plan.start.second), plan.placements[item.station].within
    each = _rest(above * plan.segment)
    start, step = steering.turns(
        channel.sky_frequency,
        band.middle,
        shift=above * plan.segment - band.first_bin(plan.bins(band)),
        constant=_rest(above * within) + _rest(_rest(above) * whole) + each * station.origin,
        each=each,
    )
    return BandInput(
        stream=station.stream(item),
        conjugate=channel.direction == -1,
        samples=steering.samples,
        piece=steering.piece,
        first=station.first,
        start=start,
        step=step,
        turn=steering.turn,
        valid=station.valid(item),
    )


def _rest(cycles: float) -> float:
    return cycles - round(cycles)


def cut(item: BandInput, segments: slice) -> BandInput:
    """Return an input for some of its segments."""
    return replace(
        item,
        first=item.first[segments],
        start=item.start[:, segments],
        step=item.step[:, segments],
        turn=item.turn[segments],
        valid=None if item.valid is None else item.valid[segments],
    )


@dataclass(frozen=True)
class Work:
    """Inputs that are multiplied with each other.

    Attributes
    ----------
    inputs : list of BandInput
        All of the same segments.
    bins : int
        Bins, from bin 0 of each input's transform on.
    pairs : ndarray of int64, shape (pair, 2)
        Indices of the inputs of each product.
    """

    inputs: list[BandInput]
    bins: int
    pairs: Integers


def count_pairs(work: Work, part: tuple[int, int]) -> Floats:
    """Return the segments' worth of samples valid at both ends of each pair, of one part."""
    low, stop = part
    if all(item.valid is None for item in work.inputs):
        return np.full(len(work.pairs), float(stop - low))
    inputs = [cut(item, slice(low, stop)) for item in work.inputs]
    result = np.empty(len(work.pairs))
    for p, (i, j) in enumerate(work.pairs):
        one, two = inputs[i], inputs[j]
        result[p] = _kernels.count_both(
            one.stream.runs, one.first, _counts(one), one.samples,
            two.stream.runs, two.first, _counts(two), two.samples,
        )  # fmt: skip
    return result


def _counts(item: BandInput) -> Integers:
    if item.valid is None:
        return np.full(len(item.first), item.samples, dtype=np.int64)
    return item.valid
