"""What a correlation consists of, cut into chunks: the one interface of all engines.

An engine is a function ``engine(plan, chunk) -> ChunkSums`` that depends on
its two arguments and on nothing else. The CPU engine of this package is
`kitestring.correlate.engine.correlate_chunk`; others (a GPU, a cluster, a live
stream) take the same chunks and return the same sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.channels import Band, Matching, Products, match_channels
from kitestring.correlate.quantisation import COUNTED_BITS, check_quantisation
from kitestring.correlate.steering import Placement, jumps_of, place
from kitestring.correlate.types import Quantisation
from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.recordings.types import Recording

CHUNK_SAMPLES = 1 << 24
"""Samples of all stations and channels together in a chunk: 64 MiB of float32."""
SUMS_BYTES = 1 << 21
"""Most bytes of sums of a chunk of more than one integration."""
MOST_SAMPLES = 1 << 24
"""Most samples in a segment."""
WHOLE_BATCHES = 64
"""Where an integration is cut, it is cut at multiples of so many segments."""


@dataclass(frozen=True)
class Part:
    """A span of segments inside one integration.

    Attributes
    ----------
    integration : int
        Index of the integration that it belongs to.
    first : int
        Its first segment, counted from `Plan.start`.
    segments : int
        Number of segments.
    """

    integration: int
    first: int
    segments: int


@dataclass(frozen=True)
class Chunk:
    """The unit of work: several short integrations, or a piece of a long one.

    Attributes
    ----------
    parts : tuple of Part
        One after another without gaps, each of another integration.
    """

    parts: tuple[Part, ...]

    @property
    def first(self) -> int:
        """First segment, counted from `Plan.start`."""
        return self.parts[0].first

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(part.segments for part in self.parts)


@dataclass(frozen=True)
class States:
    """How often each value of the samples of a band's inputs occurred.

    Attributes
    ----------
    levels : ndarray of float64, shape (input, state)
        The values; NaN where an input has fewer of them, or none that are counted.
    counts : ndarray of int64, shape (part, input, state)
        How many valid samples in the segments of a part have each, real and imaginary
        parts of complex ones alike. For gains some of them
        are enough, from all over it; for the correction of van Vleck all are counted.
    """

    levels: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class ChunkSums:
    """What an engine makes of a chunk.

    Attributes
    ----------
    spectra : tuple of ndarray of complex128, one for each band, shape (part, pair, bin)
        Sums over segments of X1 conj(X2), in the order of `Band.pairs`, bins
        in ascending sky frequency, X the plain (unscaled) Fourier sum over a
        segment with invalid samples as zeros.
    counts : tuple of ndarray of float64, one for each band, shape (part, pair)
        Segments' worth of samples that were valid at both ends.
    states : tuple of States, one for each band
        Of the inputs of stations that `Plan.counted` names. May be empty where it names none.
    """

    spectra: tuple[NDArray[np.complex128], ...]
    counts: tuple[NDArray[np.float64], ...]
    states: tuple[States, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that is the same for all chunks of a correlation.

    Segment m covers the labels ``start + m * segment`` to
    ``start + (m + 1) * segment``; a label is the UTC at which a wavefront
    passes the geocentre.

    Attributes
    ----------
    recordings : tuple of Recording
        One for each station; `Recording.read` is called from several threads.
    model : DelayModel
        Delays and clocks to remove.
    start : Epoch, shape ()
        Label of the first sample, UTC.
    segment : float
        Length of a segment, s: the inverse of the resolution of all bands.
    baselines : tuple of (str, str)
        Station pairs.
    matching : Matching
        Bands and what could not be matched.
    placements : tuple of Placement
        Where each station's samples are.
    chunks : tuple of Chunk
        In order; chunk edges depend on the data's shape, never on how many
        threads or workers there are.
    quantisation : {"off", "gain", "van-vleck"}
        What is done about quantisation with one or two bits.
    """

    recordings: tuple[Recording, ...]
    model: DelayModel
    start: Epoch
    segment: float
    baselines: tuple[tuple[str, str], ...]
    matching: Matching
    placements: tuple[Placement, ...]
    chunks: tuple[Chunk, ...]
    quantisation: Quantisation

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands that are correlated."""
        return self.matching.bands

    @cached_property
    def stations(self) -> tuple[int, ...]:
        """The stations that take part, ascending."""
        return tuple(sorted({item.station for band in self.bands for item in band.inputs}))

    def bins(self, band: Band) -> int:
        """Return how many bins a band has."""
        return round(band.bandwidth * self.segment)

    def samples(self, station: int) -> int:
        """Return how many samples a segment of a station has."""
        return round(self.recordings[station].sample_rate * self.segment)

    def counted(self, station: int) -> bool:
        """Tell whether the states of a station's samples are counted."""
        return self.quantisation != "off" and self.recordings[station].bits in COUNTED_BITS


