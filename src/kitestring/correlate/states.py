"""How often each value of samples of one or two bits occurs: what samplers are judged by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate import _kernels
from kitestring.correlate.plan import Chunk, Plan, States
from kitestring.correlate.samples import StationSamples, Stream
from kitestring.errors import RecordingError

Integers = NDArray[np.int64]
Singles = NDArray[np.float32]

DECODED_WHOLE, DECODED_BLOCK = 1 << 20, 1 << 14
"""Most values of decoded samples that are counted one and all, and of every fourth block."""


def count_states(
    plan: Plan, chunk: Chunk, stations: Mapping[int, StationSamples]
) -> tuple[States, ...]:
    """Return how often the states of each band's inputs occur in each part of a chunk.

    Raises
    ------
    RecordingError
        Where a recording has more values than its bits allow.
    """
    # the floor of a spectrum depends on the power to the last digit, a gain does not
    whole = plan.quantisation == "van-vleck"
    edges = {s: _edges(stations[s], chunk) for s in plan.stations if plan.counted(s)}
    known: dict[tuple[int, int], tuple[Singles, Integers]] = {}
    found = []
    for band in plan.bands:
        levels = np.full((len(band.inputs), 4), np.nan)
        counts = np.zeros((len(chunk.parts), *levels.shape), dtype=np.int64)
        for i, item in enumerate(band.inputs):
            if item.station not in edges:
                continue
            key = item.station, item.channel
            if key not in known:
                stream = stations[item.station].stream(item)
                known[key] = count_stream(stream, edges[item.station], whole)
                if stream.form[0] == 32:  # packed samples cannot have more than they have
                    _check(plan, item.station, item.channel, known[key][1])
            levels[i], counts[:, i] = known[key]
        found.append(States(levels, counts))
    return tuple(found)


def _edges(station: StationSamples, chunk: Chunk) -> Integers:
    """Return the first sample of each part and the one after its last, counted as streams are."""
    rows = []
    for part in chunk.parts:
        low = part.first - chunk.first
        ends = int(station.first[low]), int(station.first[low + part.segments - 1])
        rows.append((min(ends), max(ends) + station.steering.samples))
    return np.array(rows, dtype=np.int64)


def count_stream(stream: Stream, edges: Integers, whole: bool) -> tuple[Singles, Integers]:
    """Return the values of a stream and how often each occurs; -1 where there are too many."""
    bits, parts, signed = stream.form
    levels = np.full(4, np.nan, dtype=np.float32)
    counts = np.zeros((len(edges), 4), dtype=np.int64)
    if bits < 32:
        levels[: 1 << bits] = stream.levels
        _kernels.count_parts(stream.data, bits, parts, stream.runs, edges, whole, counts)
        if signed:
            counts[:, : 1 << bits] = np.roll(counts[:, : 1 << bits], 1 << (bits - 1), axis=1)
        return levels, counts
    values = stream.decoded
    for p, (low, high) in enumerate(edges.tolist()):
        for a, z in stream.runs[np.searchsorted(stream.runs[:, 1], low, side="right") :]:
            if a >= high:
                break
            first, last = parts * max(int(a), low), parts * min(int(z), high)
            some = last - first > DECODED_WHOLE and not whole
            block = DECODED_BLOCK if some else last - first
            for k in range(first, last, 4 * block):
                end = min(k + block, last)
                if not _kernels.count_values(values, k, end, levels, counts[p]):
                    counts[p] = -1
                    return levels, counts
    return levels, counts


def _check(plan: Plan, station: int, channel: int, counts: Integers) -> None:
    """See that there are no more values than a recording's bits allow."""
    recording = plan.recordings[station]
    if np.any(counts < 0) or np.count_nonzero(counts.any(axis=0)) > 1 << recording.bits:
        raise RecordingError(
            f"{recording.station} {recording.channels[channel].name}: samples of "
            f"{recording.bits} bits have more than {1 << recording.bits} values.",
            next_step='State their bits, or use quantisation="off".',
        )
