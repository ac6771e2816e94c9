"""Recordings whose files hold samples without frames: SigMF and plain IQ."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings._stream_kernels import convert, convert_floats
from kitestring.recordings.formats import FrameCounts
from kitestring.recordings.stretches import Stream
from kitestring.recordings.types import Block, Channel, asked_for
from kitestring.recordings.vdif_scan import Bytes, check_length, map_file, release

_STEP = 1 << 20  # samples that are decoded at once, so that little memory is touched


class StreamRecording:
    """A station's voltages in files of samples without frames (a `Recording`).

    Reading maps the files into memory, may be done by several threads at once,
    and survives pickling.

    Parameters
    ----------
    stream : Stream
        Where samples lie.
    station : str
        Name of the station.
    channels : sequence of Channel
        The recorded bands: groups of equal sky frequency in the order in which
        they first appear, channels of a group as they are interleaved.

    Warns
    -----
    RecordingWarning
        Where samples are missing between stretches, or bytes are left over.
    """

    def __init__(self, stream: Stream, station: str, channels: Sequence[Channel]) -> None:
        self.stream = stream
        self._station = station
        self._channels = tuple(channels)
        self._map()
        counts = stream.counts()
        if counts.harmed or counts.truncated_bytes:
            lost = sum(stream.gaps) / stream.sample_rate
            warnings.warn(
                f"{stream.paths[0]}: {len(stream.gaps)} gaps, {lost:.9g} s together; "
                f"{counts.skipped_bytes} bytes belong to no stretch, {counts.truncated_bytes} "
                "bytes at the end are no whole sample.",
                RecordingWarning,
                stacklevel=3,
            )

    def _map(self) -> None:
        self._data: list[Bytes] = []
        for path, size in zip(self.stream.paths, self.stream.sizes, strict=True):
            data = map_file(path)
            if len(data) < size:
                raise RecordingError(
                    f"the file had {size} bytes and now has {len(data)}.",
                    place=str(path),
                    next_step="Open the recording again.",
                )
            self._data.append(data)
        self._begin = np.array(self.stream.firsts, dtype=np.int64)
        self._end = self._begin + [s.count for s in self.stream.stretches]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_data"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()

    def __repr__(self) -> str:
        return (
            f"<StreamRecording {self.station}: {len(self.channels)} channels, "
            f"{self.start.iso(6)} to {self.stop.iso(6)} UTC>"
        )

    @property
    def station(self) -> str:
        """Name of the station."""
        return self._station

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The recorded bands, in the order of `Block.samples`."""
        return self._channels

    @property
    def sample_rate(self) -> float:
        """Samples per second, the same for all channels."""
        return self.stream.sample_rate

    @property
    def bits(self) -> int:
        """Bits a real or imaginary part."""
        return self.stream.datatype.bits

    @property
    def levels(self) -> NDArray[np.float32]:
        """Values of all codes, ascending; none for more than 8 bits."""
        return self.stream.datatype.levels

    @property
    def sample_count(self) -> int:
        """Samples of each channel from `start` to `stop`."""
        return self.stream.sample_count

    @property
    def counts(self) -> FrameCounts:
        """Stretches found, and gaps between them."""
        return self.stream.counts()

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""
        return self.stream.start

    @property
    def stop(self) -> Epoch:
        """Clock reading after the last sample, UTC."""
        return self.start.shifted(self.sample_count / self.sample_rate)

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return `count` samples from index `first` on, decoded; see `Recording.read`.

        Floating-point samples are as they were written, zero and invalid where
        they are not finite; integers stand for -1 up to 1.
        """
        chosen = asked_for(count, channels, len(self._channels))
        stream = self.stream
        parts = stream.datatype.parts
        out = np.zeros((len(chosen), count * parts), dtype=np.float32)
        valid = np.zeros((len(chosen), count), dtype=np.bool_)
        base = np.concatenate([[0], np.cumsum(stream.widths)])
        wanted: dict[int, list[tuple[int, int]]] = {}  # group: rows and their columns
        for row, channel in enumerate(chosen):
            group = int(np.searchsorted(base, channel, side="right")) - 1
            wanted.setdefault(group, []).append((row, channel - int(base[group])))
        for i in np.flatnonzero((self._begin < first + count) & (self._end > first)).tolist():
            rows = wanted.get(stream.groups[i])
            if rows is None:
                continue
            begin = max(first, int(self._begin[i]))
            end = min(first + count, int(self._end[i]))
            for at in range(begin, end, _STEP):
                self._decode(i, at, min(at + _STEP, end), rows, first, out, valid)
        samples = out.view(np.complex64) if stream.datatype.complex else out
        return Block(first, samples, valid)

    def _decode(
        self,
        i: int,
        begin: int,
        end: int,
        rows: Sequence[tuple[int, int]],
        origin: int,
        out: NDArray[np.float32],
        valid: NDArray[np.bool_],
    ) -> None:
        """Decode samples `begin` to `end` of stretch `i` into rows of the output."""
        one, kind = self.stream.stretches[i], self.stream.datatype
        data = self._data[self.stream.paths.index(one.path)]
        check_length(data, one.path)
        width = one.width * kind.sample_bytes
        low = one.byte + (begin - self.stream.firsts[i]) * width
        high = low + (end - begin) * width
        raw = data[low:high]
        if raw.ctypes.data % kind.dtype.itemsize or not kind.dtype.isnative:
            raw = raw.copy()  # the kernels take numbers that lie as the machine has them
        numbers = raw.view(kind.dtype).reshape(end - begin, -1)
        if not kind.dtype.isnative:
            numbers = numbers.astype(kind.dtype.newbyteorder("="))
        for row, column in rows:
            into = out[row, (begin - origin) * kind.parts : (end - origin) * kind.parts]
            good = valid[row, begin - origin : end - origin]
            if kind.floating:
                convert_floats(numbers, column * kind.parts, kind.parts, into, good)
            else:
                convert(numbers, column * kind.parts, kind.parts, kind.zero, kind.scale, into, good)
        release(data, low, high)
