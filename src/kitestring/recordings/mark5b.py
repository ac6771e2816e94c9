"""Reading Mark 5B recordings.

Source: Whitney, "Mark 5B User's Manual" (Haystack Observatory), Appendix A. Frames
are placed by their own headers with what places VDIF frames; what differs is the
header (`mark5b_header`) and what it does not tell:

- The thousands of the day follow from a `reference` date within 500 days.
- The number of channels follows from `channels`.
- Bits follow from the sample rate of the channels and the frames in a second
  (or the fraction of a second that headers state); a sidecar may state them.
"""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from kitestring.errors import MissingDataError, RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings._mark5b_kernels import SYNC, read_header
from kitestring.recordings.formats import RecordingFormat, Survey
from kitestring.recordings.mark5b_header import (
    FRAME_BYTES,
    PAYLOAD_BITS,
    STREAMS,
    Mark5bHeader,
    completed,
    find_first,
    find_frames_per_second,
    full_day,
    headers_of,
    look_at_first,
)
from kitestring.recordings.stated import Stated, check_single, same_number
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording
from kitestring.recordings.vdif_index import VdifIndex
from kitestring.recordings.vdif_scan import Bytes, map_file

NAME = "Mark 5B"
_BITS = (1, 2)
_UNIT = 1e-4  # s of the fraction
_SNIFFED = 1 << 20  # bytes in which the first frame is looked for to recognise the format
_EARLIEST = 41317 + 500  # MJD: 1972, and what headers count days from
_TELLING = 200  # frames whose fractions tell the frame rate