class Engine(Protocol):
    """What an engine must do."""

    def __call__(self, plan: Plan, chunk: Chunk) -> ChunkSums:
        """Return the sums of one chunk: the same bytes whenever and wherever it is run."""


def make_plan(
    recordings: Sequence[Recording],
    model: DelayModel,
    *,
    bins: int,
    start: Epoch,
    stop: Epoch,
    integration: float,
    baselines: Sequence[tuple[str, str]] | None = None,
    products: Products = "parallel",
    zoom: Sequence[tuple[float, float]] = (),
    quantisation: Quantisation = "gain",
) -> Plan:
    """Match channels, lay the segment grid and cut it into chunks.

    The arguments are those of `kitestring.correlate.engine.correlate`.

    Raises
    ------
    ConfigurationError
        Where nothing can be correlated as asked; the message says why.
    """
    names = [r.station for r in recordings]
    if baselines is None:
        baselines = [(a, b) for i, a in enumerate(names) for b in names[i:]]
    for name in sorted({n for pair in baselines for n in pair} - set(model.stations)):
        raise ConfigurationError(
            f"The delay model of scan {model.scan!r} has no station {name!r}.",
            next_step=f"It has {', '.join(sorted(model.stations))}; name recordings alike.",
        )
    matching = match_channels(recordings, baselines, products, zoom)
    segment = _segment(recordings, matching, bins)
    check_quantisation(recordings, matching.bands, quantisation)
    start = start.to("utc")
    span = float(stop.since(start))
    total = int(np.floor(span / segment + 1e-6))
    if total < 1:
        raise ConfigurationError(
            f"From {start.iso(6)} to {stop.iso(6)} there is no whole segment of {segment:.3g} s.",
            next_step="Give a later stop or fewer bins.",
        )
    if round(integration / segment) < 1:
        raise ConfigurationError(
            f"An integration of {integration} s is shorter than half a segment of {segment:.3g} s.",
            next_step="Integrate longer or ask for fewer bins.",
        )
    plan = Plan(
        recordings=tuple(recordings),
        model=model,
        start=start,
        segment=segment,
        baselines=tuple((a, b) for a, b in baselines),
        matching=matching,
        placements=place(recordings, [model.stations[r.station] for r in recordings], start),
        chunks=(),
        quantisation=quantisation,
    )
    return replace(plan, chunks=_chunks(plan, total, integration / segment))


