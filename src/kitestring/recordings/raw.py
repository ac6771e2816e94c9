"""Reading plain IQ samples (and real ones) that a sidecar describes.

GNU Radio's file sink and most SDR programs write nothing but numbers: ``cf32``
(complex64), ``ci16``, ``ci8``, ``cu8``. The sidecar (`kitestring.recordings.sidecar`)
says what they are and when they were taken. Every file has a sidecar of its own;
files of one station are joined by their times, and by their sky frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kitestring.errors import MissingDataError, RecordingError
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.formats import RecordingFormat, Survey
from kitestring.recordings.sidecar import SUFFIX, beside, read_sidecar
from kitestring.recordings.stated import Stated, check_channels, same_station
from kitestring.recordings.streams import StreamRecording
from kitestring.recordings.stretches import Stream, Stretch
from kitestring.recordings.types import Channel

NAME = "raw"
_KINDS = ("cf32", "fc32", "cfile", "cf64", "ci16", "cs16", "sc16", "ci8", "cs8", "sc8", "cu8", "iq")
ENDINGS = frozenset(f".{kind}" for kind in (*_KINDS, "rf32", "ri16", "ri8", "ru8"))
_EXAMPLE = """datatype = "cf32_le"
sample_rate = 2e6
start = 2026-03-01T12:00:00Z
station = "..."
[[channel]]
sky_frequency = 8.4e9"""


def _of_file(path: Path, stated: Stated, alone: bool) -> Stated:
    """Return what is stated of one file: its own sidecar's words, or those for all."""
    if alone and stated.datatype:
        return stated
    own = beside(path)
    if own is not None:
        return replace(read_sidecar(own), verify=stated.verify)
    if alone:
        return stated
    raise MissingDataError(
        f"of several files each needs a sidecar, and there is no {path.name}{SUFFIX}.",
        place=str(path),
        next_step="Write it, with the start of this file.",
    )


def _missing(stated: Stated, rate: float | None) -> list[str]:
    """Return the keys without which samples cannot be placed."""
    lacks = [("datatype", not stated.datatype), ("sample_rate", rate is None)]
    return [key for key, lack in [*lacks, ("start", stated.start is None)] if lack]


def _stretch(path: Path, own: Stated, rate: float | None) -> tuple[DataType, float, Stretch, int]:
    """Return numbers, sample rate and samples of a file, and the bytes left over."""
    if missing := _missing(own, rate):
        raise MissingDataError(
            f"{', '.join(missing)} of these samples are stated nowhere.",
            place=str(path),
            next_step=f"Write them into {path.name}{SUFFIX} beside it, such as:\n{_EXAMPLE}",
        )
    assert rate is not None
    assert own.start is not None
    kind = DataType.parse(own.datatype, own.place)
    width = max(len(own.channels), 1)
    size = path.stat().st_size - own.header_bytes
    count, cut = divmod(size, width * kind.sample_bytes)
    if size < width * kind.sample_bytes:
        raise RecordingError(
            f"the file has {size + own.header_bytes} bytes and holds no sample of {width} channels "
            f"of {kind.name} after a header of {own.header_bytes}.",
            place=str(path),
            next_step=f"Copy it again, or mend {own.who}.",
        )
    sky = own.channels[0].sky_frequency if own.channels else np.nan
    band = " ".join(f"{c.polarization}{c.sky_frequency!r}" for c in own.channels)
    one = Stretch(path, own.header_bytes, count, own.start, sky, width, band=band)
    return kind, rate, one, cut


def read_stream(
    paths: Sequence[Path], stated: Stated, sample_rate: float | None, channel_count: int = 0
) -> Stream:
    """Return where the samples of the files lie.

    Parameters
    ----------
    paths : sequence of Path
        Files with samples.
    stated : Stated
        What is stated of all of them; each file's own sidecar goes before it
        where there are several.
    sample_rate : float, optional
        Samples per second, where no sidecar states it.
    channel_count : int
        How many channels are interleaved, where no sidecar lists them.

    Raises
    ------
    MissingDataError
        It names what is stated nowhere.
    RecordingError
        Where files are too short, of different kinds, or overlap.
    """
    files = [p for p in paths if p.suffix != SUFFIX]
    channels: dict[tuple[str, str], tuple[Channel, ...]] = {}
    found, stations = [], []
    for path in files:
        own = _of_file(path, stated, alone=len(files) == 1)
        stations.append(own.station)
        if sample_rate is not None:
            Stated(sample_rate=sample_rate).check(own.place, sample_rate=own.sample_rate)
        if not own.channels and channel_count > 1:
            blank = Channel("", np.nan, 1, own.sample_rate or sample_rate or np.nan)
            own = replace(own, channels=(blank,) * channel_count)
        found.append(_stretch(path, own, own.sample_rate or sample_rate))
        channels.setdefault(found[-1][2].key, own.channels)
    kind, rate = found[0][:2]
    for path, (other, its_rate, _, _) in zip(files, found, strict=True):
        if other != kind or its_rate != rate:
            raise RecordingError(
                f"{other.name} at {its_rate:.12g} samples a second; {files[0]} has "
                f"{kind.name} at {rate:.12g}.",
                place=str(path),
                next_step="Open files of different recordings one by one.",
            )
    station = same_station(stations, files) or stated.station
    stream = Stream.place(
        kind, rate, [f[2] for f in found], truncated_bytes=sum(f[3] for f in found)
    )
    listed = tuple(c for known in channels.values() for c in known)
    complete = not any(np.isnan(c.sky_frequency) for c in listed)
    own_channels = listed if complete and len(listed) == stream.channel_count else ()
    return replace(stream, own_channels=own_channels, station=station)


def format_for(stated: Stated) -> RecordingFormat:
    """Return the format, completed by what is stated in a sidecar that was named."""

    def open_(
        paths: Sequence[Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None,
    ) -> StreamRecording:
        given = tuple(channels or ())
        rate = sample_rate if sample_rate is not None or not given else given[0].sample_rate
        stream = read_stream(paths, stated, rate, len(given))
        if given and stream.own_channels:
            check_channels(given, stream.own_channels, str(paths[0]))
        if not given and not stream.own_channels:
            raise MissingDataError(
                "sky frequencies of these samples are stated nowhere.",
                place=str(paths[0]),
                next_step="Give channels=, or add a [[channel]] with sky_frequency to the sidecar.",
            )
        chosen = given or stream.own_channels
        if any(c.complex != stream.datatype.complex for c in chosen):
            kind = "complex" if stream.datatype.complex else "real"
            raise RecordingError(
                f"{stream.datatype.name} is {kind}, the channels given are not.",
                place=str(paths[0]),
                next_step=f"Set complex={stream.datatype.complex} in the channels.",
            )
        if len(chosen) != stream.channel_count:
            raise RecordingError(
                f"{len(chosen)} channels are given, the files have {stream.channel_count}.",
                place=str(paths[0]),
                next_step="List the channels in the sidecars.",
            )
        return StreamRecording(stream, station or stream.station, chosen)

    def survey(paths: Sequence[Path], sample_rate: float | None) -> Survey:
        stream = read_stream(paths, stated, sample_rate)
        known = stream.own_channels or stated.channels
        return stream.survey(
            "given", [] if known else ["sky frequencies and sidebands (channels=)"]
        )

    return RecordingFormat(name=NAME, sniff=_sniff, open=open_, survey=survey, complete=format_for)


def _sniff(path: Path) -> bool:
    if path.suffix.lower() in ENDINGS:
        return True
    own = beside(path)
    return own is not None and bool(read_sidecar(own).datatype)


FORMAT = format_for(Stated())
