"""Reading Mark 4, DADA and GUPPI through the package `baseband`.

baseband (GPL) is an extra: ``pip install kitestring[baseband]``. It is imported when a
recording of these formats is opened, never otherwise. What it tells of damage is
taken over: frames of Mark 4 that are missing or whose headers are corrupt, and
the samples that headers replace, are invalid. Lost frames are counted on opening: by
the times at both ends and the bytes between, since looking at all headers would take a
pass through the files. Baseband does not read DADA and GUPPI beyond a lost block: where
blocks lie after one is found here, by the times in their headers.

GSB is not read: its time stamps lie in a file of their own, which takes more than
a list of recordings to name.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import MissingDataError, RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.foreign_reader import (
    DADA,
    GUPPI,
    MARK4,
    Kind,
    count_frames,
    open_reader,
)
from kitestring.recordings.formats import RecordingFormat, Survey
from kitestring.recordings.stated import Stated, check_kind, same_number
from kitestring.recordings.types import Block, Channel, asked_for
from kitestring.recordings.vdif_scan import map_file

_HEAD = 1 << 19  # bytes that tell the format: three Mark 4 frames of 64 tracks
_TRACKS = (64, 32, 16)
_SYNC_BYTES = 4  # of each track, all ones
_FRAME_BYTES = 2500  # of each track
_STEP = 1 << 18  # samples that are decoded at once


class ForeignRecording:
    """A station's voltages in a format that baseband reads (a `Recording`).

    Several threads may read it, one after another; it survives pickling.

    Parameters
    ----------
    kind : Kind
        The format.
    files : sequence of Path
        Files one after another in time.
    station : str
        Name of the station.
    channels : sequence of Channel
        The recorded bands: those of the first polarization, then of the next.
    stated : Stated
        The reference date.

    Attributes
    ----------
    counts : FrameCounts
        Frames, and how many of them are lost.

    Warns
    -----
    RecordingWarning
        Where frames are lost, with their number.
    """

    def __init__(
        self,
        kind: Kind,
        files: Sequence[Path],
        station: str,
        channels: Sequence[Channel],
        stated: Stated,
    ) -> None:
        self._kind, self._files, self._stated = kind, tuple(files), stated
        self._station = station
        self._channels = tuple(channels)
        self._open()
        handle = self._handle
        count = math.prod(handle.sample_shape)
        own_rate = float(handle.sample_rate.to_value("Hz"))
        place = str(files[0])
        if len(channels) != count:
            raise RecordingError(
                f"{len(channels)} channels are expected, the file has {count}.",
                place=place,
                next_step="Give a Channel for each: polarization by polarization.",
            )
        for channel in channels:
            if not same_number(channel.sample_rate, own_rate):
                raise RecordingError(
                    f"the headers say {own_rate:.12g} samples a second, the channels "
                    f"{channel.sample_rate:.12g}.",
                    place=place,
                    next_step="Mend the channels, or bring the right file.",
                )
        check_kind(channels, bool(handle.complex_data), place)
        self.counts = count_frames(kind, handle, files)
        if self._scattered:
            handle.verify = False  # it would compare each block's number with its place
        if self.counts.harmed:
            warnings.warn(f"{station}: {self.counts.summary()}.", RecordingWarning, stacklevel=3)

    def _open(self) -> None:
        self._handle = open_reader(
            self._kind, self._files, self._stated, self._channels[0].sample_rate
        )
        self._lock = threading.Lock()
        self._numbers: dict[int, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_handle", "_lock", "_numbers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()
        self._handle.verify = not self._scattered

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
        return int(self._handle.bps)

    @property
    def sample_count(self) -> int:
        """Samples of each channel from `start` to `stop`."""
        return int(self._handle.shape[0])

    @property
    def levels(self) -> NDArray[np.float32]:
        """Nothing: what codes stand for is baseband's affair."""
        return np.zeros(0, dtype=np.float32)

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""
        return Epoch.from_astropy(self._handle.start_time)

    @property
    def stop(self) -> Epoch:
        """Clock reading after the last sample, UTC."""
        return self.start.shifted(self.sample_count / self.sample_rate)

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return `count` samples from index `first` on, decoded; see `Recording.read`.

        Raises
        ------
        RecordingError
            Where baseband cannot go on: it names the sample.
        """
        chosen = asked_for(count, channels, len(self._channels))
        parts = 2 if self._channels[0].complex else 1
        numbers = np.zeros((len(chosen), count * parts), dtype=np.float32)
        out = numbers.view(np.complex64) if parts == 2 else numbers
        valid = np.zeros((len(chosen), count), dtype=np.bool_)
        begin, end = max(first, 0), min(first + count, self.sample_count)
        step = self._handle.samples_per_frame if self._scattered else _STEP
        at = begin
        while at < end:
            n = min(_STEP, step - at % step, end - at)
            table = self._table(at, n)
            if table is not None:
                rows = table[:, chosen].T
                good = np.isfinite(rows)
                out[:, at - first : at - first + n] = np.where(good, rows, 0)
                valid[:, at - first : at - first + n] = good
            at += n
        return Block(first, out, valid)

    @property
    def _scattered(self) -> bool:
        """Whether blocks lie elsewhere than their numbers say, and baseband does not look."""
        return self._kind is not MARK4 and self.counts.missing > 0

    def _table(self, at: int, n: int) -> NDArray[Any] | None:
        """Return samples of all channels, shape (n, channel); None where their block is lost."""
        with self._lock:
            try:
                place = self._place(at) if self._scattered else at
                if place is None:
                    return None
                self._handle.seek(place)
                table: NDArray[Any] = self._handle.read(n).reshape(n, -1)
                return table
            except Exception as problem:
                raise RecordingError(
                    f"baseband cannot read {n} samples from sample {at} on: "
                    f"{str(problem) or type(problem).__name__}.",
                    place=str(self._files[0]),
                    next_step="The file is damaged there: cut it, or leave it out.",
                ) from problem

    def _place(self, at: int) -> int | None:
        """Return where sample `at` would be if no block before it had been lost; None if its was.

        A block lies as many places before its number as blocks were lost before it.
        """
        number, within = divmod(at, self._handle.samples_per_frame)
        high = min(number, self.counts.frames - 1)
        low = min(max(number - self.counts.missing, 0), high)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._number(middle) < number else (low, middle)
        if self._number(low) != number:
            return None
        return int(low * self._handle.samples_per_frame + within)

    def _number(self, place: int) -> int:
        """Return the number, by its time, of the block that lies at a place in the files."""
        if place not in self._numbers:
            handle = self._handle
            handle.fh_raw.seek(place * handle.header0.frame_nbytes)
            passed = (handle.fh_raw.read_header().time - handle.header0.time).to_value("s")
            self._numbers[place] = round(passed * self.sample_rate / handle.samples_per_frame)
        return self._numbers[place]


def _survey(kind: Kind, stated: Stated, paths: Sequence[Path], sample_rate: float | None) -> Survey:
    rate = stated.sample_rate if sample_rate is None else sample_rate
    with open_reader(kind, paths, stated, rate) as handle:
        start = Epoch.from_astropy(handle.start_time)
        own = float(handle.sample_rate.to_value("Hz"))
        shape = "x".join(map(str, handle.sample_shape)) or "1"
        return Survey(
            station=stated.station,
            start=start,
            stop=start.shifted(handle.shape[0] / own),
            sample_rate=own,
            rate_origin="header" if rate is None else "given",
            channel_count=math.prod(handle.sample_shape),
            bits=int(handle.bps),
            complex=bool(handle.complex_data),
            layout=f"{shape} channels, read by baseband",
            counts=count_frames(kind, handle, paths),
            missing=() if stated.channels else ("sky frequencies and sidebands (channels=)",),
        )


def format_for(kind: Kind, stated: Stated) -> RecordingFormat:
    """Return a format, completed by what is stated elsewhere."""

    def open_(
        paths: Sequence[Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None,
    ) -> ForeignRecording:
        bands = tuple(channels or stated.channels)
        if not bands:
            raise MissingDataError(
                f"sky frequencies and sidebands are not read from {kind.name}.",
                place=str(paths[0]),
                next_step="Give channels=, a Channel for each.",
            )
        found = ForeignRecording(kind, paths, station, bands, stated)
        stated.check(
            str(paths[0]),
            complex=bands[0].complex,
            sample_rate=found.sample_rate,
            bits=found.bits,
        )
        stated.check_start(str(paths[0]), found.start, 1.0 / found.sample_rate)
        return found

    return RecordingFormat(
        name=kind.name,
        sniff=lambda path: _sniff(path) is kind,
        open=open_,
        survey=lambda paths, rate: _survey(kind, stated, paths, rate),
        complete=lambda known: format_for(kind, known),
    )


def _sniff(path: Path) -> Kind | None:
    """Recognise a format by its first bytes; baseband is not asked."""
    head = map_file(path)[:_HEAD].tobytes()
    if b"HDR_SIZE" in head[:4096] and b"UTC_START" in head[: 1 << 14]:
        return DADA
    if b"BLOCSIZE=" in head[: 1 << 14] and b"PKTIDX" in head[: 1 << 14]:
        return GUPPI
    for tracks in _TRACKS:
        sync = b"\xff" * (_SYNC_BYTES * tracks)
        at = head.find(sync)
        after = at + _FRAME_BYTES * tracks
        if at >= 0 and head[after : after + len(sync)] == sync:
            return MARK4
    return None


FORMATS = tuple(format_for(kind, Stated()) for kind in (MARK4, DADA, GUPPI))