def _segment(recordings: Sequence[Recording], matching: Matching, bins: int) -> float:
    """Return the length of a segment in seconds."""
    if bins < 2:
        raise ConfigurationError(f"{bins} bins are too few.", next_step="Ask for 2 or more.")
    if not matching.bands:
        listed = "; ".join(matching.unmatched[:8])
        raise ConfigurationError(
            f"No channel of any station can be correlated as asked: {listed}.",
            next_step="Check sky frequencies, sidebands and polarisations of the recordings.",
        )
    narrowest = min(matching.bands, key=lambda band: band.bandwidth)
    segment = bins / narrowest.bandwidth
    for band in matching.bands:
        found = band.bandwidth * segment
        if abs(found - round(found)) > 1e-6:
            raise ConfigurationError(
                f"{bins} bins in the {narrowest.bandwidth} Hz of {narrowest.name} are {found} in "
                f"the {band.bandwidth} Hz of {band.name}.",
                next_step="Choose a number of bins that divides all bands, or correlate the "
                "channels of each width on their own.",
            )
    used = {item.station for band in matching.bands for item in band.inputs}
    for recording in (recordings[s] for s in sorted(used)):
        samples = recording.sample_rate * segment
        if samples > MOST_SAMPLES:
            raise ConfigurationError(
                f"A segment of {segment} s is {samples:.0f} samples at {recording.station}: "
                f"more than {MOST_SAMPLES} do not fit.",
                next_step="Ask for fewer bins, or of a zoom band for a coarser resolution.",
            )
        if abs(samples - round(samples)) > 1e-6:
            raise ConfigurationError(
                f"A segment of {segment} s is {samples} samples at {recording.station}.",
                next_step="Choose another number of bins: sample rates and widths of bands are "
                "to give whole samples.",
            )
    return segment


def _chunks(plan: Plan, total: int, each: float) -> tuple[Chunk, ...]:
    """Cut `total` segments into chunks.

    Integration k begins at the segment nearest to k x `each`, so that their
    edges never drift from the times that were asked for.
    """
    samples = sum(plan.samples(item.station) for band in plan.bands for item in band.inputs)
    most = max(1, CHUNK_SAMPLES // samples)
    piece = max(most // WHOLE_BATCHES * WHOLE_BATCHES, min(most, WHOLE_BATCHES))
    edges = [*(round(k * each) for k in range(int(total / each) + 1)), total]
    integrations = [(a, min(b, total)) for a, b in pairwise(edges) if a < min(b, total)]
    sums = sum(16 * plan.bins(band) * len(band.pairs) for band in plan.bands)
    chunks, waiting = [], list[Part]()
    for integration, (low, high) in enumerate(integrations):
        full = (len(waiting) + 1) * sums > SUMS_BYTES
        if waiting and (full or sum(p.segments for p in waiting) + high - low > most):
            chunks.append(Chunk(tuple(waiting)))
            waiting = []
        if high - low <= most:
            waiting.append(Part(integration, low, high - low))
            continue
        for first in range(low, high, piece):
            chunks.append(Chunk((Part(integration, first, min(piece, high - first)),)))
    if waiting:
        chunks.append(Chunk(tuple(waiting)))
    return _cut(chunks, _jump_segments(plan, total))


def _jump_segments(plan: Plan, total: int) -> list[int]:
    """Return where chunks have to end: before and after each segment that a clock jumps in.

    On both sides of it a station's samples may lie far apart, and a chunk reads all between.
    """
    edges = set[int]()
    for placed in plan.placements:
        begin = placed.within
        for at in jumps_of(placed, begin, begin + total * plan.segment).tolist():
            segment = math.floor((at - begin) / plan.segment + 1e-6)
            edges |= {segment, segment + 1}
    return sorted(edges)


def _cut(chunks: Sequence[Chunk], edges: Sequence[int]) -> tuple[Chunk, ...]:
    """Cut chunks at segments, counted from `Plan.start`."""
    if not edges:
        return tuple(chunks)
    found, inner = [], np.array(edges)
    for chunk in chunks:
        piece = list[Part]()
        for part in chunk.parts:
            stop = part.first + part.segments
            within = inner[(inner > part.first) & (inner < stop)].tolist()
            for low, high in pairwise([part.first, *within, stop]):
                if piece and low in edges:
                    found.append(Chunk(tuple(piece)))
                    piece = []
                piece.append(Part(part.integration, low, high - low))
        found.append(Chunk(tuple(piece)))
    return tuple(found)