class Mark5bRecording(VdifRecording):
    """A station's voltages in one or several Mark 5B files (a `Recording`).

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Files one after another in time.
    station : str
        Name of the station.
    channels : sequence of Channel
        The recorded bands, in the order of the bit streams.
    reference : Epoch
        A date within 500 days of the recording.
    bits : {1, 2}, optional
        Bits a sample; else they follow from the sample rate.

    Raises
    ------
    MissingDataError
        Where channels, the reference or bits are not given and do not follow.
    RecordingError
        Where the files are not Mark 5B, or contradict what is given.

    Warns
    -----
    RecordingWarning
        Where frames are missing or damaged, with their numbers.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None = None,
        reference: Epoch | None = None,
        bits: int | None = None,
    ) -> None:
        files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
        place = str(files[0])
        if not channels:
            raise MissingDataError(
                "Mark 5B does not hold sky frequencies, sidebands and the number of channels.",
                place=place,
                next_step="Give channels=, a Channel for each in the order of the bit streams.",
            )
        if reference is None:
            raise MissingDataError(
                "Mark 5B does not hold the thousands of the day (MJD).",
                place=place,
                next_step="Give reference=, a date within 500 days of the recording (or state "
                "it in a sidecar).",
            )
        rates = {c.sample_rate for c in channels} | ({sample_rate} - {None})
        if len(rates) != 1 or any(c.complex for c in channels):
            raise RecordingError(
                f"channels of Mark 5B are real and of one sample rate, not of {sorted(rates)}.",  # type: ignore[type-var]
                place=place,
                next_step="Mend the channels.",
            )
        index = build_index(files, tuple(channels), reference, bits)
        self._set(index)
        self._station = station
        self._channels = tuple(channels)
        if index.counts.harmed:
            warnings.warn(f"{station}: {index.counts.summary()}.", RecordingWarning, stacklevel=2)


def build_index(
    files: Sequence[Path],
    channels: Sequence[Channel],
    reference: Epoch,
    bits: int | None,
    check_all: bool = False,
) -> VdifIndex:
    """Find the frames of a recording whose channels are known.

    Raises
    ------
    MissingDataError
        Where bits do not follow.
    RecordingError
        Where the files are not Mark 5B, or contradict the channels.
    """
    data = map_file(files[0])
    at, header = first_of(data, files[0], reference)
    rate, count = channels[0].sample_rate, len(channels)
    if not 0 < rate < math.inf or bits not in (None, *_BITS):
        raise RecordingError(
            f"{bits or 1} bits at {rate:.12g} samples a second are stated; Mark 5B has 1 or 2 at a "
            "positive rate.",
            place=str(files[0]),
            next_step="Mend what is stated.",
        )
    chosen = bits or _bits_of(data, at, header, rate * count, files[0])
    if count * chosen not in STREAMS:
        raise RecordingError(
            f"{count} channels of {chosen} bits make {count * chosen} bit streams; Mark 5B has "
            f"1, 2, 4, 8, 16 or 32.",
            place=str(files[0]),
            next_step="Name as many channels as were recorded, those without use too.",
        )
    per_second = rate * count * chosen / PAYLOAD_BITS
    if abs(per_second - round(per_second)) > 1e-9 * per_second or round(per_second) < 1:
        raise RecordingError(
            f"{count} channels of {chosen} bits at {rate:.12g} samples a second make "
            f"{per_second:.6g} frames a second; Mark 5B needs a whole number.",
            place=str(files[0]),
            next_step="Give the right sample rate.",
        )
    header = completed(header, bits=chosen, channel_count=count, per_second=round(per_second))
    return VdifIndex.build(
        files,
        sample_rate=rate,
        channel_count=count,
        check_all=check_all,
        headers=partial(headers_of, header),
    )


def first_of(data: Bytes, path: Path, reference: Epoch | None) -> tuple[int, Mark5bHeader]:
    """Return where frames begin, and their header; without a reference, by the file's date.

    The day is then the last one with these digits before the file was written.
    """
    check_single(reference, "reference")
    at = find_first(data)
    if at < 0:
        headers_of(Mark5bHeader.make(0, check_crc=True, check_fraction=True), [path], [data])
    header = look_at_first(data, at, path)
    if reference is not None:
        day = full_day(header.day, int(reference.to("utc").day))
        if day < _EARLIEST:
            raise RecordingError(
                f"with this reference date it would be of MJD {day}, before UTC had leap seconds.",
                place=str(path),
                next_step="Give a date within 500 days of the recording.",
            )
        return at, replace(header, day=day)
    written = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).replace(tzinfo=None)
    last = int(Epoch.from_iso(written.isoformat()).day) + 1  # clocks may differ by a day
    return at, replace(header, day=last - (last - header.day) % 1000)


def _bits_of(data: Bytes, at: int, header: Mark5bHeader, samples: float, path: Path) -> int:
    """Return the bits that fractions of a second in headers tell, or the frames in a second."""
    fitting = [b for b in _BITS if _fractions_fit(data, at, samples * b / PAYLOAD_BITS)]
    if len(fitting) == 1:
        return fitting[0]
    per_second = find_frames_per_second(data, at, header)
    exact = [b for b in _BITS if same_number(samples * b / PAYLOAD_BITS, per_second)]
    if exact:
        return exact[0]
    if per_second:
        raise RecordingError(
            f"the frames of a second ({per_second}) hold {per_second * PAYLOAD_BITS / samples:.6g} "
            f"bits for each of the {samples:.12g} samples of all channels; 1 or 2 can be.",
            place=str(path),
            next_step="Give the right number of channels and the right sample rate.",
        )
    raise MissingDataError(
        "the bits a sample do not follow: no second ends in the file, and fractions of a second "
        "do not tell.",
        place=str(path),
        next_step="State bits = 1 or 2 in a sidecar.",
    )


def _fractions_fit(data: Bytes, at: int, per_second: float) -> bool:
    """Whether most of the first frames' fractions are those of their numbers."""
    one = np.zeros(5, dtype=np.int64)
    fits = told = 0
    for frame in range(min(_TELLING, (len(data) - at) // FRAME_BYTES)):
        begin = at + frame * FRAME_BYTES
        if read_header(data, begin, one) and one[0] > 0 and one[3] > 0:
            told += 1
            fits += abs(one[0] / per_second - one[3] * _UNIT) < 1.5 * _UNIT
    return told > 0 and 2 * fits > told


def _survey(stated: Stated, paths: Sequence[Path], rate: float | None, check_all: bool) -> Survey:
    """Return what headers tell; without channels, times alone."""
    files = [Path(p) for p in paths]
    stated.check(str(files[0]), complex=False)
    data = map_file(files[0])
    at, header = first_of(data, files[0], stated.reference)
    noon = Epoch("utc", header.day, 43200.0)  # type: ignore[arg-type]
    missing = []
    if stated.reference is None:
        missing.append(
            "the thousands of the day (reference=); the last day before the file's date is assumed"
        )
    if stated.channels:
        index = build_index(files, stated.channels, noon, stated.bits, check_all)
        own = index.survey()
        header = index.header  # type: ignore[assignment]
        return replace(own, layout=_layout(header), rate_origin="given", missing=tuple(missing))
    missing += ["number of channels and bits, sample rate", "sky frequencies and sidebands"]
    missing[-1] += " (channels=)"
    header = replace(header, per_second=find_frames_per_second(data, at, header))
    # 32 streams of one bit, so that times are known
    streams = float(header.per_second * header.frame_samples)
    index = VdifIndex.build(
        files,
        sample_rate=streams or None,
        channel_count=32,
        check_all=check_all,
        headers=partial(headers_of, header),
    )
    one = np.zeros(5, dtype=np.int64)
    read_header(data, at, one)
    first = Epoch("utc", np.int64(header.day), one[2] + one[3] * _UNIT)  # type: ignore[arg-type]
    return replace(
        index.survey(),
        start=index.slot_epoch(index.first_slot) if streams else first,  # to 0.1 ms
        sample_rate=rate,
        rate_origin="given" if rate is not None else "",
        channel_count=0,
        bits=0,
        layout=_layout(header),
        missing=tuple(missing),
    )


def _layout(header: Mark5bHeader) -> str:
    told = [f"frames of {FRAME_BYTES} bytes"]
    if header.per_second:
        told.append(f"{header.per_second} a second ({header.per_second * 0.08:g} Mbit/s)")
    told.append("time codes with CRC" if header.check_crc else "time codes without CRC")
    if not header.check_fraction:
        told.append("no fraction of the second")
    return ", ".join(told)


def format_for(stated: Stated) -> RecordingFormat:
    """Return the format, completed by what is stated elsewhere."""

    def open_(
        paths: Sequence[Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None,
    ) -> Mark5bRecording:
        given = channels or stated.channels
        rate = given[0].sample_rate if given else sample_rate
        stated.check(str(paths[0]), complex=False, sample_rate=rate)
        found = Mark5bRecording(
            paths,
            station=station,
            channels=given,
            sample_rate=sample_rate,
            reference=stated.reference,
            bits=stated.bits,
        )
        stated.check_start(str(paths[0]), found.start, 1.0 / found.sample_rate)
        return found

    return RecordingFormat(
        name=NAME,
        sniff=_sniff,
        open=open_,
        survey=lambda paths, rate: _survey(stated, paths, rate, check_all=False),
        survey_all=lambda paths, rate: _survey(stated, paths, rate, check_all=True),
        complete=format_for,
    )


def _sniff(path: Path) -> bool:
    data = map_file(path)
    head, sync = data[:_SNIFFED].tobytes(), SYNC.to_bytes(4, "little")
    at = head.find(sync)  # this quick look spares files of other formats the search
    while at > 0 and not head.startswith(sync, at + FRAME_BYTES):
        at = head.find(sync, at + 1)
    return at >= 0 and find_first(data, _SNIFFED) >= 0


FORMAT = format_for(Stated())
