"""What a recording is, whether it is whole, and what is needed to use it."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
)
from kitestring.model.time import Epoch
from kitestring.recordings.formats import RecordingFormat, Survey
from kitestring.recordings.open import Paths, belonging, find_files, recognise, stated_of
from kitestring.recordings.sidecar import SUFFIX
from kitestring.recordings.stated import Stated
from kitestring.recordings.statistics import Statistics, measure
from kitestring.recordings.types import Channel, Recording

_TOLD = 3  # deviations of time that a user is told of one by one
_FAR = 3652.0  # days ahead of today that no recording, simulated or not, is likely to have
_HOLE = 1 << 20  # bytes: fewer are the file system's own affair


@dataclass(frozen=True)
class Description:
    """A recording, described.

    Attributes
    ----------
    format : str
        Such as ``"VDIF"``.
    paths : tuple of str
        Its files.
    bytes : int
        Their length together.
    survey : Survey
        What the headers tell: times, layout, damage, what is missing to use it.
    statistics : Statistics or None
        What the samples look like, where they were read.
    unwritten_bytes : int
        Bytes that take no room on the disk: a copy that was not finished, or a recorder
        that set the file's length first. 0 where the file system does not tell.
    """

    format: str
    paths: tuple[str, ...]
    bytes: int
    survey: Survey
    statistics: Statistics | None = None
    unwritten_bytes: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before using the recording, worst first."""
        found = []
        counts = self.survey.counts
        survey = self.survey
        now = Epoch.from_iso(dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat())
        if survey.start is not None and float(survey.start.day - now.day) > _FAR:
            found.append(
                f"the headers' date, {survey.start.iso(0)[:10]}, lies in the far future: was "
                "the recorder's clock set?"
            )
        if counts.harmed:
            found.append(counts.summary())
        for one in survey.deviations[:_TOLD]:
            many = "missing" if one.seconds > 0 else "too many"
            found.append(f"{abs(one.seconds):.9g} s are {many} after about {one.start.iso(6)} UTC")
        if len(survey.deviations) > _TOLD:
            found.append(f"and {len(survey.deviations) - _TOLD} more such places")
        if self.unwritten_bytes:
            found.append(f"{self.unwritten_bytes} bytes were never written (holes in the file)")
        if survey.sampled:
            found.append(
                f"{survey.headers} of the headers were looked at, at both ends and between; "
                "check all with full=True (--full)"
            )
        if counts.truncated_bytes:
            found.append(f"the last frame is cut: {counts.truncated_bytes} bytes are not used")
        found += [f"not in the file: {m}" for m in self.survey.missing]
        if survey.start is not None and survey.stop is None and float(survey.start.second) % 1 == 0:
            found.append(
                "without a sample rate the start is told to the second, the stop not at all"
            )
        if self.survey.rate_origin.startswith("inferred"):
            found.append(f"the sample rate is {self.survey.rate_origin}, not stated")
        for channel in self.statistics.dead if self.statistics else ():
            found.append(f"channel {channel}: all samples are alike (a dead channel)")
        for line in self.statistics.lines if self.statistics else ():
            text = (
                f"channel {line.channel}: a line of {line.level:.1f} dB at {line.frequency:.0f} Hz"
            )
            if self.survey.bits <= 2:
                text += f" costs correlation at {self.survey.bits} bits"
            found.append(text)
        return tuple(found)

    def coverage(self, start: Epoch, stop: Epoch) -> float:
        """Return the fraction of a scan that lies between the first and the last sample.

        A file that was cut, or a station that came late, lowers it; frames lost
        in between do not (see `FrameCounts`).

        Parameters
        ----------
        start, stop : Epoch, shape ()
            First and last instant of the scan. They are compared with the
            station's clock: labels of wavefronts lie up to 21 ms of delay, and
            the clock's offset, beside it.

        Returns
        -------
        float
            0 to 1; NaN where headers do not tell when the recording ends.

        Raises
        ------
        ConfigurationError
            Where `stop` is not after `start`.
        """
        length = float(stop.since(start))
        if not length > 0:
            raise ConfigurationError(
                f"a scan cannot last {length:g} s.", next_step="Give a stop after the start."
            )
        first, last = self.survey.start, self.survey.stop
        if first is None or last is None:
            return float("nan")
        begin, end = max(float(first.since(start)), 0.0), min(float(last.since(start)), length)
        return max(end - begin, 0.0) / length

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, texts and lists (for JSON)."""
        plain: dict[str, Any] = _plain(self)
        return plain | {"notes": list(self.notes)}


def describe(
    paths: Paths,
    *,
    read: bool = False,
    full: bool = False,
    sample_rate: float | None = None,
    channels: Sequence[Channel] = (),
    sidecar: str | Path | None = None,
    reference: Epoch | None = None,
    bins: int = 512,
    samples: int = 1 << 18,
) -> Description:
    """Describe a recording from its headers and, if asked, from some of its samples.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        The files that together are the recording, or patterns of their names.
    read : bool
        Also read stretches of samples and give their `Statistics`.
    full : bool
        Read all headers of a long recording too. Without it, of a recording of more than
        1 GiB both ends and about a thousand places between are looked at.
    sample_rate : float, optional
        Samples per second, where the headers do not tell.
    channels : sequence of Channel, optional
        The recorded bands: Mark 5B does not even hold their number.
    sidecar, reference : optional
        As in `open_recording`.
    bins : int
        Points of the bandpass.
    samples : int
        Samples of each channel to read at most.

    Raises
    ------
    RecordingError
        Where the files cannot be read as one recording, or contradict a sidecar.
    MissingDataError
        Where samples are to be read but the sample rate is not known.
    ConfigurationError
        Where `bins` or `samples` is not positive.
    """
    files = find_files(paths)
    stated = stated_of(files, sidecar=sidecar, reference=reference)
    Stated(sample_rate=sample_rate).check(stated.place, sample_rate=stated.sample_rate)
    lies = stated.channels and not channels  # what a session names is compared on opening
    stated = replace(stated, channels=tuple(channels) or stated.channels)
    chosen = recognise(files, stated)
    look = chosen.survey_all if full and chosen.survey_all is not None else chosen.survey
    survey = look(files, stated.sample_rate if sample_rate is None else sample_rate)
    if survey.start is not None:
        length = 1.0 if survey.stop is None else float(survey.stop.since(survey.start))
        stated.check_start(str(files[0]), survey.start, length)  # that of any of the files
    if lies and survey.channel_count not in (0, len(stated.channels)):
        raise RecordingError(
            f"{len(stated.channels)} channels are stated, the recording has "
            f"{survey.channel_count}.",
            place=stated.place,
            next_step="Write a [[channel]] for each there.",
        )
    if stated.channels:
        missing = tuple(m for m in survey.missing if "(channels=)" not in m)
        survey = replace(survey, missing=missing)
    statistics = None
    if read:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)  # the survey counts the damage
            recording = _bare(chosen, files, survey)
            statistics = measure(recording, bins=bins, samples=samples)
    sizes = [p.stat() for p in belonging(files) if p.suffix != SUFFIX]
    holes = sum(max(s.st_size - 512 * getattr(s, "st_blocks", s.st_size), 0) for s in sizes)
    return Description(
        chosen.name,
        tuple(map(str, files)),
        sum(s.st_size for s in sizes),
        survey,
        statistics,
        holes if holes >= _HOLE else 0,
    )


def _bare(chosen: RecordingFormat, files: list[Path], survey: Survey) -> Recording:
    """Open a recording of which sky frequencies are not known."""
    rate = survey.sample_rate
    if rate is None:
        raise MissingDataError(
            "the headers do not tell the sample rate, so that samples cannot be placed in time.",
            place=str(files[0]),
            next_step="Give sample_rate=, or leave out read=True.",
        )
    channels = [
        Channel(f"CH{i:02d}", np.nan, 1, rate, survey.complex) for i in range(survey.channel_count)
    ]
    return chosen.open(files, station=survey.station, channels=channels, sample_rate=rate)


def _plain(value: Any) -> Any:
    """Turn arrays, epochs and tuples into what JSON knows; NaN becomes null."""
    if isinstance(value, Epoch):
        return value.iso(9) + "Z"
    if is_dataclass(value):
        return {k: _plain(v) for k, v in vars(value).items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
