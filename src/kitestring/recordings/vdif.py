"""Reading VDIF recordings.

Source: VLBI Data Interchange Format (VDIF) Specification, release 1.1.1 (2014).
Every frame is placed by the time in its own header, so that lost, late and
repeated frames leave all others where they belong.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
)
from kitestring.model.time import Epoch
from kitestring.recordings._kernels import unpack_bytes, unpack_wide
from kitestring.recordings.formats import FrameCounts, RecordingFormat, Survey
from kitestring.recordings.quantise import Codes, levels
from kitestring.recordings.types import Block, Channel, PackedBlock
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_index import VdifIndex
from kitestring.recordings.vdif_packed import can_pack, pack_frames
from kitestring.recordings.vdif_scan import (
    Bytes,
    Runs,
    check_length,
    first_header,
    map_file,
    release,
)
from kitestring.recordings.vdif_writer import VdifWriter

# what sign (bit 0) and magnitude (bit 1) mean as offset binary. Source: Mark 5B User's
# Manual (Haystack), appendix A; one bit set is negative, as DiFX's mark5access has it
_MARK5B_CODES = {1: np.array([1, 0]), 2: np.array([0, 2, 1, 3])}

__all__ = ["FORMAT", "VdifIndex", "VdifRecording", "VdifWriter"]


class VdifRecording:
    """A station's voltages in one or several VDIF files (a `Recording`).

    Opening reads all headers of up to 1 GiB; of longer recordings it looks at
    about a thousand places, and the headers between are read when their samples
    are (`VdifIndex.build`, `vdif_spans`). Reading maps the files into memory, may be done
    by several threads at once, and survives pickling (workers map the files
    again).

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Files with threads apart, or one after another in time.
    station : str
        Name of the station.
    channels : sequence of Channel
        The recorded bands: threads ascending, channels of a thread in order.
    sample_rate : float, optional
        Samples per second; must agree with the channels.

    Attributes
    ----------
    index : VdifIndex
        Where the frames are, and counts of all damage.

    Raises
    ------
    MissingDataError
        Where `channels` are not given.
    RecordingError
        As `VdifIndex.build`.

    Warns
    -----
    RecordingWarning
        Where frames are missing, invalid or damaged, with their numbers: on
        opening, and of long recordings also when a damaged span is first read.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None = None,
    ) -> None:
        files = [paths] if isinstance(paths, str | Path) else list(paths)
        if not channels:
            known = VdifIndex.build(files, sample_rate=sample_rate).survey()
            raise MissingDataError(
                f"VDIF does not hold {' and '.join(known.missing)} of the "
                f"{known.channel_count} channels.",
                place=str(files[0]),
                next_step="Give channels=, a Channel for each (threads ascending).",
            )
        rate = _channel_rate(tuple(channels), sample_rate)
        self._set(VdifIndex.build(files, sample_rate=rate, channel_count=len(channels)))
        header = self.index.header
        if any(c.complex != header.complex for c in channels):
            kind = "complex" if header.complex else "real"
            raise RecordingError(
                f"the samples are {kind}, the channels given are not.",
                place=str(files[0]),
                next_step=f"Set complex={header.complex} in the channels.",
            )
        self._station = station
        self._channels = tuple(channels)
        if self.index.counts.harmed:
            warnings.warn(
                f"{station}: {self.index.counts.summary()}.", RecordingWarning, stacklevel=2
            )

    def _set(self, index: VdifIndex) -> None:
        self.index = index
        self._data: list[Bytes] = []
        for path, size in zip(index.paths, index.sizes, strict=True):
            self._data.append(map_file(path))
            if len(self._data[-1]) < size:
                raise RecordingError(
                    f"the file had {size} bytes and now has {len(self._data[-1])}.",
                    place=str(path),
                    next_step="Open the recording again.",
                )
        if index.spans is not None:
            index.spans.attach(self._data)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_data"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set(self.index)

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
        return self._channels[0].sample_rate

    @property
    def bits(self) -> int:
        """Bits a real or imaginary part."""
        return self.index.header.bits

    @property
    def frame_samples(self) -> int:
        """Samples of each channel in a frame: reading whole frames is quickest."""
        return self.index.header.frame_samples

    @property
    def sample_count(self) -> int:
        """Samples of each channel from `start` to `stop`."""
        return (self.index.stop_slot - self.index.first_slot) * self.frame_samples

    @property
    def counts(self) -> FrameCounts:
        """Frames found, lost and damaged; of a long recording those in the spans read so far.

        Frames missing between spans are not counted there: they are invalid samples.
        """
        spans = self.index.spans
        return self.index.counts if spans is None else spans.counts()

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""
        return self.index.slot_epoch(self.index.first_slot)

    @property
    def stop(self) -> Epoch:
        """Clock reading after the last sample, UTC."""
        return self.index.slot_epoch(self.index.stop_slot)

    def __repr__(self) -> str:
        return (
            f"<VdifRecording {self.station}: {len(self.channels)} channels, "
            f"{self.start.iso(6)} to {self.stop.iso(6)} UTC>"
        )

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return `count` samples from index `first` on, decoded; see `Recording.read`.

        Values are those of `kitestring.recordings.quantise.levels`.
        """
        samples, valid = self._read(first, count, channels, levels(self.bits))
        if self.index.header.complex:
            return Block(first, samples.view(np.complex64), valid)
        return Block(first, samples, valid)

    def read_packed(
        self, first: int, count: int, channels: tuple[int, ...] | None = None
    ) -> PackedBlock | None:
        """Return samples as recorded and packed, from the start of a frame on.

        None where frames do not hold streams that can be handed out as they are
        (`kitestring.recordings.vdif_packed.can_pack`).
        """
        if not can_pack(self.index.header) or count <= 0:
            return None
        chosen = tuple(range(len(self._channels))) if channels is None else channels
        header, used = self.index.header, list[tuple[int, NDArray[np.int64]]]()

        def frames(thread: int, slot: int, slots: int) -> list[tuple[Bytes, NDArray[np.int64]]]:
            at = slot + self.index.first_slot
            runs = self.index.thread_runs(self.index.threads[thread], at, slots)
            found = []
            for file, offsets in _frame_offsets(runs, at, slots):
                check_length(self._data[file], self.index.paths[file])
                used.append((file, offsets[offsets >= 0]))
                payloads = np.where(offsets >= 0, offsets + header.header_bytes, -1)
                found.append((self._data[file], payloads))
            return found

        values = levels(self.bits)
        if header.mark5b_coding:
            values = values[_MARK5B_CODES[self.bits]]
        block = pack_frames(header, frames, first, count, chosen, values)
        for file, there in used:
            release(self._data[file], int(there.min()), int(there.max()) + header.frame_bytes)
        return block

    def read_codes(
        self, first: int, count: int, channels: tuple[int, ...] | None = None
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """Return samples as recorded, not decoded.

        Returns
        -------
        codes : ndarray of uint8 (uint16 for 16 bits)
            Offset binary, shape (channel, count), or (channel, 2 count) with I
            and Q in turn; 0 where invalid.
        valid : ndarray of bool, shape (channel, count)
        """
        kind = np.uint16 if self.bits == 16 else np.uint8
        return self._read(first, count, channels, np.arange(1 << self.bits, dtype=kind))

    def _read(
        self, first: int, count: int, channels: tuple[int, ...] | None, table: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        header = self.index.header
        chosen = tuple(range(len(self._channels))) if channels is None else channels
        if count < 0 or any(not 0 <= c < len(self._channels) for c in chosen):
            raise ConfigurationError(
                f"{count} samples of the channels {chosen} were asked for.",
                next_step=f"Channels count from 0 to {len(self._channels) - 1}.",
            )
        out = np.zeros((len(chosen), count * header.parts), dtype=table.dtype)
        valid = np.zeros((len(chosen), count), dtype=np.bool_)
        if count == 0:
            return out, valid
        slot, skip = divmod(first, header.frame_samples)
        slots = -(-(skip + count) // header.frame_samples)
        for thread, rows, inner in _by_thread(chosen, header.channel_count):
            at = slot + self.index.first_slot
            runs = self.index.thread_runs(self.index.threads[thread], at, slots)
            for file, offsets in _frame_offsets(runs, at, slots):
                check_length(self._data[file], self.index.paths[file])
                part = slice(rows[0], rows[-1] + 1)
                _decode(
                    self._data[file], offsets + np.where(offsets >= 0, header.header_bytes, 0),
                    skip, header, inner, table, out[part], valid[part],
                )  # fmt: skip
                if header.mask_bits:
                    _blank(self._data[file], offsets, skip, header, inner, out[part], valid[part])
                there = offsets[offsets >= 0]
                release(self._data[file], int(there.min()), int(there.max()) + header.frame_bytes)
        return out, valid


def _channel_rate(channels: tuple[Channel, ...], given: float | None) -> float:
    rates = {c.sample_rate for c in channels} | ({given} if given is not None else set())
    if len(rates) != 1:
        raise ConfigurationError(
            f"several sample rates are stated: {sorted(rates)}.",
            next_step="All channels of a recording have the same.",
        )
    return rates.pop()


def _by_thread(chosen: tuple[int, ...], per_thread: int) -> list[tuple[int, list[int], list[int]]]:
    """Group chosen channels: (thread, neighbouring rows of the output, channels in the frame)."""
    groups: list[tuple[int, list[int], list[int]]] = []
    for row, channel in enumerate(chosen):
        thread, inner = divmod(channel, per_thread)
        if not groups or groups[-1][0] != thread:
            groups.append((thread, [], []))
        groups[-1][1].append(row)
        groups[-1][2].append(inner)
    return groups


def _frame_offsets(runs: Runs, first: int, slots: int) -> list[tuple[int, NDArray[np.int64]]]:
    """Return for each file the bytes of the frames of `slots` slots; -1 where there is none."""
    a = max(int(np.searchsorted(runs["slot"], first, side="right")) - 1, 0)
    b = int(np.searchsorted(runs["slot"], first + slots, side="left"))
    some = runs[a:b][runs["invalid"][a:b] != 1]
    low = np.maximum(some["slot"], first)
    count = np.maximum(np.minimum(some["slot"] + some["frames"], first + slots) - low, 0)
    run = np.repeat(some, count)
    slot = np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())
    at = run["offset"] + (slot - run["slot"]) * run["stride"]
    found = []
    for file in np.unique(run["file"]):
        offsets = np.full(slots, -1, dtype=np.int64)
        mine = run["file"] == file
        offsets[slot[mine] - first] = at[mine]
        found.append((int(file), offsets))
    return found


def _decode(
    data: Bytes,
    offsets: NDArray[np.int64],
    skip: int,
    header: VdifHeader,
    inner: list[int],
    table: NDArray[Any],
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Decode the channels `inner` of frames whose samples begin at `offsets`."""
    sample_bits = header.bits * header.parts
    time_bits = sample_bits * header.channel_count
    first_bits = np.array(inner, dtype=np.int64) * sample_bits
    if sample_bits > 8 or header.bits == 16:
        unpack_wide(
            data, offsets, skip, header.frame_samples, time_bits // 8, first_bits // 8,
            table, header.bits // 8, out, valid,
        )  # fmt: skip
        return
    looks = max(8 // time_bits, 1)
    shifts = np.arange(looks)[:, np.newaxis] * time_bits + np.arange(header.parts) * header.bits
    bytes_ = np.arange(256)[np.newaxis, :, np.newaxis]
    start = first_bits if time_bits < 8 else first_bits % 8
    if header.mark5b_coding:
        table = table[_MARK5B_CODES[header.bits]]
    codes = bytes_ >> (start[:, np.newaxis, np.newaxis] + shifts.ravel()) & (1 << header.bits) - 1
    unpack_bytes(
        data, offsets, skip, header.frame_samples, max(time_bits // 8, 1),
        first_bits // 8, table[codes], looks, _shared(header, inner), out, valid,
    )  # fmt: skip


def _shared(header: VdifHeader, inner: list[int]) -> int:
    """Return how many channels may be decoded together (see `unpack_bytes`)."""
    sample_bits = header.bits * header.parts
    group = 8 // sample_bits
    if header.channel_count < group or (group, header.parts) not in ((4, 1), (2, 1), (2, 2)):
        return 1
    neighbours = inner == list(range(inner[0], inner[0] + len(inner)))
    return group if neighbours and len(inner) % group == inner[0] % group == 0 else 1


def _blank(
    data: Bytes,
    offsets: NDArray[np.int64],
    skip: int,
    header: VdifHeader,
    inner: list[int],
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Make samples of channels invalid that a frame's mask (extended data version 4) leaves out."""
    frames = np.flatnonzero(offsets >= 0)
    words = data[offsets[frames, np.newaxis] + np.arange(24, 32)]
    mask = np.ascontiguousarray(words).view("<u8")[:, 0]
    shift = np.array(inner, dtype=np.uint64) * header.mask_bits // header.channel_count
    bad = (mask[:, np.newaxis] >> shift & 1) == 0
    for f, row in zip(*np.nonzero(bad), strict=True):
        at = int(frames[f]) * header.frame_samples - skip
        begin, end = max(at, 0), min(at + header.frame_samples, valid.shape[1])
        out[row, begin * header.parts : end * header.parts] = 0
        valid[row, begin:end] = False


def _sniff(path: Path) -> bool:
    try:
        first_header(map_file(path), path)
    except RecordingError:
        return False
    return True


def _survey(paths: Sequence[Path], sample_rate: float | None) -> Survey:
    return VdifIndex.build(paths, sample_rate=sample_rate).survey()


def _survey_all(paths: Sequence[Path], sample_rate: float | None) -> Survey:
    return VdifIndex.build(paths, sample_rate=sample_rate, check_all=True).survey()


FORMAT = RecordingFormat(
    name="VDIF", sniff=_sniff, open=VdifRecording, survey=_survey, survey_all=_survey_all
)
