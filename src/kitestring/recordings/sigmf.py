"""Reading SigMF recordings.

Source: Signal Metadata Format (SigMF) specification 1.2.6. A recording is a pair
``NAME.sigmf-meta`` (JSON) and ``NAME.sigmf-data``, of which either may be named to open
it; or a tar archive of pairs, ``NAME.sigmf``, whose data are read where they lie.
Metadata are checked against the schema that comes with the package ``sigmf``.

Captures say when their first sample was taken and at which sky frequency. Gaps
between them are invalid samples; captures at another sky frequency are channels
of their own, invalid while the recording was tuned elsewhere. Where a capture has
a ``core:global_index`` that agrees with its time, the index places it.

What SigMF has no word for (station, sidebands, polarizations) stands in the
extension ``kitestring`` of recordings that `SigmfWriter` wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.errors import ConfigurationError, MissingDataError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.formats import RecordingFormat, Survey
from kitestring.recordings.sigmf_meta import (
    NAMESPACE,
    SigmfFile,
    check_sum,
    is_sigmf,
    read_meta,
)
from kitestring.recordings.stated import Stated, check_channels, same_station
from kitestring.recordings.streams import StreamRecording
from kitestring.recordings.stretches import Stream, Stretch
from kitestring.recordings.types import Channel

_TIME = re.compile(r"(.+:\d\d:\d\d(?:\.(\d*))?)(?:[zZ]|\+00:?00)?")  # a date alone is no time


def _when(capture: dict[str, Any], number: int, meta: Path) -> tuple[Epoch, float]:
    """Return a capture's time, and to how many seconds it is stated."""
    text = str(capture["core:datetime"])
    told = _TIME.fullmatch(text)
    try:
        if told is None:
            raise ConfigurationError(f"{text!r} is not a date and time to a second.")
        epoch = Epoch.from_iso(told[1])
        epoch.to("tai")  # before 1972 there is none
    except ConfigurationError as problem:
        raise RecordingError(
            f"capture {number}: core:datetime: {problem.message}",
            place=str(meta),
            next_step='Write it in UTC, as "2026-03-01T12:00:00.123456789Z".',
        ) from None
    return epoch, 10.0 ** -len(told[2] or "")


def _stretches(file: SigmfFile, rate: float, stated: Stated) -> tuple[list[Stretch], int, int]:
    """Return the captures of a file, and the bytes at its end and elsewhere that are no samples."""
    captures = file.captures
    starts = [int(c["core:sample_start"]) for c in captures]
    offset = int(file.of("offset", 0))
    band = " ".join(f"{c.polarization}{c.sky_frequency!r}" for c in file.own_channels(rate))
    if any(b <= a for a, b in pairwise(starts)) or starts[0] < offset:
        raise RecordingError(
            f"captures begin at samples {starts[:8]}: they overlap or are not in order.",
            place=str(file.meta),
            next_step="Sort them by core:sample_start; core:offset is the least.",
        )
    width = file.width * file.datatype.sample_bytes
    heads = list(accumulate(int(c.get("core:header_bytes", 0)) for c in captures))
    payload = file.size - heads[-1] - int(file.of("trailing_bytes", 0))
    total, cut = divmod(payload, width)
    if payload < 0 or starts[-1] - offset >= total:
        raise RecordingError(
            f"the last of {len(captures)} captures begins at sample {starts[-1]}, the data hold "
            f"{max(total, 0)} from sample {offset} on ({file.size} bytes).",
            place=str(file.data),
            next_step="The data were cut off, or do not belong to these metadata.",
        )
    found: list[Stretch] = []
    stops = [*starts[1:], offset + total]
    for i, capture in enumerate(captures):
        if "core:datetime" in capture:
            epoch, resolution = _when(capture, i, file.meta)
            if i == 0:
                stated.check_start(str(file.meta), epoch, max(resolution, 1.0 / rate))
        elif i == 0 and stated.start is not None:
            epoch, resolution = stated.start, 0.0
        elif found and "core:global_index" in capture and "core:global_index" in captures[i - 1]:
            epoch, resolution = found[-1].start, np.inf  # the index decides
        else:
            raise MissingDataError(
                f"capture {i} has no core:datetime.",
                place=str(file.meta),
                next_step="Add it; or state start in a sidecar, for a first capture."
                if i == 0
                else "Add it, or core:global_index to this capture and the one before.",
            )
        if found:
            epoch = _by_index(captures[i - 1], capture, found[-1].start, epoch, resolution, rate)
        found.append(
            Stretch(
                path=file.data,
                byte=file.begin + heads[i] + (starts[i] - offset) * width,
                count=stops[i] - starts[i],
                start=epoch,
                sky_frequency=float(capture.get("core:frequency", np.nan)),
                width=file.width,
                resolution=0.0 if np.isinf(resolution) else resolution,
                follows=bool(found) and "core:global_index" not in capture,
                band=band,
            )
        )
    return found, cut, (starts[0] - offset) * width


def _by_index(
    before: dict[str, Any],
    capture: dict[str, Any],
    earlier: Epoch,
    epoch: Epoch,
    resolution: float,
    rate: float,
) -> Epoch:
    """Return a capture's time by its global index where that agrees with what is stated."""
    a, b = before.get("core:global_index"), capture.get("core:global_index")
    if a is None or b is None:
        return epoch
    by_index = earlier.shifted((int(b) - int(a)) / rate)
    return by_index if abs(float(by_index.since(epoch))) <= resolution + 1.0 / rate else epoch


