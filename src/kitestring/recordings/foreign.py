"""Reading Mark 4, DADA and GUPPI through the package `baseband`.

baseband (GPL) is an extra: ``pip install kitestring[baseband]``. It is imported when a
recording of these formats is opened, never otherwise. What it tells of damage is
taken over: frames of Mark 4 that are missing or whose headers are corrupt, and
the samples that headers replace, are invalid. Lost frames are counted on opening: by
the times at both ends and the bytes between, since looking at all headers would take a
pass through the files. DADA and GUPPI are not read beyond a lost block.

GSB is not read: its time stamps lie in a file of their own, which takes more than
a list of recordings to name.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.formats import FrameCounts, RecordingFormat, Survey
from kitestring.recordings.stated import Stated, same_number
from kitestring.recordings.types import Block, Channel
from kitestring.recordings.vdif_scan import map_file

_HEAD = 1 << 19  # bytes that tell the format: three Mark 4 frames of 64 tracks
_TRACKS = (64, 32, 16)
_SYNC_BYTES = 4  # of each track, all ones
_FRAME_BYTES = 2500  # of each track
_STEP = 1 << 18  # samples that are decoded at once


@dataclass(frozen=True)
class Kind:
    """A format that baseband reads.

    Attributes
    ----------
    name : str
        As it is called here.
    module : str
        Of baseband.
    dated : bool
        Whether headers lack the decade, so that a reference date is needed.
    """

    name: str
    module: str
    dated: bool = False


MARK4 = Kind("Mark 4", "mark4", dated=True)
DADA = Kind("DADA", "dada")
GUPPI = Kind("GUPPI", "guppi")


def _reader(kind: Kind, files: Sequence[Path], stated: Stated, sample_rate: float | None) -> Any:
    """Open a stream reader of baseband.

    Raises
    ------
    MissingDataError
        Where baseband is not installed, or the decade is not known.
    RecordingError
        Where it cannot read the files; its own words are passed on.
    """
    try:
        import importlib

        module = importlib.import_module(f"baseband.{kind.module}")
        sequence = importlib.import_module("baseband.helpers.sequentialfile")
    except ImportError:
        raise MissingDataError(
            f"{kind.name} is read through the package baseband, which is not installed.",
            place=str(files[0]),
            next_step="Install it: pip install kitestring[baseband]",
        ) from None
    options: dict[str, Any] = {"squeeze": False}
    if kind.dated:
        if stated.reference is None:
            raise MissingDataError(
                f"{kind.name} does not hold the decade.",
                place=str(files[0]),
                next_step="Give reference=, a date within 5 years of the recording (or state it "
                "in a sidecar).",
            )
        options |= {"ref_time": stated.reference.to_astropy(), "fill_value": np.nan}
        if sample_rate is not None:
            from astropy import units

            options["sample_rate"] = sample_rate * units.Hz
    try:
        # not a text, in which {} would stand for a pattern
        source = sequence.open(list(files)) if len(files) > 1 else files[0]
        handle = module.open(source, "rs", **options)
        count = int(handle.shape[0])  # it looks for the last header
    except Exception as problem:  # of many kinds, bare assertions among them
        raise RecordingError(
            f"baseband cannot read it as {kind.name}: {str(problem) or type(problem).__name__}.",
            place=str(files[0]),
            next_step="Check that the file is whole and of this format.",
        ) from problem
    if count < 1:
        handle.close()
        raise RecordingError(
            "the time of the last header is not after that of the first.",
            place=str(files[-1]),
            next_step="Name files in the order of their times.",
        )
    return handle


def _count(kind: Kind, handle: Any, files: Sequence[Path]) -> FrameCounts:
    """Return the frames between both ends by their times, and how many the files lack or spare."""
    length = int(handle.header0.frame_nbytes)
    frames = max(round(handle.shape[0] / handle.samples_per_frame), 1)
    held = sum(p.stat().st_size for p in files)
    if kind is MARK4:  # recordings begin and end inside a frame
        file = handle.fh_raw
        with file.temporary_offset(0):
            file.find_header(handle.header0)
            begin = file.tell()
        with file.temporary_offset(-length, 2):
            file.find_header(handle.header0, forward=False, check=(-1, 1))
            held = file.tell() + length - begin
    missing = max(frames - -(-held // length), 0)
    rest = max(held - (frames - missing) * length, 0)
    return FrameCounts(
        frames=frames - missing,
        missing=missing,
        skipped_bytes=rest if rest >= length else 0,
        truncated_bytes=rest if rest < length else 0,
    )


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
            if channel.complex != bool(handle.complex_data):
                raise RecordingError(
                    f"the samples are {('real', 'complex')[bool(handle.complex_data)]}, the "
                    "channels given are not.",
                    place=place,
                    next_step=f"Set complex={bool(handle.complex_data)} in the channels.",
                )
        self.counts = _count(kind, handle, files)
        if self.counts.harmed:
            warnings.warn(f"{station}: {self.counts.summary()}.", RecordingWarning, stacklevel=3)

    def _open(self) -> None:
        self._handle = _reader(self._kind, self._files, self._stated, self._channels[0].sample_rate)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_handle", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

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
        chosen = tuple(range(len(self._channels))) if channels is None else channels
        if count < 0 or any(not 0 <= c < len(self._channels) for c in chosen):
            raise ConfigurationError(
                f"{count} samples of the channels {chosen} were asked for.",
                next_step=f"Channels count from 0 to {len(self._channels) - 1}.",
            )
        parts = 2 if self._channels[0].complex else 1
        numbers = np.zeros((len(chosen), count * parts), dtype=np.float32)
        out = numbers.view(np.complex64) if parts == 2 else numbers
        valid = np.zeros((len(chosen), count), dtype=np.bool_)
        begin, end = max(first, 0), min(first + count, self.sample_count)
        for at in range(begin, end, _STEP):
            n = min(_STEP, end - at)
            with self._lock:
                try:
                    self._handle.seek(at)
                    table = self._handle.read(n).reshape(n, -1)
                except Exception as problem:
                    raise RecordingError(
                        f"baseband cannot read {n} samples from sample {at} on: "
                        f"{str(problem) or type(problem).__name__}.",
                        place=str(self._files[0]),
                        next_step="The file is damaged there: cut it, or leave it out.",
                    ) from problem
            rows = table[:, chosen].T
            good = np.isfinite(rows)
            out[:, at - first : at - first + n] = np.where(good, rows, 0)
            valid[:, at - first : at - first + n] = good
        return Block(first, out, valid)


def _survey(kind: Kind, stated: Stated, paths: Sequence[Path], sample_rate: float | None) -> Survey:
    rate = stated.sample_rate if sample_rate is None else sample_rate
    with _reader(kind, paths, stated, rate) as handle:
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
            counts=_count(kind, handle, paths),
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
