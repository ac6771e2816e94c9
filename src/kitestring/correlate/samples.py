"""A station's samples of a chunk: read once, packed where the recording can, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate import _kernels
from kitestring.correlate._lane_kernels import Form
from kitestring.correlate.channels import Input
from kitestring.correlate.plan import Chunk, Plan
from kitestring.correlate.steering import Steering, steer
from kitestring.recordings.types import (
    PACKED_MARGIN,
    Channel,
    PackedBlock,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Stream:
    """One channel's samples as a little-endian bit stream.

    Attributes
    ----------
    data : ndarray of uint8
        The stream; `PACKED_MARGIN` bytes follow the last sample.
    form : (int, int, int)
        Bits of a part, parts of a sample, signed. 32 bits: float32, invalid samples zero.
    levels : ndarray of float32
        Value of each code (see `PackedBlock`); empty for 32 bits.
    runs : ndarray of int64, shape (n, 2)
        Stretches of valid samples, ascending, counted from the stream's first.
    """

    data: NDArray[np.uint8]
    form: Form
    levels: Singles
    runs: Integers

    @cached_property
    def decoded(self) -> Singles:
        """All samples decoded, shape (sample * parts,), invalid ones zero."""
        bits, parts, signed = self.form
        if bits == 32:
            return self.data[:-PACKED_MARGIN].view(np.float32)
        count = (len(self.data) - PACKED_MARGIN) * 8 // (bits * parts)
        values = np.zeros(count * parts, dtype=np.float32)
        flip = 1 << (bits - 1) if signed else 0
        _kernels.decode(self.data, bits, parts, flip, self.levels, self.runs, values)
        return values


class StationSamples:
    """One station's samples of a chunk and how they are placed.

    Attributes
    ----------
    origin : int
        First segment of the chunk.
    steering : Steering
        For all of its segments.
    first : ndarray of int64, shape (segment,)
        First sample of each segment, counted from the streams' first.
    """

    def __init__(self, plan: Plan, station: int, chunk: Chunk) -> None:
        self._recording = plan.recordings[station]
        self.origin = chunk.first
        wanted = sorted(
            {item.channel for b in plan.bands for item in b.inputs if item.station == station}
        )
        self.steering: Steering = steer(plan, station, chunk)
        low = int(self.steering.first.min())
        high = int(self.steering.first.max()) + self.steering.samples
        first, self._streams = self._read(low, high - low, tuple(wanted))
        self.first = self.steering.first - first
        self._span = low - first, high - first
        self._counts: dict[int, Integers | None] = {}

    def _read(
        self, first: int, count: int, wanted: tuple[int, ...]
    ) -> tuple[int, dict[int, Stream]]:
        read_packed = getattr(self._recording, "read_packed", None)  # see PackedRecording
        packed: PackedBlock | None = read_packed(first, count, wanted) if read_packed else None
        if packed is None:
            block = self._recording.read(first, count, wanted)
            return first, {
                c: _decoded(block.samples[row], block.valid[row]) for row, c in enumerate(wanted)
            }
        form = (packed.bits, packed.parts, int(packed.signed))
        return packed.first, {
            c: Stream(packed.data[row], form, packed.levels, packed.runs[row])
            for row, c in enumerate(wanted)
        }

    def channel(self, item: Input) -> Channel:
        """Return the channel of an input."""
        return self._recording.channels[item.channel]

    def stream(self, item: Input) -> Stream:
        """Return the samples of an input."""
        return self._streams[item.channel]

    def valid(self, item: Input) -> Integers | None:
        """Return the number of valid samples in each segment of an input, none of a broken one.

        None where all samples are valid.
        """
        if item.channel not in self._counts:
            self._counts[item.channel] = self._count(self.stream(item).runs)
        return self._counts[item.channel]

    def _count(self, runs: Integers) -> Integers | None:
        samples, broken = self.steering.samples, self.steering.broken
        low, high = self._span
        if broken is None and len(runs) == 1 and runs[0, 0] <= low and runs[0, 1] >= high:
            return None
        counts = np.empty(len(self.first), dtype=np.int64)
        _kernels.count_valid(runs, self.first, samples, counts)
        if broken is not None:
            counts[broken] = 0
        return counts


def _decoded(samples: NDArray[np.generic], valid: NDArray[np.bool_]) -> Stream:
    """Return decoded samples as a stream of float32."""
    parts = 2 if np.iscomplexobj(samples) else 1
    data = np.zeros(samples.shape[0] * parts * 4 + PACKED_MARGIN, dtype=np.uint8)
    values = data[:-PACKED_MARGIN].view(np.complex64 if parts == 2 else np.float32)
    values[:] = samples
    if valid.all():
        runs = np.array([[0, len(valid)]], dtype=np.int64)
    else:
        edges = np.concatenate([[False], valid, [False]])
        runs = np.flatnonzero(edges[1:] != edges[:-1]).reshape(-1, 2).astype(np.int64)
    return Stream(data, (32, parts, 0), np.zeros(0, dtype=np.float32), runs)
