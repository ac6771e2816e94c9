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
        First sample of each segment, counted from the stream's first.
    start, step : ndarray, shape (segment, piece)
        Cycles; step is a sample's.
    turn : ndarray, shape (segment,)
        Cycles a bin: what the whole-sample shift leaves.
    valid : ndarray of int64, shape (segment,)
        Number of valid samples.
    """

    stream: Stream
    conjugate: bool
    samples: int
    piece: int
    first: Integers
    start: Floats
    step: Floats
    turn: Floats
    valid: Integers

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
    start, step = steering.phase(channel.sky_frequency, band.middle)
    turn = steering.rest / steering.samples
    above = channel.sky_frequency - band.zero  # Hz
    shift = above * plan.segment - band.first_bin(plan.bins(band))  # bins
    segments = station.origin + np.arange(len(turn))
    whole, within = math.floor(plan.start.second), plan.placements[item.station].within
    constant = _rest(above * within) + _rest(_rest(above) * whole) - turn * shift
    constant += _rest(above * plan.segment) * segments
    along = np.arange(start.shape[1]) * (steering.piece / steering.samples)
    start += np.rint(-constant)[:, np.newaxis] + constant[:, np.newaxis] + shift * along
    step += shift / steering.samples
    return BandInput(
        stream=station.stream(item),
        conjugate=channel.direction == -1,
        samples=steering.samples,
        piece=steering.piece,
        first=station.first,
        start=start,
        step=step,
        turn=turn,
        valid=station.valid(item),
    )


def _rest(cycles: float) -> float:
    return cycles - round(cycles)


def cut(item: BandInput, segments: slice) -> BandInput:
    """Return an input for some of its segments."""
    return replace(
        item,
        first=item.first[segments],
        start=item.start[segments],
        step=item.step[segments],
        turn=item.turn[segments],
        valid=item.valid[segments],
    )


def connected(band: Band) -> list[list[int]]:
    """Return the groups of a band's inputs that are multiplied with each other.

    Equal polarisations alone are two groups: nothing is computed between them.
    """
    label = list(range(len(band.inputs)))
    for _, _, i, j in band.pairs:
        low, high = sorted((label[i], label[j]))
        label = [low if x == high else x for x in label]
    used = set(band.pairs[:, 2:].ravel().tolist())
    return [[i for i in sorted(used) if label[i] == x] for x in sorted({label[i] for i in used})]


def count_pairs(inputs: list[BandInput], pairs: Integers) -> Floats:
    """Return the segments' worth of samples valid at both ends of each pair."""
    result = np.empty(len(pairs))
    for p, (i, j) in enumerate(pairs):
        one, two = inputs[i], inputs[j]
        result[p] = _kernels.count_both(
            one.stream.runs, one.first, one.valid, one.samples,
            two.stream.runs, two.first, two.valid, two.samples,
        )  # fmt: skip
    return result
