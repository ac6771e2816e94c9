"""Reading VDIF recordings.

Source: VLBI Data Interchange Format (VDIF) Specification, release 1.1.1 (2014).
Every frame is placed by the time in its own header, so that lost, late and
repeated frames leave all others where they belong.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
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
from kitestring.recordings.formats import FrameCounts, RecordingFormat, Survey
from kitestring.recordings.quantise import Codes, levels
from kitestring.recordings.stated import check_kind
from kitestring.recordings.types import Block, Channel, PackedBlock, asked_for
from kitestring.recordings.vdif_decode import MARK5B_CODES, blank, decode
from kitestring.recordings.vdif_index import VdifIndex
from kitestring.recordings.vdif_packed import can_pack, pack_frames
from kitestring.recordings.vdif_scan import (
    Bytes,
    Runs,
    check_length,
    first_header,
    map_file,
    map_files,
    release,
)
from kitestring.recordings.vdif_writer import VdifWriter

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
        Files with channels apart, or one after another in time, or both (`vdif_groups`).
    station : str
        Name of the station.
    channels : sequence of Channel
        The recorded bands: threads ascending, channels of a thread in order; where
        files by channel share thread numbers, in the order of the files.
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
        check_kind(channels, self.index.header.complex, str(files[0]))
        self._station = station
        self._channels = tuple(channels)
        if self.index.counts.harmed:
            warnings.warn(
                f"{station}: {self.index.counts.summary()}.", RecordingWarning, stacklevel=2
            )

    def _set(self, index: VdifIndex) -> None:
        self.index = index
        self._data = map_files(index.paths)
        for path, size, data in zip(index.paths, index.sizes, self._data, strict=True):
            if len(data) < size:
                raise RecordingError(
                    f"the file had {size} bytes and now has {len(data)}.",
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

    @cached_property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""
        return self.index.slot_epoch(self.index.first_slot)

    @cached_property
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
        chosen = asked_for(count, channels, len(self._channels))
        if not can_pack(self.index.header) or count == 0:
            return None
        header, used = self.index.header, list[tuple[int, NDArray[np.int64]]]()

        def frames(thread: int, slot: int, slots: int) -> list[tuple[Bytes, NDArray[np.int64]]]:
            if self._outside(first, count):
                return []
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
            values = values[MARK5B_CODES[self.bits]]
        block = pack_frames(header, frames, first, count, chosen, values)
        for file, there in used:
            release(self._data[file], int(there.min()), int(there.max()) + header.frame_bytes)
        return block

    def _outside(self, first: int, count: int) -> bool:
        """Whether a block has nothing in common with the recording, however far away it is."""
        return first >= self.sample_count or first + count <= 0

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
        chosen = asked_for(count, channels, len(self._channels))
        out = np.zeros((len(chosen), count * header.parts), dtype=table.dtype)
        valid = np.zeros((len(chosen), count), dtype=np.bool_)
        if count == 0 or self._outside(first, count):
            return out, valid
        slot, skip = divmod(first, header.frame_samples)
        slots = -(-(skip + count) // header.frame_samples)
        for thread, rows, inner in _by_thread(chosen, header.channel_count):
            at = slot + self.index.first_slot
            runs = self.index.thread_runs(self.index.threads[thread], at, slots)
            for file, offsets in _frame_offsets(runs, at, slots):
                check_length(self._data[file], self.index.paths[file])
                part = slice(rows[0], rows[-1] + 1)
                decode(
                    self._data[file], offsets + np.where(offsets >= 0, header.header_bytes, 0),
                    skip, header, inner, table, out[part], valid[part],
                )  # fmt: skip
                if header.mask_bits:
                    blank(self._data[file], offsets, skip, header, inner, out[part], valid[part])
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
    if b - a == 1 and len(some):  # one after another, as in a recording without losses
        (run,) = some.tolist()
        held = dict(zip(some.dtype.names or (), run, strict=True))
        ahead = first - held["slot"]
        if ahead >= 0 and ahead + slots <= held["frames"]:
            at = held["offset"] + (ahead + np.arange(slots)) * held["stride"]
            return [(held["file"], at)]
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