def _rate(file: SigmfFile, stated: Stated, given: float | None) -> tuple[float, str]:
    own = file.of("sample_rate")
    stated.check(
        str(file.meta),
        sample_rate=own,
        complex=file.datatype.complex,
        bits=file.datatype.bits,
        datatype=file.datatype.name,
    )
    if own is not None:
        replace(Stated(), sample_rate=given).check(str(file.meta), sample_rate=float(own))
        return float(own), "header"
    rate = given if given is not None else stated.sample_rate
    if rate is None:
        raise MissingDataError(
            "the metadata have no core:sample_rate.",
            place=str(file.meta),
            next_step="Add it, or give sample_rate= (or state it in a sidecar).",
        )
    return rate, "given"


def read_stream(
    paths: Sequence[Path], stated: Stated, sample_rate: float | None
) -> tuple[Stream, str]:
    """Return where the samples of recordings lie that together are one, and whence the rate is.

    Raises
    ------
    RecordingError, MissingDataError
        Where they cannot be read, are not of one kind, or do not say when they were taken.
    """
    files = list({file.meta: file for p in paths for file in read_meta(p)}.values())
    first = files[0]
    rate, origin = _rate(first, stated, sample_rate)
    stretches: list[Stretch] = []
    cut = skipped = 0
    for file in files:
        other = _rate(file, stated, sample_rate)[0]
        if file.datatype != first.datatype or other != rate:
            raise RecordingError(
                f"{file.datatype.name} at {other:.12g} samples a second; "
                f"{first.meta} has {first.datatype.name} at {rate:.12g}.",
                place=str(file.meta),
                next_step="Open files of different recordings one by one.",
            )
        if stated.verify:
            check_sum(file)
        # a start that is stated is that of the first file
        known = stated if file is first else replace(stated, start=None)
        mine, over, before = _stretches(file, rate, known)
        stretches += mine
        cut, skipped = cut + over, skipped + before
    own = _own_channels(files, rate)
    station = same_station([f.station for f in files], [f.meta for f in files])
    more = {"station": station or stated.station, "own_channels": own}
    stream = Stream.place(
        first.datatype, rate, stretches, truncated_bytes=cut, skipped_bytes=skipped, **more
    )
    if own and len(own) != stream.channel_count:
        raise RecordingError(
            f"{NAMESPACE}:channels lists {len(own)}, the data have {stream.channel_count}.",
            place=str(first.meta),
            next_step="Mend the list.",
        )
    return stream, origin


def _own_channels(files: Sequence[SigmfFile], rate: float) -> tuple[Channel, ...]:
    """Return what our extension says of all channels, or nothing where a file does not have it."""
    seen: dict[tuple[float | None, tuple[Channel, ...]], tuple[Channel, ...]] = {}
    for file in files:
        own = file.own_channels(rate)
        for frequency in {c.get("core:frequency"): None for c in file.captures}:
            seen.setdefault((frequency, own), own)
    lists = list(seen.values())
    return tuple(c for one in lists for c in one) if all(lists) else ()


def implied_channels(stream: Stream) -> tuple[Channel, ...]:
    """Return the channels that metadata tell: centres of complex bands; others' are NaN.

    For real samples SigMF's frequency does not tell which edge of the band is
    baseband 0 Hz.
    """
    if stream.own_channels:
        return stream.own_channels
    kind = stream.datatype
    found: list[Channel] = []
    for frequency, width in zip(stream.frequencies, stream.widths, strict=True):
        for _ in range(width):
            found.append(
                Channel(
                    name=f"CH{len(found):02d}",
                    sky_frequency=frequency if kind.complex else np.nan,
                    direction=1,
                    sample_rate=stream.sample_rate,
                    complex=kind.complex,
                    zero="middle" if kind.complex else "edge",
                )
            )
    return tuple(found)


def _missing(stream: Stream) -> list[str]:
    known = implied_channels(stream)
    if any(np.isnan(c.sky_frequency) for c in known):
        return ["sky frequencies and sidebands (channels=)"]
    return []


def format_for(stated: Stated) -> RecordingFormat:
    """Return the format, completed by what is stated elsewhere."""

    def open_(
        paths: Sequence[Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None,
    ) -> StreamRecording:
        given = tuple(channels or stated.channels)
        rate = sample_rate if sample_rate is not None or not given else given[0].sample_rate
        stream, _ = read_stream(paths, stated, rate)
        own = implied_channels(stream)
        if given:
            check_channels(given, own, str(paths[0]))
        elif missing := _missing(stream):
            raise MissingDataError(
                f"the metadata do not hold {missing[0]} of the {len(own)} channels.",
                place=str(paths[0]),
                next_step="Give channels=, a Channel for each, or state them in a sidecar.",
            )
        return StreamRecording(stream, station or stream.station, given or own)

    def survey(paths: Sequence[Path], sample_rate: float | None) -> Survey:
        stream, origin = read_stream(paths, stated, sample_rate)
        return stream.survey(origin, [] if stated.channels else _missing(stream))

    return RecordingFormat(
        name="SigMF", sniff=is_sigmf, open=open_, survey=survey, complete=format_for
    )


FORMAT = format_for(Stated())
