"""What is multiplied: a channel's samples, segment by segment, with their phases."""

from __future__ import annotations

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
    N points is the Fourier sum of x exp(2 pi i (start + step n)), times
    exp(2 pi i turn k): every input then ascends in sky frequency from the band's
    lowest bin, k = 0.

    Attributes
    ----------
    stream : Stream
        The samples.
    conjugate : bool
        Whether complex samples are conjugated.
    samples : int
        In a segment.
    first : ndarray of int64, shape (segment,)
        First sample of each segment, counted from the stream's first.
    start, step : ndarray, shape (segment,)
        Cycles; step is a sample's.
    turn : ndarray, shape (segment,)
        Cycles a bin: what the whole-sample shift leaves.
    valid : ndarray of int64, shape (segment,)
        Number of valid samples.
    """

    stream: Stream
    conjugate: bool
    samples: int
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

    The rotation also brings the band's lowest bin to bin 0. A channel that descends
    in sky frequency is conjugated: for real samples that is a rotation the other way.
    """
    zero_of = band.inputs[0]
    zero = stations[zero_of.station].channel(zero_of).sky_frequency
    item = band.inputs[index]
    station = stations[item.station]
    channel, steering = station.channel(item), station.steering
    start, step = steering.phase(channel)
    distance = band.frequency(plan.bins, zero)[0] - channel.sky_frequency
    lowest = round(channel.direction * distance * plan.segment)
    turn = steering.rest / steering.samples
    return BandInput(
        stream=station.stream(item),
        conjugate=channel.direction == -1,
        samples=steering.samples,
        first=station.first,
        start=channel.direction * (start + turn * lowest),
        step=channel.direction * (step - lowest / steering.samples),
        turn=turn,
        valid=station.valid(item),
    )


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
